package systemd_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kioskd/systemd"
)

func TestCredential(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", dir)
	want := bytes.Repeat([]byte("k"), 64<<10)
	if err := os.WriteFile(filepath.Join(dir, "backend-token"), want, 0o400); err != nil {
		t.Fatal(err)
	}
	got, err := systemd.Credential("backend-token")
	if err != nil || !bytes.Equal(got, want) {
		t.Errorf("got %d bytes, %v", len(got), err)
	}
	if path, err := systemd.CredentialPath("backend-token"); err != nil || path != filepath.Join(dir, "backend-token") {
		t.Errorf("got %q, %v", path, err)
	}
}

func TestCredentialMissing(t *testing.T) {
	t.Setenv("CREDENTIALS_DIRECTORY", t.TempDir())
	if _, err := systemd.Credential("machine-key"); !errors.Is(err, systemd.ErrNoCredential) || !strings.Contains(err.Error(), "LoadCredential=machine-key:") {
		t.Errorf("not in the directory: %v", err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", "")
	if _, err := systemd.Credential("machine-key"); !errors.Is(err, systemd.ErrNoCredential) {
		t.Errorf("no directory: %v", err)
	}
}

func TestCredentialRefuses(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Join(dir, "in"))
	if err := os.MkdirAll(filepath.Join(dir, "in", "folder"), 0o700); err != nil {
		t.Fatal(err)
	}
	secret := strings.Repeat("s3cr3t", 20_000)
	for path, text := range map[string]string{"outside": "x", "in/large": secret} {
		if err := os.WriteFile(filepath.Join(dir, path), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"", ".", "..", "../outside", "a/b", "/etc/passwd", "-x", "a\x00", strings.Repeat("a", 256), "folder", "large"} {
		data, err := systemd.Credential(name)
		if err == nil || data != nil {
			t.Errorf("%.20q was read", name)
		}
		if err != nil && (errors.Is(err, systemd.ErrNoCredential) || strings.Contains(err.Error(), "s3cr3t") || !strings.HasPrefix(err.Error(), "cannot ")) {
			t.Errorf("%.20q: %.200v", name, err)
		}
	}
}
