package systemd_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/systemd"
)

// feed starts a Watchdog.
func feed(t *testing.T, alive func(context.Context) error, log *slog.Logger) running {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r := running{cancel, make(chan error, 1)}
	n := systemd.NewNotifier()
	go func() { r.done <- systemd.Watchdog(ctx, n, alive, log) }()
	return r
}

func watched(t *testing.T, interval time.Duration) {
	t.Helper()
	t.Setenv("WATCHDOG_USEC", strconv.FormatInt(interval.Microseconds(), 10))
	t.Setenv("WATCHDOG_PID", strconv.Itoa(os.Getpid()))
}

func TestWatchdogFeedsInTime(t *testing.T) {
	m := newManager(t)
	const interval = 400 * time.Millisecond
	watched(t, interval)
	r := feed(t, func(context.Context) error { return nil }, nil)
	start := time.Now()
	const rounds = 8
	for i := range rounds {
		if got := m.next(t, deadline); got != "WATCHDOG=1" {
			t.Fatalf("message %d is %q", i, got)
		}
	}
	// The first comes at once, then four an interval: eight in 1.75 intervals.
	// Half as fast would still live; slower would not.
	if took := time.Since(start); took > rounds*interval/2 {
		t.Errorf("%d messages took %v with an interval of %v", rounds, took, interval)
	}
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
}

func TestWatchdogStopsFeedingWhatIsDead(t *testing.T) {
	m := newManager(t)
	const interval = 80 * time.Millisecond
	watched(t, interval)
	var dead atomic.Bool
	asked := make(chan struct{}, 100)
	var out bytes.Buffer
	r := feed(t, func(context.Context) error {
		if dead.Load() {
			select {
			case asked <- struct{}{}:
			default:
			}
			return errors.New("session does not answer")
		}
		return nil
	}, slog.New(slog.NewTextHandler(&out, nil)))
	if m.next(t, deadline) == "" {
		t.Fatal("was never fed")
	}
	dead.Store(true)
	<-asked // what was sent before is in the socket now
	for m.next(t, time.Millisecond) != "" {
	}
	if got := m.next(t, 2*interval); got != "" {
		t.Errorf("a dead daemon sent %q", got)
	}
	dead.Store(false)
	if m.next(t, deadline) == "" {
		t.Error("not fed after the recovery")
	}
	if m.next(t, deadline) == "" { // by now the recovery's line is written
		t.Error("fed only once after the recovery")
	}
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
	if log := out.String(); strings.Count(log, "watchdog not fed") != 1 || strings.Count(log, "fed again") != 1 || !strings.Contains(log, "session does not answer") {
		t.Errorf("the log is\n%s", log)
	}
}

// A check that hangs gets a context that ends, and nothing is sent meanwhile.
func TestWatchdogBoundsTheCheck(t *testing.T) {
	m := newManager(t)
	const interval = 80 * time.Millisecond
	watched(t, interval)
	waited := make(chan time.Duration, 1)
	r := feed(t, func(ctx context.Context) error {
		start := time.Now()
		<-ctx.Done()
		select {
		case waited <- time.Since(start):
		default:
		}
		return ctx.Err()
	}, nil)
	select {
	case d := <-waited:
		if d < interval/8 || d > deadline/2 {
			t.Errorf("the check had %v of an interval of %v", d, interval)
		}
	case <-time.After(deadline):
		t.Fatal("the check's context never ends")
	}
	if got := m.next(t, interval); got != "" {
		t.Errorf("a hanging check sent %q", got)
	}
	if err := r.stop(t); err != nil {
		t.Error(err)
	}
}

func TestWatchdogAbsent(t *testing.T) {
	never := func(context.Context) error {
		t.Error("checked without a watchdog")
		return nil
	}
	for name, env := range map[string][2]string{
		"no watchdog":     {"", ""},
		"another process": {"1000000", "1"},
	} {
		t.Run(name, func(t *testing.T) {
			newManager(t)
			t.Setenv("WATCHDOG_USEC", env[0])
			t.Setenv("WATCHDOG_PID", env[1])
			if err := feed(t, never, nil).wait(t); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("no manager", func(t *testing.T) {
		watched(t, time.Second)
		t.Setenv("NOTIFY_SOCKET", "")
		if err := feed(t, never, nil).wait(t); err != nil {
			t.Error(err)
		}
	})
}

func TestWatchdogInterval(t *testing.T) {
	pid := strconv.Itoa(os.Getpid())
	for _, tt := range []struct {
		usec, pid string
		want      time.Duration
		bad       bool
	}{
		{"2000000", pid, 2 * time.Second, false},
		{"2000000", "", 2 * time.Second, false},
		{"", "", 0, false},
		{"2000000", "1", 0, false},
		{"0", pid, 0, true},
		{"-1", pid, 0, true},
		{"soon", pid, 0, true},
		{"2000000", "me", 0, true},
	} {
		t.Setenv("WATCHDOG_USEC", tt.usec)
		t.Setenv("WATCHDOG_PID", tt.pid)
		got, err := systemd.WatchdogInterval()
		if got != tt.want || (err != nil) != tt.bad {
			t.Errorf("%q, %q: %v, %v", tt.usec, tt.pid, got, err)
		}
		if tt.bad {
			newManager(t)
			if err := feed(t, nil, nil).wait(t); err == nil {
				t.Errorf("%q, %q: Watchdog says nothing", tt.usec, tt.pid)
			}
		}
	}
}
