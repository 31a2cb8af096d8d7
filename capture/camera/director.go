package camera

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// director decides which takes run. It is the state of one Keeper.Run and
// belongs to its goroutine.
//
// There is the current take, and during a change the next one beside it. Those
// that were dropped are leaving until their files are closed. No change begins
// while one is leaving: it could be the very camera that is wanted. A driver that
// hangs ends that wait, and any other: its take is left behind (drivers says why
// that is bounded) and told as hung.
type director struct {
	*Keeper
	events  chan event
	number  uint64 // of the last take
	current *take
	next    *take
	leaving map[*take]time.Time // dropped takes that have not ended, and until when they may
	change  bool                // a Retarget waits to be looked at

	lost    []*take           // left behind in this run
	tallies map[string]*tally // by node

	retry *time.Timer   // fires when it is time to try again; only without a current take
	tick  *time.Ticker  // when to look for what hangs
	wait  time.Duration // the next pause
}

const (
	// patience is how long a camera that was dropped may take to close. Then
	// another is tried beside it, or the run ends without it.
	patience = 800 * time.Millisecond
	// lookEvery is how often is asked whether a driver hangs.
	lookEvery = 200 * time.Millisecond

	// maxEvents bounds what takes have to tell: a first picture and an end each,
	// and their shutters. A take that finds it full waits.
	maxEvents = 16
	// maxTallies bounds the nodes whose pictures are counted; a machine has a few.
	maxTallies = 64
)

func newDirector(k *Keeper) *director {
	return &director{
		Keeper: k, events: make(chan event, maxEvents), leaving: map[*take]time.Time{}, tallies: map[string]*tally{},
		retry: time.NewTimer(0), tick: time.NewTicker(lookEvery), wait: retryFirst,
	}
}

// run lets takes run until ctx ends and all of them have ended, or patience has.
func (d *director) run(ctx context.Context) error {
	defer d.retry.Stop()
	defer d.tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-d.retarget:
			d.change = true
		case <-d.poke:
			d.wait = retryFirst
			d.again(ctx)
		case <-d.retry.C:
			d.again(ctx)
		case now := <-d.tick.C:
			d.look(ctx, now)
		case e := <-d.events:
			d.happened(ctx, e)
		}
		if ctx.Err() == nil && d.change && len(d.leaving) == 0 {
			d.change = false
			d.retargeted(ctx)
		}
	}
	return d.end()
}

// end drops every take and waits for it.
func (d *director) end() error {
	d.leave(d.current)
	d.leave(d.next)
	for len(d.leaving) > 0 {
		select {
		case now := <-d.tick.C:
			d.forgetLeaving(now)
		case e := <-d.events:
			if e.what == ended {
				delete(d.leaving, e.take)
			}
		}
	}
	var errs []error
	for _, t := range d.lost {
		if t.call.overdue() {
			errs = append(errs, fmt.Errorf("cannot close camera %s: %w", t.cfg.Path, ErrHung))
		}
	}
	return errors.Join(errs...)
}

// again tries where no camera runs; while one is leaving, after that.
func (d *director) again(ctx context.Context) {
	switch {
	case d.current != nil:
	case len(d.leaving) > 0:
		d.change = true
	default:
		d.change = false // Choose is asked now
		d.start(ctx)
	}
}

// start asks for a camera and begins with it, where none is current.
func (d *director) start(ctx context.Context) {
	cfg, err := d.cfg.Choose()
	if ctx.Err() != nil {
		return // switched off meanwhile: it must not be opened
	}
	if err == nil {
		d.current, err = d.begin(ctx, cfg)
	}
	if err != nil {
		d.failed(cfg.Path, err)
	}
}

// begin starts a take. The error wraps ErrHung where one was left behind there.
func (d *director) begin(ctx context.Context, cfg Config) (*take, error) {
	c, err := d.drivers.enter(cfg.Path, "run")
	if err != nil {
		return nil, err
	}
	d.number++
	ctx, cancel := context.WithCancel(ctx)
	cfg.tally = d.tally(cfg.Path)
	t := &take{
		k: d.Keeper, number: d.number, cfg: cfg, alone: d.current == nil, cancel: cancel, call: c,
		began: time.Now(), events: d.events, forgotten: make(chan struct{}),
	}
	go t.film(ctx) // run waits for its last event, or leaves it behind
	return t, nil
}

// tally is where the node's pictures are counted, however often it is opened.
func (d *director) tally(path string) *tally {
	t := d.tallies[path]
	if t == nil {
		if len(d.tallies) >= maxTallies {
			clear(d.tallies)
		}
		t = &tally{}
		d.tallies[path] = t
	}
	return t
}

// leave drops a take; nil is none.
func (d *director) leave(t *take) {
	if t != nil {
		t.drop()
		d.leaving[t] = time.Now().Add(patience)
	}
}

// forget leaves a take behind. False: it has ended after all.
func (d *director) forget(t *take) bool {
	if !t.forget() {
		return false
	}
	d.lost = append(slices.DeleteFunc(d.lost, func(t *take) bool { return !t.call.overdue() }), t)
	d.cfg.Log.Error("the camera's driver does not answer and is left alone", "camera", t.cfg.Path)
	return true
}

// forgetLeaving leaves those behind whose time to close is over.
func (d *director) forgetLeaving(now time.Time) {
	for t, until := range d.leaving {
		if now.After(until) && d.forget(t) {
			delete(d.leaving, t)
		}
	}
}

// look leaves behind what hangs.
func (d *director) look(ctx context.Context, now time.Time) {
	d.forgetLeaving(now)
	for _, t := range []*take{d.current, d.next} {
		if t != nil && t.late() && d.forget(t) {
			d.over(ctx, t, fmt.Errorf("cannot run camera %s: %w", t.cfg.Path, ErrHung))
		}
	}
}

// failed reports why there is no picture and sets the time of the next try.
func (d *director) failed(path string, err error) {
	d.report(path, "", err)
	d.retry.Reset(d.wait)
	most := retryMax
	switch {
	case errors.Is(err, ErrGone):
		most = retryIfGone
	case errors.Is(err, ErrPermission):
		most = retryIfDenied
	case errors.Is(err, ErrNoRoom):
		most = retryIfFull
	}
	d.wait = min(2*d.wait, most)
}

// happened takes up what a take told.
func (d *director) happened(ctx context.Context, e event) {
	if ctx.Err() != nil && e.what != ended {
		return
	}
	switch t := e.take; e.what {
	case firstPicture:
		d.shown(t)
	case shutterMoved:
		if t == d.current {
			d.tellShutter()
		}
	case ended:
		delete(d.leaving, t)
		d.over(ctx, t, t.err)
	}
}

// over takes up that a take has ended, or was left behind, and why.
func (d *director) over(ctx context.Context, t *take, why error) {
	switch {
	case t == d.current && d.next != nil: // nobody wants it any more
		d.current, d.next = d.next, nil
	case t == d.current:
		d.current = nil
		if t.live {
			d.wait = retryFirst
		}
		if ctx.Err() == nil {
			d.failed(t.cfg.Path, why)
		}
	case t == d.next:
		d.next = nil
		if ctx.Err() == nil {
			d.nextFailed(t, why)
		}
	}
}

// shown makes a take that gave its first picture the current one.
func (d *director) shown(t *take) {
	if t != d.current && t != d.next || t.live {
		return
	}
	if t == d.next {
		d.leave(d.current)
		d.current, d.next = t, nil
	}
	t.live, d.wait = true, retryFirst
	d.report(t.cfg.Path, t.fits, nil)
	d.tellShutter()
}

// nextFailed gives the next camera a second try without the current one beside
// it: they may not be able to stream at a time (EBUSY, ENOSPC, EIO of a USB bus
// that is full). That begins when the current one is closed.
func (d *director) nextFailed(t *take, why error) {
	d.cfg.Log.Info("camera does not start beside the other, which is closed first", "camera", t.cfg.Path, "err", why)
	d.leave(d.current)
	d.current, d.change = nil, true
}

// retargeted asks Choose and goes where it points.
func (d *director) retargeted(ctx context.Context) {
	if d.next != nil && d.next.onAir() {
		d.shown(d.next) // its event is on the way; now its predecessor leaves
		d.change = true
		return
	}
	cfg, err := d.cfg.Choose()
	if ctx.Err() != nil {
		return
	}
	switch {
	case err != nil:
	case d.current == nil:
		d.retry.Stop()
		d.current, err = d.begin(ctx, cfg)
	case d.next != nil && d.next.cfg.Path == cfg.Path:
	case d.next != nil: // back, or on to a third one
		d.leave(d.next)
		d.next, d.change = nil, d.current.cfg.Path != cfg.Path
	case d.current.cfg.Path != cfg.Path:
		d.next, err = d.begin(ctx, cfg)
	}
	if err != nil {
		d.leave(d.next)
		d.leave(d.current)
		d.current, d.next = nil, nil
		d.wait = retryFirst
		d.failed(cfg.Path, err)
	}
}

// tellShutter tells how the shutter of the current camera is, where that is news.
func (d *director) tellShutter() {
	closed := d.current.shut.Load()
	if closed == d.shut {
		return
	}
	d.shut = closed
	d.cfg.Log.Info("camera shutter moved", "camera", d.current.cfg.Path, "closed", closed)
	if d.cfg.ShutterChanged != nil {
		d.cfg.ShutterChanged(closed)
	}
}
