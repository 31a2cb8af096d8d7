package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/systemd/promise"
)

// configure writes the settings anew, with more behind the lab's own.
func (l *lab) configure(more string) error { return l.settings(config(smallWidth, smallHeight) + more) }

func (l *lab) settings(text string) error {
	if err := os.WriteFile("/etc/kioskd/kioskd.toml", []byte(text), 0o644); err != nil { //nolint:gosec // as the package has it
		return fmt.Errorf("cannot write the settings: %w", err)
	}
	return nil
}

// situation brings the session into a state.
type situation struct {
	state string // "": no session
	bring func(context.Context, *lab) error
}

func situations() []situation {
	return []situation{
		{"", func(context.Context, *lab) error { return nil }},
		{apitype.StateWaitingPermissions, func(ctx context.Context, l *lab) error {
			if err := l.configure("[session]\nask_consent = true\n"); err != nil {
				return err
			}
			defer func() { _ = l.configure("") }() // the next start reads it, and finds what it should
			if _, err := l.kiosk.Reload(ctx); err != nil {
				return err
			}
			_, err := l.open(ctx)
			return err
		}},
		{apitype.StateWaiting, func(ctx context.Context, l *lab) error { _, err := l.open(ctx); return err }},
		{apitype.StateActive, func(ctx context.Context, l *lab) error { return l.begin(ctx) }},
		{apitype.StateReconnecting, func(ctx context.Context, l *lab) error {
			err := l.begin(ctx)
			l.leave()
			return err
		}},
		{apitype.StateEnded, func(ctx context.Context, l *lab) error {
			if err := l.begin(ctx); err != nil {
				return err
			}
			_, err := l.kiosk.EndCall(ctx)
			return err
		}},
		{apitype.StateTimeout, func(ctx context.Context, l *lab) error {
			if err := l.behave(ctx, `{"room":{"wait_seconds":1}}`); err != nil {
				return err
			}
			defer func() { _ = l.behave(ctx, `{"room":null}`) }() // a lab that cannot be told fails the next row
			_, err := l.open(ctx)
			return errors.Join(err, l.await(ctx, apitype.StateTimeout, callWithin))
		}},
		{apitype.StateError, func(ctx context.Context, l *lab) error {
			if err := l.behave(ctx, `{"put":{"no_room":true}}`); err != nil {
				return err
			}
			defer func() { _ = l.behave(ctx, `{"put":null}`) }() // as above
			_, err := l.open(ctx)
			return errors.Join(err, l.await(ctx, apitype.StateError, callWithin))
		}},
	}
}

// stops is R5: SIGTERM in every state.
func stops(ctx context.Context, l *lab) (string, error) {
	const promised, rounds = 5 * time.Second, 3
	var times []time.Duration
	var errs []error
	for range rounds {
		for _, s := range situations() {
			d, err := l.stopIn(ctx, s)
			if err != nil {
				errs = append(errs, fmt.Errorf("in %q: %w", s.state, err))
				continue
			}
			times = append(times, d)
			if d > promised {
				errs = append(errs, fmt.Errorf("in %q it took %s", s.state, promise.MS(d)))
			}
		}
	}
	return fmt.Sprintf("%d stops in %d states: all exit 0, p50 %s, longest %s (promised %s)", len(times), len(situations()),
		promise.MS(percentile(times, 50)), promise.MS(percentile(times, 100)), promise.MS(promised)), errors.Join(errs...)
}

func (l *lab) stopIn(ctx context.Context, s situation) (time.Duration, error) {
	if err := l.end(ctx); err != nil {
		return 0, err
	}
	if err := s.bring(ctx, l); err != nil {
		return 0, err
	}
	if s.state != "" {
		if err := l.await(ctx, s.state, callWithin); err != nil {
			return 0, err
		}
	}
	l.kiosk.Close() // an idle connection of ours is nobody's business
	began := time.Now()
	err := l.unit.do(ctx, "stop")
	took := time.Since(began)
	p, showErr := l.unit.show(ctx, "ExecMainCode", "ExecMainStatus", "Result")
	startErr := l.unit.do(ctx, "start")
	l.leave()
	if err = errors.Join(err, showErr, startErr); err != nil {
		return took, err
	}
	// ExecMainCode is CLD_EXITED (1), where no signal ended it.
	if p["ExecMainCode"] != "1" || p["ExecMainStatus"] != "0" || p["Result"] != "success" {
		return took, fmt.Errorf("it ended with code %s, status %s, result %s", p["ExecMainCode"], p["ExecMainStatus"], p["Result"])
	}
	return took, nil
}

// knocks counts what came of connections to the control socket.
type knocks struct{ answered, sentAway, broken, full, refused atomic.Int64 }

// knock asks for the status with a connection of its own each time, until ctx ends.
func (k *knocks) knock(ctx context.Context, every time.Duration) {
	d := net.Dialer{Timeout: 10 * time.Second}
	buf := make([]byte, 512)
	for ctx.Err() == nil {
		c, err := d.DialContext(ctx, "unix", socket)
		switch {
		case ctx.Err() != nil:
		case errors.Is(err, syscall.EAGAIN): // the queue is full
			k.full.Add(1)
		case err != nil: // ECONNREFUSED, or no socket at all
			k.refused.Add(1)
		default:
			_ = c.SetDeadline(time.Now().Add(10 * time.Second))
			_, err = c.Write([]byte("GET /v1/health HTTP/1.1\r\nHost: kioskd\r\nConnection: close\r\n\r\n"))
			n := 0
			if err == nil {
				n, err = c.Read(buf)
			}
			switch answer := string(buf[:n]); {
			case err != nil:
				k.broken.Add(1)
			case strings.HasPrefix(answer, "HTTP/1.1 200 "):
				k.answered.Add(1)
			default: // 503 stopping, with Retry-After
				k.sentAway.Add(1)
			}
		}
		if c != nil {
			_ = c.Close()
		}
		if every > 0 && promise.Pause(ctx, every) != nil {
			return
		}
	}
}

// restarts is R6: nobody who knocks is refused.
func restarts(ctx context.Context, l *lab) (string, error) {
	const rounds, clients = 100, 8
	if err := l.end(ctx); err != nil {
		return "", err
	}
	var k knocks
	knocking, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	for range clients {
		wg.Go(func() { k.knock(knocking, 2*time.Millisecond) })
	}
	var err error
	for range rounds {
		if err = l.unit.do(ctx, "restart"); err != nil {
			break
		}
	}
	stop()
	wg.Wait()
	refused := k.refused.Load() + k.full.Load()
	if err == nil && (refused+k.broken.Load() > 0 || k.answered.Load() < rounds) {
		err = fmt.Errorf("%d knocks were refused, %d cut off, %d answered", refused, k.broken.Load(), k.answered.Load())
	}
	return fmt.Sprintf("%d restarts under %d clients: %d refused, %d answered, %d told that it stops, %d cut off under way", rounds, clients, refused, k.answered.Load(), k.sentAway.Load(), k.broken.Load()), err
}

// crashes is R3, with somebody who knocks: each knock at a dead daemon starts it too.
func crashes(ctx context.Context, l *lab) (string, error) {
	const rounds = 50
	if err := l.end(ctx); err != nil {
		return "", err
	}
	var k knocks
	knocking, stop := context.WithCancel(ctx)
	var wg sync.WaitGroup
	wg.Go(func() { k.knock(knocking, 10*time.Millisecond) })
	var times []time.Duration
	pid, err := l.unit.pid(ctx)
	for range rounds {
		if err != nil {
			break
		}
		if pid > 0 {
			err = syscall.Kill(pid, syscall.SIGKILL)
		}
		began := time.Now()
		if err == nil {
			pid, err = l.unit.active(ctx, pid, 20*time.Second)
			times = append(times, time.Since(began))
		}
	}
	stop()
	wg.Wait()
	if err == nil && k.refused.Load() > 0 {
		err = fmt.Errorf("%d knocks were refused", k.refused.Load())
	}
	if _, statusErr := l.kiosk.Status(ctx); statusErr != nil {
		err = errors.Join(err, statusErr)
	}
	return fmt.Sprintf("%d of %d kill -9 in a row: up again at p50 %s, at most %s; %d knocks refused of %d", len(times), rounds,
		promise.MS(percentile(times, 50)), promise.MS(percentile(times, 100)), k.refused.Load(), k.answered.Load()+k.sentAway.Load()+k.broken.Load()+k.refused.Load()), err
}
