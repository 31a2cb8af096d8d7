// Package load_test holds the real daemon's control API under load: clients, stalled
// readers, slow heads and dialers are processes of other users. It needs root, and
// runs in namespaces of its own.
package load_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kioskd/daemon/e2e/stage"
)

// The users of the load. The groups exist inside the namespaces only.
const (
	screenGID = 61001
	techGID   = 61002
	daemonUID = 61000
)

// scratch is private to the namespaces.
const scratch = "/dev/shm"

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "skipped: only root can be several users")
		return 0
	}
	if !stage.Inside() {
		code, err := stage.Enter(os.Args[1:], true)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
		}
		return code
	}
	if err := errors.Join(stage.Settle(false), groups(), build()); err != nil {
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

// groups puts the groups kiosk and kiosk-tech into this namespace's /etc/group.
func groups() error {
	before, err := os.ReadFile("/etc/group")
	if err != nil {
		return fmt.Errorf("cannot read the groups: %w", err)
	}
	path := filepath.Join(scratch, "group")
	more := fmt.Sprintf("kiosk:x:%d:\nkiosk-tech:x:%d:\n", screenGID, techGID)
	if err := os.WriteFile(path, append(before, more...), 0o644); err != nil { //nolint:gosec // everybody reads the groups
		return fmt.Errorf("cannot write the groups: %w", err)
	}
	if err := unix.Mount(path, "/etc/group", "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("cannot put the groups in place: %w", err)
	}
	return nil
}

// build puts the programs in place as they are shipped, without the race detector: it is
// the figures that count here. A daemon that was built already is taken.
func build() error {
	programs := []string{"kioskd/cmd/kioskd", "kioskd/daemon/api/load/hammer"}
	if dir := os.Getenv("KIOSKD_BIN"); dir != "" {
		programs = programs[1:]
		b, err := os.ReadFile(filepath.Join(dir, "kioskd"))
		if err == nil {
			err = os.WriteFile(scratch+"/kioskd", b, 0o755) //nolint:gosec // others run it
		}
		if err != nil {
			return fmt.Errorf("cannot take the built kioskd: %w", err)
		}
	}
	for _, p := range programs {
		if out, err := exec.Command("go", "build", "-trimpath", "-o", scratch+"/", p).CombinedOutput(); err != nil { //nolint:noctx // the go command ends
			return fmt.Errorf("cannot build %s: %w\n%s", p, err, out)
		}
	}
	return nil
}
