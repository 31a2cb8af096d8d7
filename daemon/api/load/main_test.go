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
	if err := errors.Join(stage.Settle(false), build(), groups()); err != nil {
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

// groups gives these namespaces an /etc of their own, with the groups kiosk and
// kiosk-tech. The folder, not the file: who makes a group outside puts a new file in the
// place of the old one, and a mount on that would be gone.
func groups() error {
	etc := filepath.Join(scratch, "etc")
	if err := os.Mkdir(etc, 0o755); err != nil {
		return fmt.Errorf("cannot make another /etc: %w", err)
	}
	for _, name := range []string{"passwd", "group", "nsswitch.conf", "ld.so.cache", "localtime"} {
		b, err := os.ReadFile(filepath.Join("/etc", name))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if name == "group" {
			b = fmt.Appendf(b, "kiosk:x:%d:\nkiosk-tech:x:%d:\n", screenGID, techGID)
		}
		if err := errors.Join(err, os.WriteFile(filepath.Join(etc, name), b, 0o644)); err != nil {
			return fmt.Errorf("cannot copy /etc/%s: %w", name, err)
		}
	}
	if err := unix.Mount(etc, "/etc", "", unix.MS_BIND, ""); err != nil {
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
			err = os.WriteFile(scratch+"/kioskd", b, 0o755)
		}
		if err != nil {
			return fmt.Errorf("cannot take the built kioskd: %w", err)
		}
	}
	for _, p := range programs {
		if out, err := exec.Command("go", "build", "-trimpath", "-o", scratch+"/", p).CombinedOutput(); err != nil {
			return fmt.Errorf("cannot build %s: %w\n%s", p, err, out)
		}
	}
	return nil
}
