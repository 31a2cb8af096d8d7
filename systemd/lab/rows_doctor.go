package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
)

// doctorWithin is how long the doctor may take where nobody answers.
const doctorWithin = 10 * time.Second

// newcomer has the settings as the package brings them and no token, and does what
// the doctor says until nothing of that is left.
func newcomer(ctx context.Context, l *lab) (figures string, err error) {
	const within = 15 * time.Second
	const token, away = "/etc/kioskd/backend-token", "/etc/kioskd/backend-token.away" //nolint:gosec // paths
	if err := l.end(ctx); err != nil {
		return "", err
	}
	sample, err := output(ctx, "kioskctl", "config", "sample")
	if err != nil {
		return "", err
	}
	if err := errors.Join(os.Rename(token, away), l.settings(sample), l.unit.do(ctx, "restart", "--no-block")); err != nil {
		return "", err
	}
	defer func() { // as it was, also where the doctor said nothing of use
		err = errors.Join(err, os.Rename(away, token), l.configure(""), l.unit.do(ctx, "restart"))
	}()
	err = until(ctx, within, "kioskd that refuses its settings", func() (bool, error) {
		p, err := l.unit.show(ctx, "StatusText")
		return strings.HasPrefix(p["StatusText"], "Settings refused"), err
	})
	if err != nil {
		return "", err
	}
	began := time.Now()
	first, err := doctor(ctx)
	took := time.Since(began)
	if err != nil {
		return "", err
	}
	if took > doctorWithin {
		return "", fmt.Errorf("beside a daemon that does not come up it takes %v, more than %v", took, doctorWithin)
	}
	if c := first["daemon"]; c.Fault != "daemon_silent" {
		return "", fmt.Errorf("of a daemon that does not come up it says %+v", c)
	}
	if c := first["settings"]; c.Fault != "settings_wrong" || !strings.Contains(c.Command, "sudoedit /etc/kioskd/kioskd.toml") || !strings.Contains(c.Message, "backend.url") {
		return "", fmt.Errorf("of settings without a backend it says %+v", c)
	}
	if err := l.configure(""); err != nil {
		return "", err
	}
	if _, err := l.unit.active(ctx, 0, within); err != nil {
		return "", err
	}
	second, err := doctor(ctx)
	if err != nil {
		return "", err
	}
	c := second["token"]
	if c.Fault != "token_missing" || !strings.Contains(c.Command, token) {
		return "", fmt.Errorf("without a token it says %+v", c)
	}
	if c := second["settings"]; c.Result != apitype.CheckPass {
		return "", fmt.Errorf("of settings that are right it says %+v", c)
	}
	mend := exec.CommandContext(ctx, "sh", "-c", strings.ReplaceAll(c.Command, "sudo ", "")) //nolint:gosec // as it says
	mend.Stdin = strings.NewReader(l.token)
	if out, err := mend.CombinedOutput(); err != nil {
		return "", fmt.Errorf("cannot do what it says, %q: %w\n%s", c.Command, err, out)
	}
	if _, err := l.unit.active(ctx, 0, within); err != nil {
		return "", err
	}
	third, err := doctor(ctx)
	if err != nil {
		return "", err
	}
	if c := third["token"]; c.Result != apitype.CheckPass {
		return "", fmt.Errorf("after what it said it says %+v", c)
	}
	var left []string
	for _, c := range third {
		if c.Result == apitype.CheckFail {
			left = append(left, c.Fault)
		}
	}
	return fmt.Sprintf("first, after %s, %s: %q, then %s: %q; done as told, left: %q", promise.MS(took), "settings_wrong", first["settings"].Command, c.Fault, c.Command, left), nil
}

// doctor runs kioskctl doctor, and gives what it says by check.
func doctor(ctx context.Context) (map[string]apitype.Check, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, "kioskctl", "doctor", "--json", "--quick").Output()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) { // it ends with a number where something is wrong
		return nil, fmt.Errorf("cannot run the doctor: %w", err)
	}
	var said apitype.Checks
	if err := json.Unmarshal(out, &said); err != nil {
		return nil, fmt.Errorf("cannot read what the doctor says, %q: %w", out, err)
	}
	by := map[string]apitype.Check{}
	for _, c := range said.Checks {
		by[c.Code] = c
	}
	return by, nil
}
