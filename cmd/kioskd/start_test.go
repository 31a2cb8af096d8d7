package main_test

import (
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// mounted mounts a box's small disk anew, ro or rw.
func mounted(t *testing.T, b *box, enter []string, how string) {
	t.Helper()
	args := append(enter[1:len(enter):len(enter)], "mount", "-o", "remount,"+how, b.state)
	if out, err := exec.CommandContext(t.Context(), enter[0], args...).CombinedOutput(); err != nil {
		t.Fatalf("cannot mount the disk %s: %v, %s", how, err, out)
	}
}

// hears waits until a daemon has told systemd something with these words in it.
func (d *daemon) hears(t *testing.T, words string) {
	t.Helper()
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	for {
		select {
		case said := <-d.status:
			if strings.Contains(said, words) {
				return
			}
		case <-deadline.C:
			t.Fatalf("systemd is not told %q", words)
		}
	}
}

// TestStartWithoutADisk: on a disk that is read-only (ext4 makes it so after an error)
// no start succeeds. Each says why and takes its time, so that systemd, which has no
// limit to the starts, does not spin; a stop meanwhile is obeyed at once. When the disk
// is mended the session goes on. Needs root.
func TestStartWithoutADisk(t *testing.T) {
	b := newBox(t, newClinic(t))
	enter, _ := smallDisk(t, b)
	d := b.must(t, enter...)
	if got, _ := b.command(t, http.MethodPut, apitype.RouteSession, `{"appointment_id":"a-1"}`); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	d.end()
	mounted(t, b, enter, "ro")
	for _, stopped := range []bool{false, true} {
		d, err := b.start(nil, enter...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(d.end)
		d.hears(t, "read-only file system")
		told := time.Now()
		if stopped {
			if err := d.cmd.Process.Signal(syscall.SIGTERM); err != nil {
				t.Fatal(err)
			}
		}
		if err := d.gone(wait); err != nil {
			t.Fatal(err)
		}
		took := time.Since(told)
		if code := d.cmd.ProcessState.ExitCode(); code != 1 || stopped != (took < 2*time.Second) {
			t.Errorf("told to stop: %t; it ended after %v with code %d", stopped, took, code)
		}
	}
	mounted(t, b, enter, "rw")
	b.must(t, enter...)
	if s, err := b.api.Session(t.Context()); err != nil || s == nil || s.AppointmentID != "a-1" {
		t.Errorf("then the session is %+v, %v", s, err)
	}
}

// TestSafeModeWithoutADisk: where safe mode is wanted, the control API runs alone on such
// a disk, and says why; what only the store knows is not made up. It goes on by itself
// when the disk is mended, also with one that was damaged. Needs root.
func TestSafeModeWithoutADisk(t *testing.T) {
	b := newBox(t, newClinic(t))
	b.safe = true
	enter, dir := smallDisk(t, b)
	d := b.must(t, enter...)
	if got, _ := b.command(t, http.MethodPut, apitype.RouteSession, `{"appointment_id":"a-1"}`); got.status != http.StatusOK {
		t.Fatalf("%+v", got)
	}
	d.end()
	mounted(t, b, enter, "ro")
	d = b.must(t, enter...)
	d.hears(t, "Safe mode: cannot open the store")
	s, err := b.api.Status(t.Context())
	if err != nil || s.Session != nil || len(s.Conditions) != 1 || s.Conditions[0].Code != "safe_mode" {
		t.Errorf("the status is %+v, %v", s, err)
	}
	for route, method := range map[string]string{
		apitype.RouteSession: http.MethodPut, apitype.RouteAudit: http.MethodGet, apitype.RouteReports: http.MethodGet,
		apitype.RouteReports + "/r1": http.MethodGet,
	} {
		if got, _ := b.command(t, method, route, ""); got.code() != apitype.CodeSafeMode {
			t.Errorf("%s is answered with %d, %s", route, got.status, got.body)
		}
	}
	mounted(t, b, enter, "rw")
	if err := d.gone(wait); err != nil || d.cmd.ProcessState.ExitCode() != 75 {
		t.Fatalf("it ends with code %d, %v", d.cmd.ProcessState.ExitCode(), err)
	}
	d = b.must(t, enter...)
	if s, err := b.api.Status(t.Context()); err != nil || s.Session == nil || s.Session.AppointmentID != "a-1" {
		t.Errorf("then the status is %+v, %v", s, err)
	}
	d.end()
	if err := os.WriteFile(filepath.Join(dir, "kiosk.db"), make([]byte, 8192), 0o600); err != nil {
		t.Fatal(err)
	}
	mounted(t, b, enter, "ro")
	d = b.must(t, enter...)
	mounted(t, b, enter, "rw")
	if err := d.gone(wait); err != nil {
		t.Fatal(err)
	}
	b.must(t, enter...)
	if s, err := b.api.Status(t.Context()); err != nil || len(s.Conditions) == 0 || !slices.ContainsFunc(s.Conditions, func(c apitype.Condition) bool { return c.Code == "store_damaged" }) {
		t.Errorf("with a damaged store the status is %+v, %v", s, err)
	}
	if _, err := os.Stat(filepath.Join(b.dir, "no-store")); err == nil {
		t.Error("what stood in for the store is left")
	}
}
