// Package clock asks the kernel about its clocks: whether somebody keeps the wall
// clock right, and how long the machine has run, which nobody can set.
//
// It owns no goroutine but Watch's caller's. Imported by daemon; it imports the
// standard library and x/sys/unix.
package clock

import (
	"context"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// synchronized is made by systemd-timesyncd once it has set the clock
// (systemd-timesyncd.service(8)).
const synchronized = "/run/systemd/timesync/synchronized"

// Synchronised says whether somebody keeps the wall clock right: the kernel's
// STA_UNSYNC is clear (adjtimex(2): ntpd, chrony), or systemd-timesyncd says so.
func Synchronised() bool {
	var t unix.Timex
	if state, err := unix.Adjtimex(&t); err == nil && state != unix.TIME_ERROR && t.Status&unix.STA_UNSYNC == 0 {
		return true
	}
	_, err := os.Stat(synchronized)
	return err == nil
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
func Watch(ctx context.Context, synchronised func() bool, tell func(synchronised bool)) {
	was := synchronised()
	tell(was)
	timer := time.NewTimer(pause(was))
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		if is := synchronised(); is != was {
			was = is
			tell(is)
		}
		timer.Reset(pause(was))
	}
}

func pause(synchronised bool) time.Duration {
	if synchronised {
		return lookSynchronised
	}
	return lookUnsynchronised
}
