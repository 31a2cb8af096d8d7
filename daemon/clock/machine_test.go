package clock

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Whether this machine's clock is kept right is not ours to say: the kernel's word and
// timesyncd's file decide, and both are asked here in another way.
func TestThisMachine(t *testing.T) {
	var kernel unix.Timex
	state, err := unix.Adjtimex(&kernel)
	if err != nil {
		t.Fatal(err)
	}
	_, told := os.Stat("/run/systemd/timesync/synchronized")
	want := No
	if state != unix.TIME_ERROR || told == nil {
		want = Yes
	}
	m := &Machine{}
	if got, asked := m.Synchronised(), m.Ask(t.Context()); got != want || asked != want {
		t.Errorf("it is %v, asked %v; the kernel's state is %d with status %#x, timesyncd's file: %v", got, asked, state, kernel.Status, told)
	}
}

// refuses is a kernel under ProtectClock=.
func refuses(*unix.Timex) (int, error) { return 0, unix.EPERM }

// Where the kernel refuses and nobody is there to ask, nothing is known.
func TestRefusedAndNobodyToAsk(t *testing.T) {
	dir := t.TempDir()
	m := &Machine{read: refuses, file: filepath.Join(dir, "synchronized"), bus: "unix:path=" + filepath.Join(dir, "none")}
	if got, asked := m.Synchronised(), m.Ask(t.Context()); got != Unknown || asked != Unknown {
		t.Errorf("it is %v, asked %v", got, asked)
	}
	if err := os.WriteFile(m.file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got, asked := m.Synchronised(), m.Ask(t.Context()); got != Yes || asked != Yes {
		t.Errorf("with timesyncd's word it is %v, asked %v", got, asked)
	}
}

// busConfig lets everybody own and call everything on a bus of the test's.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path=PATH</listen><auth>EXTERNAL</auth>
<policy context="default"><allow user="*"/><allow own="*"/><allow send_type="method_call"/><allow send_requested_reply="true"/>
<allow receive_type="method_call"/><allow receive_type="method_return"/><allow receive_type="error"/><allow receive_type="signal"/></policy>
</busconfig>`

// run starts a program and ends it with the test.
func run(t *testing.T, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), env...)
	var out strings.Builder
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		t.Fatalf("cannot start %s (make setup installs dbus and systemd): %v", name, err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("%s: %s", name, out.String())
		}
	})
}

// Where the kernel refuses, the real timedated says what the kernel says to it; who
// does not wait has its last answer.
func TestRefusedAndTimedatedAsked(t *testing.T) {
	dir := t.TempDir()
	socket := filepath.Join(dir, "bus")
	if err := os.WriteFile(filepath.Join(dir, "bus.conf"), []byte(strings.Replace(busConfig, "PATH", socket, 1)), 0o600); err != nil {
		t.Fatal(err)
	}
	run(t, nil, "dbus-daemon", "--nofork", "--config-file="+filepath.Join(dir, "bus.conf"))
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	await(ctx, t, "the bus", func() bool { _, err := os.Stat(socket); return err == nil })
	m := &Machine{read: refuses, file: filepath.Join(dir, "synchronized"), bus: "unix:path=" + socket}
	if asked := m.Ask(ctx); asked != Unknown {
		t.Errorf("a bus without timedated says %v", asked)
	}
	run(t, []string{"DBUS_SYSTEM_BUS_ADDRESS=unix:path=" + socket}, "/lib/systemd/systemd-timedated")
	var asked Answer
	await(ctx, t, "timedated's answer", func() bool { asked = m.Ask(ctx); return asked != Unknown })
	var kernel unix.Timex
	if _, err := unix.Adjtimex(&kernel); err != nil {
		t.Fatal(err)
	}
	// Its rule (systemd, ntp_synced()): a greatest error below 16 s.
	want := No
	if kernel.Maxerror < 16_000_000 {
		want = Yes
	}
	if asked != want || m.Synchronised() != want {
		t.Errorf("timedated says %v, remembered is %v, the kernel's greatest error is %d us", asked, m.Synchronised(), kernel.Maxerror)
	}
}

// await asks again and again until ctx ends.
func await(ctx context.Context, t *testing.T, what string, ask func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !ask() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatalf("%s did not come", what)
		}
	}
}
