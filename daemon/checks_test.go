package daemon_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kioskd/configs"
	"kioskd/daemon/api/apitype"
)

// Under systemd the token is a copy on a read-only file system: what is to be mended is
// the file that it was copied from.
func TestTokenCommandNamesTheSource(t *testing.T) {
	cfg := unreachable(t)
	t.Setenv("CREDENTIALS_DIRECTORY", filepath.Dir(cfg.Backend.TokenFile))
	if err := os.RemoveAll(cfg.Backend.TokenFile); err != nil {
		t.Fatal(err)
	}
	k := start(t, cfg)
	got, err := k.Checks(t.Context(), apitype.ChecksRequest{Only: apitype.CheckToken})
	if err != nil || len(got.Checks) != 1 || got.Checks[0].Fault != "token_missing" || !strings.Contains(got.Checks[0].Command, " "+configs.DefaultTokenFile) {
		t.Errorf("got %+v, %v", got, err)
	}
}
