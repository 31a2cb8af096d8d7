package systemd

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/coreos/go-systemd/v22/daemon"
)

// WatchdogInterval is how long systemd waits for a sign of life (WatchdogSec= of
// the unit); 0 where it does not watch this process.
func WatchdogInterval() (time.Duration, error) {
	interval, err := daemon.SdWatchdogEnabled(false)
	if err != nil {
		return 0, fmt.Errorf("cannot read the watchdog's interval: %w; set WatchdogSec= in the unit", err)
	}
	return interval, nil
}

// Watchdog feeds systemd's watchdog until ctx ends, as long as alive agrees.
//
// Each round it calls alive with a context of a quarter of the interval and
// feeds only when that returns nil. So alive must test work, not the scheduler:
// a round through the session's inbox, a frame counter that moved. An alive
// that does not return stops the feeding too, which is the purpose: systemd ends
// the process and starts it again.
//
// It returns nil when ctx ends, at once where there is no watchdog, and an error
// where the interval cannot be read. Log gets a line when alive begins to fail
// and one when it recovers; nil discards.
func Watchdog(ctx context.Context, n *Notifier, alive func(context.Context) error, log *slog.Logger) error {
	interval, err := WatchdogInterval()
	if err != nil || interval == 0 || !n.Present() {
		return err
	}
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	// A quarter: one lost round must not cost the process.
	pace := interval / 4
	ticker := time.NewTicker(max(pace, time.Millisecond))
	defer ticker.Stop()
	failing := false
	for {
		err := round(ctx, n, alive, pace)
		if ctx.Err() != nil {
			return nil
		}
		switch {
		case err != nil && !failing:
			log.Warn("watchdog not fed", "reason", err, "interval", interval)
		case err == nil && failing:
			log.Info("watchdog fed again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

func round(ctx context.Context, n *Notifier, alive func(context.Context) error, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	if err := alive(ctx); err != nil {
		return err
	}
	return n.Alive()
}
