// Package e2e_test plays whole calls with the real programs: a camera that is a
// V4L2 device, alsa-lib, real browsers on both sides. It needs root.
package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"

	"kioskd/daemon/e2e/stage"
)

// binEnv names the folder of the built programs; without it they are built here.
const binEnv = "KIOSKD_BIN"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getenv(victimEnv) != "" { // a far side, inside already
		return m.Run()
	}
	if !stage.Inside() {
		return outside()
	}
	if err := stage.Settle(true); err != nil {
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

// outside builds what is not built yet and runs the tests in namespaces.
func outside() int {
	if os.Getenv(binEnv) == "" {
		dir, err := os.MkdirTemp("", "kioskd-bin")
		if err == nil {
			defer func() { _ = os.RemoveAll(dir) }()
			err = errors.Join(os.Chmod(dir, 0o711), buildPrograms(dir)) // a scene runs kioskd as another user
		}
		if err == nil {
			err = os.Setenv(binEnv, dir)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot build the programs:", err)
			return 1
		}
	}
	code, err := stage.Enter(os.Args[1:], true)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	return code
}

func buildPrograms(dir string) error {
	for _, p := range []string{"kioskd", "kioskctl", "kioskscreen", "clinicsim", "fakecam"} {
		cmd := exec.CommandContext(context.Background(), "go", "build", "-o", filepath.Join(dir, p), "kioskd/cmd/"+p)
		if out, err := cmd.CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w\n%s", p, err, out)
		}
	}
	return nil
}
