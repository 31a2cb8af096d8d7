package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"kioskd/systemd"
)

// refusedWait is how long a daemon that cannot start (its settings are refused, its
// disk is read-only) stays, under systemd, before it ends and is started again with what
// it then finds: a kiosk comes up by itself once somebody has mended it, and does not
// spin until then.
const refusedWait = 3 * time.Second

// refused tells systemd why, and waits; SIGTERM and SIGHUP end the waiting.
func refused(ctx context.Context, hup <-chan struct{}, why string) {
	n := systemd.NewNotifier()
	if !n.Present() {
		return
	}
	_ = n.Status(why) // the log has it already
	timer := time.NewTimer(refusedWait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-hup:
	case <-timer.C:
	}
}

// hangups turns SIGHUP into requests to reload, until the given function is called.
// One that comes while another waits is the same wish.
func hangups(ctx context.Context) (<-chan struct{}, func()) {
	signals, out := make(chan os.Signal, 1), make(chan struct{}, 1)
	signal.Notify(signals, syscall.SIGHUP)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
			}
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		cancel()
		<-done
	}
}
