// Package privacy_test checks from outside that the daemon holds what the last commands
// say and nothing else: the real daemon, with real V4L2 cameras and a real sound server,
// and the cameras' own count of who has them open.
package privacy_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"

	"go.uber.org/goleak"

	"kioskd/cmd/fakecam/camns"
)

const fakecamEnv = "PRIVACY_TEST_FAKECAM"

// TestMain builds fakecam and starts the test binary once more in a mount namespace with
// devices of its own.
func TestMain(m *testing.M) {
	if os.Getenv(fakecamEnv) != "" {
		if err := camns.Setup(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		goleak.VerifyTestMain(m)
	}
	code, err := rerun()
	if err != nil {
		fmt.Fprintln(os.Stderr, "cannot test what is held:", err)
	}
	os.Exit(code)
}

func rerun() (int, error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("run the tests as root: fakecam mounts a filesystem")
	}
	dir, err := os.MkdirTemp("", "privacy-test")
	if err != nil {
		return 1, err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	bin := filepath.Join(dir, "fakecam")
	if built := os.Getenv("KIOSKD_BIN"); built != "" { // make has built it
		bin = filepath.Join(built, "fakecam")
	} else if out, err := exec.Command("go", "build", "-o", bin, "kioskd/cmd/fakecam").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("cannot build fakecam: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return 1, err
	}
	cmd := exec.Command(self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), fakecamEnv+"="+bin, "HOME="+dir, "XDG_CONFIG_HOME="+dir, "PULSE_RUNTIME_PATH="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	}
	return 0, err
}
