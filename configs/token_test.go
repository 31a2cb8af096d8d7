package configs_test

import (
	"os"
	"path/filepath"
	"testing"

	"kioskd/configs"
)

// The source of the token is named, not the copy that systemd makes of it.
func TestTokenSource(t *testing.T) {
	plain, sealed := t.TempDir(), t.TempDir()
	dir := filepath.Join(sealed, "etc/systemd/system/kioskd.service.d")
	example, err := os.ReadFile("../systemd/units/examples/sealed-credentials.conf")
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = os.WriteFile(filepath.Join(dir, "sealed-credentials.conf"), example, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name, read, credentials, root string
		want                          string
		sealed                        bool
	}{
		{"by hand", configs.DefaultTokenFile, "", plain, configs.DefaultTokenFile, false},
		{"a file of one's own", "/srv/token", "/run/credentials/kioskd.service", sealed, "/srv/token", false},
		{"a credential", "/run/credentials/kioskd.service/backend-token", "/run/credentials/kioskd.service", plain, configs.DefaultTokenFile, false},
		{"a sealed one", "/run/credentials/kioskd.service/backend-token", "/run/credentials/kioskd.service", sealed, "/etc/kioskd/backend-token.sealed", true},
		{"a sealed one, without the daemon", configs.DefaultTokenFile, "", sealed, "/etc/kioskd/backend-token.sealed", true},
	} {
		getenv := func(name string) string { return map[string]string{"CREDENTIALS_DIRECTORY": tt.credentials}[name] }
		file, isSealed := configs.Backend{TokenFile: tt.read}.TokenSource(getenv, tt.root)
		if file != tt.want || isSealed != tt.sealed {
			t.Errorf("%s: got %s, sealed %t; want %s, %t", tt.name, file, isSealed, tt.want, tt.sealed)
		}
	}
	if err := os.WriteFile(filepath.Join(dir, "zz.conf"), []byte("[Service]\nLoadCredentialEncrypted=\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	none := func(string) string { return "" }
	if file, isSealed := (configs.Backend{TokenFile: configs.DefaultTokenFile}).TokenSource(none, sealed); isSealed || file != configs.DefaultTokenFile {
		t.Errorf("a drop-in that takes it back: %s, %t", file, isSealed)
	}
}
