package main_test

import (
	"net/http"
	"os/exec"
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
