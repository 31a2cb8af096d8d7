// Package clock asks the machine about its clocks: whether somebody keeps the wall
// clock right, and how long the machine has run, which nobody can set.
//
// It owns no goroutine that outlives a question, and Watch runs on its caller's.
// Imported by daemon; it imports the standard library, x/sys/unix and godbus.
package clock

import (
	"context"
	"os"
	"strings"
	"sync/atomic"
	"time"

	"github.com/godbus/dbus/v5"
	"golang.org/x/sys/unix"
)

// Answer is what is known of the wall clock.
type Answer int32

// The answers. The zero one: nobody says.
const (
	Unknown Answer = iota
	No             // nobody keeps it right
	Yes
)

// String is "unknown", "no" or "yes".
func (a Answer) String() string {
	switch a {
	case No:
		return "no"
	case Yes:
		return "yes"
	case Unknown:
	}
	return "unknown"
}

// synchronized is made by systemd-timesyncd once it has set the clock
// (systemd-timesyncd.service(8)).
const synchronized = "/run/systemd/timesync/synchronized"

// Machine asks whether somebody keeps the wall clock right: the kernel (adjtimex(2):
// STA_UNSYNC is clear, for ntpd and chrony), systemd-timesyncd's file, and, where the
// kernel refuses to answer (ProtectClock= of systemd.exec(5) does that), timedated,
// which asks the kernel itself (org.freedesktop.timedate1(5), NTPSynchronized). The
// zero Machine is ready. Safe for concurrent use.
type Machine struct {
	bus   string // the bus's address; "": the system's
	file  string // "": synchronized
	read  func(*unix.Timex) (int, error)
	heard atomic.Int32 // timedated's last Answer
}

// Synchronised never waits: where the kernel refuses, timedated's last answer counts.
func (m *Machine) Synchronised() Answer {
	a, refused := m.local()
	if refused {
		a = Answer(m.heard.Load())
	}
	return a
}

// Ask asks timedated where the kernel refuses, until ctx ends.
func (m *Machine) Ask(ctx context.Context) Answer {
	a, refused := m.local()
	if refused {
		a = m.timedated(ctx)
		m.heard.Store(int32(a))
	}
	return a
}

// local is what can be known at once; refused: the kernel does not say.
func (m *Machine) local() (a Answer, refused bool) {
	read, file := m.read, m.file
	if read == nil {
		read = unix.Adjtimex
	}
	if file == "" {
		file = synchronized
	}
	var t unix.Timex // no modes: it only reads
	state, err := read(&t)
	if err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0 {
		return Yes, false
	}
	if _, statErr := os.Stat(file); statErr == nil {
		return Yes, false
	}
	if err != nil {
		return Unknown, true
	}
	return No, false
}

// busWithin bounds a question to timedated, which may have to be started for it.
const busWithin = 5 * time.Second

func (m *Machine) timedated(ctx context.Context) Answer {
	ctx, cancel := context.WithTimeout(ctx, busWithin)
	defer cancel()
	address := m.bus
	if address == "" {
		address = "unix:path=/run/dbus/system_bus_socket" // D-Bus Specification, "system message bus"
	}
	conn, err := dbus.Connect(address, dbus.WithContext(ctx))
	if err != nil {
		return Unknown // a machine without the bus
	}
	defer func() { _ = conn.Close() }() // it only asked
	var kept dbus.Variant
	err = conn.Object("org.freedesktop.timedate1", "/org/freedesktop/timedate1").
		CallWithContext(ctx, "org.freedesktop.DBus.Properties.Get", 0, "org.freedesktop.timedate1", "NTPSynchronized").Store(&kept)
	yes, is := kept.Value().(bool)
	switch {
	case err != nil || !is:
		return Unknown
	case yes:
		return Yes
	}
	return No
}

// Uptime names the machine's boot (random(4), boot_id) and tells the time since it,
// sleep included (clock_gettime(2), CLOCK_BOOTTIME). An empty boot: not known.
func Uptime() (boot string, since time.Duration) {
	id, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", 0
	}
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_BOOTTIME, &t); err != nil {
		return "", 0
	}
	return strings.TrimSpace(string(id)), time.Duration(t.Nano())
}

// How often Watch looks: nothing tells when a clock gets synchronised.
const (
	lookUnsynchronised = 2 * time.Second
	lookSynchronised   = time.Minute // the kernel takes its word back after hours without an update
)

// Watch tells at once, and at each change, whether the clock is synchronised, until
// ctx ends.
func Watch(ctx context.Context, ask func(context.Context) Answer, tell func(Answer)) {
	was := ask(ctx)
	tell(was)
	timer := time.NewTimer(pause(was))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if is := ask(ctx); is != was && ctx.Err() == nil {
			was = is
			tell(is)
		}
		timer.Reset(pause(was))
	}
}

func pause(a Answer) time.Duration {
	if a == Yes {
		return lookSynchronised
	}
	return lookUnsynchronised
}
