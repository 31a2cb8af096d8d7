package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"kioskd/systemd/promise"
)

// kiosk0 is up, addressed and without a route; it does not count as a network.
func kiosk0(ctx context.Context, l *lab) (figures string, err error) {
	address, err := output(ctx, "ip", "-o", "-4", "address", "show", "dev", "kiosk0", "up")
	if err != nil {
		return "", err
	}
	routes, err := output(ctx, "ip", "route", "show", "dev", "kiosk0")
	if err != nil {
		return "", err
	}
	if !strings.Contains(address, "192.0.0.8/32") || strings.TrimSpace(routes) != "" {
		return "", fmt.Errorf("its addresses are %q, its routes %q", address, routes)
	}
	kind, err := output(ctx, "ip", "-d", "link", "show", "dev", "kiosk0")
	if err != nil {
		return "", err
	}
	driver := "dummy"
	if !strings.Contains(kind, "dummy") {
		driver = "veth"
	}
	// With loopback not counted it is the only interface with an address.
	if err := errors.Join(l.settings(strings.Replace(config(smallWidth, smallHeight), "loopback_counts = true", "loopback_counts = false", 1)), l.unit.do(ctx, "restart")); err != nil {
		return "", err
	}
	defer func() { err = errors.Join(err, l.end(ctx), l.configure(""), l.unit.do(ctx, "restart")) }()
	if _, err := l.open(ctx); err != nil {
		return "", err
	}
	err = until(ctx, callWithin, "network_unavailable", func() (bool, error) {
		s, err := l.session(ctx)
		return err == nil && s != nil && s.Error != nil && s.Error.Code == "network_unavailable", err
	})
	return fmt.Sprintf("%s, 192.0.0.8/32, up, no route; alone it is no network: network_unavailable", driver), err
}

// sealed has the token and the store's key encrypted with the machine's own key, as
// sealed-credentials.conf of the package's examples says.
func sealed(ctx context.Context, l *lab) (figures string, err error) {
	if err := l.end(ctx); err != nil {
		return "", err
	}
	const token, key, plainKey = "/etc/kioskd/backend-token.sealed", "/etc/kioskd/store-key.sealed", "/run/store-key" //nolint:gosec // paths
	now, err := os.ReadFile("/var/lib/kioskd/machine.key")
	if err != nil {
		return "", fmt.Errorf("cannot read the store's key: %w", err)
	}
	if err := os.WriteFile(plainKey, now, 0o600); err != nil {
		return "", fmt.Errorf("cannot write the store's key: %w", err)
	}
	example, err := os.ReadFile("/usr/share/doc/kioskd/examples/sealed-credentials.conf")
	if err != nil {
		return "", fmt.Errorf("cannot read the package's example: %w", err)
	}
	at := filepath.Join(dropIns, "sealed.conf")
	if err := errors.Join(os.MkdirAll(dropIns, 0o755), os.WriteFile(at, example, 0o644)); err != nil { //nolint:gosec // a system's files
		return "", fmt.Errorf("cannot put the example in its place: %w", err)
	}
	const plain, away = "/etc/kioskd/backend-token", "/etc/kioskd/backend-token.away"
	defer func() {
		err = errors.Join(err, l.end(ctx), os.Rename(away, plain), os.Remove(at))
		_, reload := output(ctx, "systemctl", "daemon-reload")
		err = errors.Join(err, reload, l.unit.do(ctx, "restart"))
	}()
	for _, step := range [][]string{
		{"systemd-creds", "encrypt", "--with-key=host", "--name=backend-token", plain, token},
		{"systemd-creds", "encrypt", "--with-key=host", "--name=store-key", plainKey, key},
		{"mv", plain, away},
		{"systemctl", "daemon-reload"},
		{"systemctl", "restart", string(l.unit)},
	} {
		if _, err := output(ctx, step[0], step[1:]...); err != nil {
			return "", err
		}
	}
	audit, err := l.kiosk.Audit(ctx, 10)
	if err != nil {
		return "", err
	}
	if !audit.Intact {
		return "", errors.New("the journal of before is broken: it is another key")
	}
	began := time.Now()
	if err := l.begin(ctx); err != nil {
		return "", err
	}
	return fmt.Sprintf("LoadCredentialEncrypted for token and store key, plain token gone: the journal is whole, a call active after %s", promise.MS(time.Since(began))), nil
}

// mended: a daemon whose settings are refused says so, does not spin, and comes up by
// itself once the file is right.
func mended(ctx context.Context, l *lab) (string, error) {
	const look, within = 10 * time.Second, 10 * time.Second
	if err := l.end(ctx); err != nil {
		return "", err
	}
	if err := l.settings("[backend]\nurl = \"\"\n[camera]\nfsp = 15\n"); err != nil {
		return "", err
	}
	before, err := l.unit.show(ctx, "NRestarts")
	if err != nil {
		return "", err
	}
	if err := l.unit.do(ctx, "restart", "--no-block"); err != nil {
		return "", err
	}
	if err := promise.Pause(ctx, look); err != nil {
		return "", err
	}
	after, err := l.unit.show(ctx, "NRestarts", "StatusText", "ActiveState")
	if err != nil {
		return "", err
	}
	log, err := output(ctx, "journalctl", "-t", "kioskd", "-n", "20", "--no-pager", "-o", "cat")
	if err == nil && !strings.Contains(log, "kioskd.toml:4:") {
		err = fmt.Errorf("the log does not name the line:\n%s", log)
	}
	var first, last int
	_, scanErr := fmt.Sscan(before["NRestarts"]+" "+after["NRestarts"], &first, &last)
	starts := last - first
	if starts < 0 || first > 0 && last < first {
		starts = last
	}
	if err = errors.Join(err, scanErr); err == nil && (starts < 1 || starts > 6) {
		err = fmt.Errorf("%d starts in %v", starts, look)
	}
	began := time.Now()
	err = errors.Join(err, l.configure(""))
	if _, upErr := l.unit.active(ctx, 0, within); upErr != nil {
		err = errors.Join(err, upErr)
	}
	return fmt.Sprintf("%d starts in %v, status %q; mended, it is up after %s", starts, look, after["StatusText"], promise.MS(time.Since(began))), err
}

// clockKnown: the sandbox keeps adjtimex from kioskd, so it has to have timesyncd's word
// or timedated's, and where neither is there it must not claim anything.
func clockKnown(ctx context.Context, _ *lab) (string, error) {
	const within = 15 * time.Second
	want, from := "unknown", "nobody"
	text, err := output(ctx, "busctl", "get-property", "org.freedesktop.timedate1", "/org/freedesktop/timedate1", "org.freedesktop.timedate1", "NTPSynchronized")
	if answer, is := map[string]string{"b true": "yes", "b false": "no"}[strings.TrimSpace(text)]; err == nil && is {
		want, from = answer, "timedated"
	}
	if _, err := os.Stat("/run/systemd/timesync/synchronized"); err == nil {
		want, from = "yes", "timesyncd"
	}
	said := ""
	err = until(ctx, within, "kioskd's word on the clock", func() (bool, error) {
		log, err := output(ctx, "journalctl", "-t", "kioskd", "--no-pager", "-o", "cat")
		for line := range strings.Lines(log) {
			if word, is := strings.CutPrefix(strings.TrimSpace(line), "clock synchronised="); is {
				said = word
			}
		}
		return said == want, err
	})
	return fmt.Sprintf("%s says %s, kioskd inside its sandbox says %s", from, want, said), err
}
