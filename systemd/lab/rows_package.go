package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
	"kioskd/systemd/vm/farside"
)

// upgrade installs a newer package in a call, which comes back by itself.
func upgrade(ctx context.Context, l *lab) (string, error) {
	const within = 15 * time.Second
	if l.o.Upgrade == "" {
		return "", fmt.Errorf("%w: no newer package was given", errLeftOut)
	}
	if err := l.begin(ctx); err != nil {
		return "", err
	}
	pid, err := l.unit.pid(ctx)
	if err != nil {
		return "", err
	}
	began := time.Now()
	if _, err := output(ctx, "dpkg", "--install", "--no-triggers", "--force-depends", "--force-confold", insideNew); err != nil {
		return "", err
	}
	took := time.Since(began)
	again, err := l.unit.active(ctx, pid, within)
	if err == nil {
		err = l.await(ctx, apitype.StateActive, within)
	}
	if err != nil {
		return "", err
	}
	p, err := l.unit.show(ctx, "ActiveEnterTimestampMonotonic")
	if err != nil {
		return "", err
	}
	started, err := sinceBoot(p)
	if err != nil {
		return "", err
	}
	gap, err := l.far.Await(ctx, farside.Live, started, within)
	version, verErr := output(ctx, "dpkg-query", "-W", "-f=${Version}", "kioskd")
	return fmt.Sprintf("dpkg took %.1f s, version %s, process %d became %d, the far side sees the kiosk %s after READY", took.Seconds(), version, pid, again, promise.MS(gap)), errors.Join(err, verErr)
}

// sinceBoot turns systemd's clock into ours.
func sinceBoot(p map[string]string) (time.Time, error) {
	at, err := microseconds(p, "ActiveEnterTimestampMonotonic")
	if err != nil {
		return time.Time{}, err
	}
	now, err := monotonic()
	return time.Now().Add(at - now), err
}

// removal takes the package away, then what it left.
func removal(ctx context.Context, l *lab) (string, error) {
	if err := l.end(ctx); err != nil {
		return "", err
	}
	l.kiosk.Close()
	if _, err := output(ctx, "dpkg", "--remove", "--no-triggers", "--force-depends", "kioskd"); err != nil {
		return "", err
	}
	var errs []error
	want := func(when string, there bool, paths ...string) {
		for _, p := range paths {
			if _, err := os.Lstat(p); (err == nil) != there {
				errs = append(errs, fmt.Errorf("after the %s %s is there: %t", when, p, err == nil))
			}
		}
	}
	p, err := l.unit.show(ctx, "ActiveState")
	if err != nil {
		return "", err
	}
	if p["ActiveState"] == "active" {
		errs = append(errs, errors.New("the service still runs"))
	}
	want("removal", true, "/etc/kioskd/kioskd.toml", "/etc/kioskd/backend-token", "/var/lib/kioskd/kiosk.db")
	want("removal", false, "/usr/bin/kioskd", "/lib/systemd/system/kioskd.service", "/run/kioskd")
	if _, err := output(ctx, "dpkg", "--purge", "--no-triggers", "kioskd"); err != nil {
		return "", err
	}
	want("purge", false, "/etc/kioskd", "/var/lib/kioskd", "/etc/systemd/system/kioskd.service", "/etc/systemd/system/kioskd.socket",
		"/etc/systemd/system/multi-user.target.wants/kioskd.service", "/etc/systemd/system/sockets.target.wants/kioskd.socket")
	left, err := leftovers()
	if len(left) > 0 {
		errs = append(errs, fmt.Errorf("left over: %s", strings.Join(left, ", ")))
	}
	_, userErr := output(ctx, "getent", "passwd", "kioskd")
	return "removed: settings, secrets and store stay, the rest goes; purged: nothing but the user and the groups stays", errors.Join(append(errs, err, userErr)...)
}

// leftovers are files with our name where packages put theirs.
func leftovers() ([]string, error) {
	var found []string
	var errs []error
	for _, pattern := range []string{
		"/lib/systemd/system/kiosk*", "/usr/lib/systemd/user/kiosk*", "/usr/lib/kioskd", "/usr/bin/kiosk*", "/lib/udev/rules.d/*kioskd*",
		"/etc/xdg/autostart/kiosk*", "/usr/share/doc/kioskd", "/usr/share/man/man*/kiosk*", "/var/lib/systemd/deb-systemd-helper-enabled/kiosk*",
		"/var/lib/systemd/deb-systemd-helper-enabled/*/kiosk*", "/var/lib/systemd/deb-systemd-helper-masked/kiosk*",
		"/etc/systemd/system/*/kiosk*", "/usr/lib/sysusers.d/kioskd*", "/usr/lib/tmpfiles.d/kioskd*", "/run/kioskd",
	} {
		list, err := filepath.Glob(pattern)
		found, errs = append(found, list...), append(errs, err)
	}
	return found, errors.Join(errs...)
}
