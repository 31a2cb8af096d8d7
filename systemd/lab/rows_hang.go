package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	dropIns    = "/etc/systemd/system/kioskd.service.d"
	watchdog   = 5 * time.Second // WatchdogSec= of the unit
	hangMargin = 2 * time.Second
)

// faulty has the service run a kioskd that can be made to hang (build tag faults).
func (l *lab) faulty(ctx context.Context, on bool) error {
	at := filepath.Join(dropIns, "faults.conf")
	var err error
	if on {
		err = os.MkdirAll(dropIns, 0o755) //nolint:gosec // a system's folder
		text := "[Service]\nExecStart=\nExecStart=" + insideBin + "/kioskd-faults -config /etc/kioskd/kioskd.toml\n"
		if err == nil {
			err = os.WriteFile(at, []byte(text), 0o644) //nolint:gosec // a system's file
		}
	} else {
		err = os.Remove(at)
	}
	if err != nil {
		return fmt.Errorf("cannot change the service: %w", err)
	}
	if _, err := output(ctx, "systemctl", "daemon-reload"); err != nil {
		return err
	}
	l.leave()
	return l.unit.do(ctx, "restart")
}

// hangOf is R4 for one part: in a call it is made to hang, and systemd starts the
// service anew.
func hangOf(part string) func(context.Context, *lab) (string, error) {
	return func(ctx context.Context, l *lab) (figures string, err error) {
		if err := l.end(ctx); err != nil {
			return "", err
		}
		if err := l.faulty(ctx, true); err != nil {
			return "", err
		}
		defer func() { err = errors.Join(err, l.faulty(ctx, false)) }()
		if err := l.begin(ctx); err != nil {
			return "", err
		}
		pid, err := l.unit.pid(ctx)
		if err != nil {
			return "", err
		}
		began := time.Now()
		if err := wedge(part); err != nil {
			return "", err
		}
		again, err := l.unit.active(ctx, pid, watchdog+hangMargin+20*time.Second)
		took := time.Since(began)
		if err != nil {
			return "", err
		}
		most := watchdog + hangMargin
		if l.o.Short { // others may use the cores
			most += 10 * time.Second
		}
		log, err := output(ctx, "journalctl", fmt.Sprintf("_PID=%d", pid), "+", "UNIT=kioskd.service", "--no-pager", "-o", "cat", "--since", fmt.Sprintf("@%d", began.Unix()))
		goroutines := strings.Count(log, "\ngoroutine ")
		reason := reasonIn(log)
		switch {
		case err != nil:
		case again == pid || took > most:
			err = fmt.Errorf("WatchdogSec + 2 s is %v", watchdog+hangMargin)
		case goroutines < 10 || !strings.Contains(log, "SIGABRT"):
			err = errors.New("there is no dump of the goroutines in the journal")
		}
		return fmt.Sprintf("running again %.2f s after it hung (at most %v), %d goroutines in the journal, reason: %s", took.Seconds(), watchdog+hangMargin, goroutines, reason), err
	}
}

// wedge tells the daemon which part is to hang.
func wedge(part string) error {
	c, err := net.Dial("unixgram", "/run/kioskd/faults.sock") //nolint:noctx // it never waits
	if err != nil {
		return fmt.Errorf("cannot make kioskd hang: %w", err)
	}
	_, err = c.Write([]byte(part))
	return errors.Join(err, c.Close())
}

// reasonIn is what the daemon said of the watchdog.
func reasonIn(log string) string {
	for line := range strings.Lines(log) {
		if _, reason, ok := strings.Cut(line, "watchdog not fed reason="); ok {
			reason, _, _ = strings.Cut(strings.TrimSpace(reason), " interval=")
			return reason
		}
	}
	return "none given"
}
