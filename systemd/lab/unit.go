package main

import (
	"context"
	"errors"
	"fmt"
	"os/exec"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/systemd/promise"
)

// commandWithin bounds a command that is run.
const commandWithin = 60 * time.Second

// output runs a command and gives what it printed.
func output(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).CombinedOutput() //nolint:gosec // our own
	if err != nil {
		err = fmt.Errorf("cannot run %s %s: %w\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out), err
}

// unit is a unit's name.
type unit string

// do is systemctl VERB UNIT.
func (u unit) do(ctx context.Context, verb string, more ...string) error {
	_, err := output(ctx, "systemctl", append([]string{verb, string(u)}, more...)...)
	return err
}

// show asks for properties.
func (u unit) show(ctx context.Context, names ...string) (map[string]string, error) {
	text, err := output(ctx, "systemctl", "show", string(u), "-p", strings.Join(names, ","))
	return promise.Fields(text), err
}

// pid is the main process's; 0: there is none.
func (u unit) pid(ctx context.Context) (int, error) {
	p, err := u.show(ctx, "MainPID")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(p["MainPID"])
}

// pace is how often is asked whether something has come about.
const pace = 20 * time.Millisecond

// until asks again and again.
func until(ctx context.Context, within time.Duration, what string, ask func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	tick := time.NewTicker(pace)
	defer tick.Stop()
	for {
		ok, err := ask()
		if ok && err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return errors.Join(fmt.Errorf("cannot see %s within %v", what, within), err)
		}
	}
}

// active waits until the unit is, with another main process than the given one.
func (u unit) active(ctx context.Context, but int, within time.Duration) (pid int, err error) {
	err = until(ctx, within, string(u)+" active again", func() (bool, error) {
		p, err := u.show(ctx, "ActiveState", "MainPID")
		if err != nil {
			return false, err
		}
		pid, err = strconv.Atoi(p["MainPID"])
		return p["ActiveState"] == "active" && pid != 0 && pid != but, err
	})
	return pid, err
}

// microseconds reads a property of systemd's that is a time.
func microseconds(p map[string]string, name string) (time.Duration, error) {
	n, err := strconv.ParseInt(p[name], 10, 64)
	if err != nil {
		return 0, fmt.Errorf("cannot read %s=%q: %w", name, p[name], err)
	}
	return time.Duration(n) * time.Microsecond, nil
}

// monotonic is CLOCK_MONOTONIC, which systemd's ...Monotonic properties count.
func monotonic() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &t); err != nil {
		return 0, fmt.Errorf("cannot read the clock: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
