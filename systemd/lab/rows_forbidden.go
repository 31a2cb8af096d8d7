package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
)

// leastForbidden is the promise (X2).
const leastForbidden = 30

// forbidden runs the helper in the service's own sandbox, and once outside it, to see
// that it can see.
func forbidden(ctx context.Context, _ *lab) (string, error) {
	for path, mode := range map[string]os.FileMode{"/home/lab-secret": 0o666, "/root/lab-secret": 0o666, "/etc/lab-open": 0o666, "/usr/lab-open": 0o666, "/var/lib/lab-open": 0o666, "/opt/lab-open": 0o666} {
		if err := errors.Join(os.MkdirAll(path[:strings.LastIndex(path, "/")], 0o755), os.WriteFile(path, []byte("secret"), mode), os.Chmod(path, mode)); err != nil { //nolint:gosec // to be refused
			return "", fmt.Errorf("cannot prepare what is to be refused: %w", err)
		}
	}
	if err := os.Chmod("/root", 0o755); err != nil { //nolint:gosec // as above; this root goes with the lab
		return "", fmt.Errorf("cannot prepare what is to be refused: %w", err)
	}
	text, err := os.ReadFile("/lib/systemd/system/kioskd.service")
	if err != nil {
		return "", fmt.Errorf("cannot read the service: %w", err)
	}
	if err := os.WriteFile("/run/systemd/system/forbidden.service", []byte(asHelper(string(text))), 0o600); err != nil {
		return "", fmt.Errorf("cannot write the helper's service: %w", err)
	}
	if _, err := output(ctx, "systemctl", "daemon-reload"); err != nil {
		return "", err
	}
	_, err = output(ctx, "systemctl", "start", "forbidden.service")
	log, logErr := output(ctx, "journalctl", "-t", "forbidden", "--no-pager", "-o", "cat")
	refused, allowed := tally(log)
	_, outsideErr := output(ctx, "setpriv", "--reuid=kioskd", "--regid=kioskd", "--clear-groups", insideBin+"/forbidden")
	free, freeErr := output(ctx, "setpriv", "--reuid=kioskd", "--regid=kioskd", "--clear-groups", insideBin+"/forbidden", "-any")
	_, without := tally(free)
	switch {
	case errors.Join(err, logErr, freeErr) != nil:
		err = errors.Join(err, logErr, freeErr, fmt.Errorf("%s", log))
	case len(allowed) > 0:
		err = fmt.Errorf("allowed: %s", strings.Join(allowed, ", "))
	case len(refused) < leastForbidden:
		err = fmt.Errorf("only %d were tried", len(refused))
	case outsideErr == nil || len(without) < 10:
		err = fmt.Errorf("the helper cannot see: without the sandbox only %d are allowed", len(without))
	}
	return fmt.Sprintf("%d of %d refused (at least %d wanted); without the sandbox the same user may do %d of them", len(refused), len(refused)+len(allowed), leastForbidden, len(without)), err
}

// asHelper is the service with another program and no life of its own.
func asHelper(text string) string {
	var out []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		name, _, _ := strings.Cut(line, "=")
		switch name {
		case "ExecStart":
			line = "ExecStart=" + insideBin + "/forbidden"
		case "Type":
			line = "Type=oneshot"
		case "Restart", "WatchdogSec", "Requires", "Wants", "ExecReload", "RuntimeDirectory", "StateDirectory", "After":
			continue
		}
		out = append(out, line)
	}
	return strings.Join(out, "\n") + "\n"
}

// tally reads the helper's lines: WORD ACTION: ERROR.
func tally(log string) (refused, allowed []string) {
	for line := range strings.Lines(log) {
		word, action, _ := strings.Cut(strings.TrimSpace(line), " ")
		switch word {
		case "refused":
			refused = append(refused, action)
		case "ALLOWED":
			allowed = append(allowed, action)
		}
	}
	return refused, allowed
}
