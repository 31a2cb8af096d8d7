package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kioskd/systemd/promise"
)

// screenDies kills the touchscreen's program, under a user's own systemd: it comes back, and
// with it the browser in front of it, which opens the new link.
func screenDies(ctx context.Context, _ *lab) (figures string, err error) {
	const (
		within  = 15 * time.Second
		manager = unit("lab-user.service")
		launch  = runtimeDir + "/kioskscreen/launch.html"
		opened  = runtimeDir + "/opened.html"
		browser = "/usr/local/bin/lab-browser"
	)
	// The real one needs a screen. This one reads what it is to open, and stays.
	script := "#!/bin/sh\nfor last; do :; done\ncp \"${last#file://}\" " + opened + "\nexec sleep infinity\n"
	if err := os.WriteFile(browser, []byte(script), 0o755); err != nil { //nolint:gosec // a program
		return "", fmt.Errorf("cannot write the browser's stand-in: %w", err)
	}
	defer func() { err = errors.Join(err, os.Remove(browser)) }()
	// Its manager as user@.service starts it, but for PAM and logind, which a small machine
	// may lack.
	if err := os.MkdirAll(runtimeDir, 0o700); err != nil {
		return "", fmt.Errorf("cannot make the user's folder: %w", err)
	}
	_, err = output(ctx, "systemd-run", "--unit="+string(manager), "--service-type=notify", "-p", "Delegate=yes",
		"-E", "XDG_RUNTIME_DIR="+runtimeDir, "/lib/systemd/systemd", "--user")
	if err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, manager.do(ctx, "stop")) }()
	screen, front := userUnit("kioskscreen.service"), userUnit("kioskscreen-browser.service")
	if err := errors.Join(screen.do(ctx, "set-environment", "KIOSK_BROWSER="+browser), screen.do(ctx, "start", string(screen), string(front))); err != nil {
		return "", err
	}
	var was, is [2]int
	up := func() (bool, error) {
		for i, u := range []userUnit{screen, front} {
			pid, err := u.pid(ctx)
			if err != nil || pid == 0 || pid == was[i] {
				return false, err
			}
			is[i] = pid
		}
		written, err := os.ReadFile(launch)
		read, openErr := os.ReadFile(opened)
		return err == nil && openErr == nil && len(written) > 0 && string(written) == string(read), nil
	}
	if err := until(ctx, within, "page and browser", up); err != nil {
		return "", err
	}
	first, err := os.ReadFile(opened)
	if err != nil {
		return "", err
	}
	was = is
	began := time.Now()
	if err := syscall.Kill(was[0], syscall.SIGKILL); err != nil {
		return "", fmt.Errorf("cannot kill the touchscreen's program: %w", err)
	}
	if err := until(ctx, within, "page and browser again", up); err != nil {
		return "", err
	}
	took := time.Since(began)
	second, err := os.ReadFile(opened)
	if err == nil && string(first) == string(second) {
		err = errors.New("the browser opened the old link")
	}
	return fmt.Sprintf("kill -9 of kioskscreen: page and browser are new, with a new link, after %s", promise.MS(took)), err
}

// runtimeDir is root's XDG_RUNTIME_DIR, as in pam_systemd(8).
const runtimeDir = "/run/user/0"

// userUnit is a unit of root's own manager.
type userUnit string

func (u userUnit) ctl(ctx context.Context, args ...string) (string, error) {
	return output(ctx, "env", append([]string{"XDG_RUNTIME_DIR=" + runtimeDir, "systemctl", "--user"}, args...)...)
}

// do is systemctl --user with these words.
func (u userUnit) do(ctx context.Context, args ...string) error {
	_, err := u.ctl(ctx, args...)
	return err
}

// pid is the main process's where the unit is active, else 0.
func (u userUnit) pid(ctx context.Context) (int, error) {
	text, err := u.ctl(ctx, "show", string(u), "-p", "ActiveState,MainPID")
	if err != nil {
		return 0, err
	}
	p := promise.Fields(text)
	if p["ActiveState"] != "active" {
		return 0, nil
	}
	return strconv.Atoi(strings.TrimSpace(p["MainPID"]))
}
