package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// pulse answers the watchdog: it goes the way that work goes, through the session's
// inbox, the writer's turn at the store, the control socket and the loop of the video.
// Without a session no device is open and no picture runs; then, and only then, the
// media have nothing to show, and the other three answer alone.
//
// Its methods are called by one goroutine, the watchdog's.
type pulse struct {
	session func(context.Context) error
	store   func() error
	turns   func() (uint64, bool) // call.Call's
	api     *http.Client
	wg      sync.WaitGroup // the question to the store that is under way

	asked   chan error // its answer; nil: none is under way
	last    uint64     // turns of the round before
	running bool       // a picture ran in the round before
}

// newPulse listens to a kiosk whose control socket is at the address.
func newPulse(k *kiosk, socket string) *pulse {
	return &pulse{
		session: func(ctx context.Context) error {
			if k.safety.on() { // there is none
				return nil
			}
			_, err := k.runner.Do(ctx, session.Event{What: session.Tick{}}, "")
			return err
		},
		store: k.store.Alive, turns: k.call.Turns,
		api: &http.Client{
			Transport: &http.Transport{
				// Each round knocks anew: the accepting is a part of the way.
				DisableKeepAlives: true, DisableCompression: true,
				DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return knock(ctx, socket) },
			},
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		},
	}
}

// close waits for what is under way.
func (p *pulse) close() { p.wg.Wait() }

// alive is one round. The error names the part that does not answer.
func (p *pulse) alive(ctx context.Context) error {
	if err := p.session(ctx); err != nil {
		return fmt.Errorf("the session does not answer: %w", err)
	}
	if err := p.askStore(ctx); err != nil {
		return fmt.Errorf("the store does not answer: %w", err)
	}
	if err := p.askAPI(ctx); err != nil {
		return fmt.Errorf("the control API does not answer: %w", err)
	}
	return p.watchMedia()
}

// askStore has one question under way at most: a store that hangs holds the one.
func (p *pulse) askStore(ctx context.Context) error {
	if p.asked == nil {
		p.asked = make(chan error, 1)
		p.wg.Go(func() { p.asked <- p.store() })
	}
	select {
	case err := <-p.asked:
		p.asked = nil
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// askAPI takes any answer of the status route but a fault, also that there is no
// place: a flood of callers is no reason to restart under them.
func (p *pulse) askAPI(ctx context.Context) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://kioskd"+apitype.RouteStatus, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := p.api.Do(req)
	if err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, io.LimitReader(resp.Body, 1<<20))
	err = errors.Join(err, resp.Body.Close())
	if err == nil && resp.StatusCode >= 500 && resp.StatusCode != http.StatusServiceUnavailable {
		err = fmt.Errorf("it says %s", resp.Status)
	}
	return err
}

// knock dials, also when the socket's queue is full for a moment (EAGAIN, unix(7)).
func knock(ctx context.Context, socket string) (net.Conn, error) {
	var d net.Dialer
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		c, err := d.DialContext(ctx, "unix", socket)
		if !errors.Is(err, syscall.EAGAIN) {
			return c, err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil, errors.Join(ctx.Err(), err)
		}
	}
}

// watchMedia wants the loop to have turned since the round before, in which a
// picture ran too.
func (p *pulse) watchMedia() error {
	turns, running := p.turns()
	stuck := running && p.running && turns == p.last
	p.last, p.running = turns, running
	if stuck {
		return errors.New("the media stand still: no picture, not even a slate, went through since the last look")
	}
	return nil
}
