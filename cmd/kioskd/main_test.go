package main_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
)

// daemonEnv names the kioskd that the tests start: it has the kill points in it.
const daemonEnv = "KIOSKD_TEST_DAEMON"

// TestMain builds kioskd with the tag faults, once for all tests.
func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "kioskd-faults")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "kioskd")
	if out, err := exec.Command("go", "build", "-trimpath", "-tags=nolibopusfile,faults", "-o", bin, "kioskd/cmd/kioskd").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build kioskd: %v\n%s", err, out)
		return 1
	}
	if err := os.Setenv(daemonEnv, bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	code := m.Run()
	if code == 0 {
		if err := goleak.Find(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	return code
}
