package systemd_test

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/sys/unix"

	"kioskd/systemd"
)

func TestNotifierSpeaksTheProtocol(t *testing.T) {
	m := newManager(t)
	n := systemd.NewNotifier()
	if !n.Present() {
		t.Fatal("NOTIFY_SOCKET is set, yet nobody is present")
	}
	for _, tt := range []struct {
		name string
		send func() error
		want string
	}{
		{"ready", func() error { return n.Ready("waiting for an appointment") }, "READY=1\nSTATUS=waiting for an appointment"},
		{"status", func() error { return n.Status("in a call") }, "STATUS=in a call"},
		{"empty status", func() error { return n.Status("") }, "STATUS="},
		{"two lines", func() error { return n.Status("a\nREADY=1\r\tb") }, "STATUS=a READY=1  b"},
		{"broken text", func() error { return n.Status("a\xffb\x00") }, "STATUS=a?b "},
		{"alive", n.Alive, "WATCHDOG=1"},
		{"stopping", n.Stopping, "STOPPING=1"},
	} {
		if err := tt.send(); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got := m.next(t, deadline); got != tt.want {
			t.Errorf("%s: sent %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestReloadingSaysWhen(t *testing.T) {
	m := newManager(t)
	var before, after unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &before); err != nil {
		t.Fatal(err)
	}
	if err := systemd.NewNotifier().Reloading(); err != nil {
		t.Fatal(err)
	}
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &after); err != nil {
		t.Fatal(err)
	}
	text, ok := strings.CutPrefix(m.next(t, deadline), "RELOADING=1\nMONOTONIC_USEC=")
	at, err := strconv.ParseInt(text, 10, 64)
	if !ok || err != nil || at < before.Nano()/1000 || at > after.Nano()/1000 {
		t.Errorf("sent %q, which is not between %d and %d", text, before.Nano()/1000, after.Nano()/1000)
	}
}

func TestStatusIsBounded(t *testing.T) {
	m := newManager(t)
	for _, text := range []string{strings.Repeat("a", 100_000), strings.Repeat("é", 300), "a" + strings.Repeat("é", 300)} {
		if err := systemd.NewNotifier().Status(text); err != nil {
			t.Fatal(err)
		}
		got := strings.TrimPrefix(m.next(t, deadline), "STATUS=")
		if len(got) > 200 || len(got) < 199 || !utf8.ValidString(got) || !strings.HasPrefix(text, got) {
			t.Errorf("%d bytes became %d: %q", len(text), len(got), got)
		}
	}
}

func TestNotifierWithoutSystemd(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := systemd.NewNotifier()
	if n.Present() {
		t.Fatal("somebody is present")
	}
	for name, err := range map[string]error{"ready": n.Ready("x"), "status": n.Status("x"), "alive": n.Alive(), "stopping": n.Stopping()} {
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestNotifierSaysWhatWasNotSent(t *testing.T) {
	m := newManager(t)
	n := systemd.NewNotifier()
	if err := m.conn.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.RemoveAll(os.Getenv("NOTIFY_SOCKET")); err != nil {
		t.Fatal(err)
	}
	err := n.Ready("x")
	if err == nil || !strings.HasPrefix(err.Error(), "cannot tell the service manager READY: ") {
		t.Errorf("got %v", err)
	}
}
