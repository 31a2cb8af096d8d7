// Package camtest has a package's tests run where fakecam can mount its devices: in a
// mount namespace of their own, where nothing of the machine can be touched. May be
// imported by tests only; as root.
package camtest

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"kioskd/cmd/fakecam/camns"
)

const fakecamEnv = "CAMTEST_FAKECAM"

// Fakecam is fakecam's binary, inside the namespace.
func Fakecam() string { return os.Getenv(fakecamEnv) }

// Enter is for the beginning of a TestMain. Inside the namespace it sets it up and returns;
// outside of it it builds fakecam, runs the test binary once more in there, with a home
// of its own for libpulse, and ends this one with its code.
func Enter() {
	if Fakecam() == "" {
		code, err := rerun()
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot run the tests with fakecam:", err)
		}
		os.Exit(code)
	}
	// A fuzzing worker is a child that shares the namespace.
	worker := slices.ContainsFunc(os.Args, func(a string) bool { return strings.HasPrefix(a, "-test.fuzzworker") })
	if err := camns.Setup(); err != nil && !worker {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func rerun() (code int, err error) {
	if os.Geteuid() != 0 {
		return 1, errors.New("run them as root: fakecam mounts a filesystem")
	}
	dir, err := os.MkdirTemp("", "camtest")
	if err != nil {
		return 1, fmt.Errorf("cannot make a folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx := context.Background() // a test binary ends by its own -timeout
	bin := filepath.Join(dir, "fakecam")
	if built := os.Getenv("KIOSKD_BIN"); built != "" { // make has built it
		bin = filepath.Join(built, "fakecam")
	} else if out, err := exec.CommandContext(ctx, "go", "build", "-o", bin, "kioskd/cmd/fakecam").CombinedOutput(); err != nil {
		return 1, fmt.Errorf("cannot build fakecam: %w\n%s", err, out)
	}
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("cannot find the tests: %w", err)
	}
	cmd := exec.CommandContext(ctx, self, os.Args[1:]...)
	cmd.Env = append(os.Environ(), fakecamEnv+"="+bin, "HOME="+dir, "XDG_CONFIG_HOME="+dir, "PULSE_RUNTIME_PATH="+dir)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	err = cmd.Run()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		return max(exit.ExitCode(), 1), nil
	} else if err != nil {
		return 1, fmt.Errorf("cannot run them in a namespace: %w", err)
	}
	return 0, nil
}
