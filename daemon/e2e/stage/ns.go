// Package stage puts a whole call on one machine: a camera, a microphone, the
// backend with the clinician's page, the daemon and the touchscreen's door, each
// as the real program in a process of its own, plus a headless Chromium to look
// at both pages. The whole-system tests and cmd/demo share it.
//
// It owns every process it starts and every file below Options.Dir. Imported by
// daemon/e2e and cmd/demo only.
package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"syscall"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/camns"
)

// insideEnv marks the process that runs inside the namespaces.
const insideEnv = "KIOSKD_STAGE_INSIDE"

// networkEnv tells it that its network is a fresh one.
const networkEnv = "KIOSKD_STAGE_NETWORK"

// Inside reports whether this process was started by Enter.
func Inside() bool { return os.Getenv(insideEnv) == "1" }

// Enter runs this very program again as process 1 of new mount and pid
// namespaces and returns its exit code. What it mounts is private to it, and
// whatever it starts ends with it, however it ends. SIGINT and SIGTERM are
// passed on. Needs root. With network it gets a network of its own too, in which
// nothing but the machine itself is reached.
func Enter(args []string, network bool) (int, error) {
	self, err := os.Executable()
	if err != nil {
		return 1, fmt.Errorf("cannot find this program's own file: %w", err)
	}
	// Pdeathsig follows the thread that forked, so it must live as long as we do.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	cmd := exec.CommandContext(context.Background(), self, args...)
	cmd.Env = append(os.Environ(), insideEnv+"=1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL,
		Setpgid: true, // a Ctrl-C reaches us alone, and we pass it on once
	}
	if network {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWNET
		cmd.Env = append(cmd.Env, networkEnv+"=1")
	}
	sig := make(chan os.Signal, 4)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(sig)
	if err := cmd.Start(); err != nil {
		return 1, fmt.Errorf("cannot make the namespaces for the fake camera (run as root): %w", err)
	}
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	for {
		select {
		case s := <-sig:
			// It may have ended just now: Wait says so next.
			_ = cmd.Process.Signal(s)
		case err := <-done:
			var exit *exec.ExitError
			if err != nil && !errors.As(err, &exit) {
				return 1, fmt.Errorf("cannot run inside the namespaces: %w", err)
			}
			return cmd.ProcessState.ExitCode(), nil
		}
	}
}

// Settle makes the namespaces usable: a /proc of their own, private device folders
// for a fake camera, a place for temporary files. Call it first thing inside.
func Settle(fakeCamera bool) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	if err := unix.Mount("proc", "/proc", "proc", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, ""); err != nil {
		return fmt.Errorf("cannot mount /proc: %w", err)
	}
	if os.Getenv(networkEnv) == "1" {
		if err := settleNetwork(); err != nil {
			return err
		}
	}
	if fakeCamera {
		if err := camns.Setup(); err != nil {
			return err
		}
	}
	// For temporary files: private, in memory, and with short paths, since a
	// browser makes sockets among them.
	if err := unix.Mount("scratch", scratch, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV, "mode=1777"); err != nil {
		return fmt.Errorf("cannot mount %s: %w", scratch, err)
	}
	return nil
}

// scratch is where temporary files go, inside.
const scratch = "/dev/shm"
