package camera

import (
	"context"
	"errors"
	"time"
)

// director decides which takes run. It is the state of one Keeper.Run and
// belongs to its goroutine.
//
// There is the current take, and during a change the next one beside it. Those
// that were dropped are leaving until their files are closed. No change begins
// while one is leaving: it could be the very camera that is wanted. Where that
// takes long and nothing runs, the wait is not for ever, see patience.
type director struct {
	*Keeper
	number  uint64 // of the last take
	current *take
	next    *take
	leaving int  // dropped takes that have not ended
	change  bool // a Retarget waits to be looked at

	retry *time.Timer   // fires when it is time to try again; only without a current take
	wait  time.Duration // the next pause
}

// patience is how long a camera that was dropped may take to close before
// another is tried beside it.
const patience = time.Second

func newDirector(k *Keeper) *director {
	return &director{Keeper: k, retry: time.NewTimer(0), wait: retryFirst}
}

// run lets takes run until ctx ends and all of them have ended.
func (d *director) run(ctx context.Context) {
	defer d.retry.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-d.retarget:
			d.change = true
		case <-d.retry.C:
			if d.current == nil {
				d.change = false // Choose is asked now
				d.start(ctx)
			}
		case e := <-d.events:
			d.happened(ctx, e)
		}
		if ctx.Err() == nil && d.change && d.leaving == 0 {
			d.change = false
			d.retargeted(ctx)
		}
	}
	for _, t := range []*take{d.current, d.next} {
		d.leave(t)
	}
	for d.leaving > 0 {
		if e := <-d.events; e.what == ended {
			d.leaving--
		}
	}
}

// start asks for a camera and begins with it, where none is current.
func (d *director) start(ctx context.Context) {
	cfg, err := d.cfg.Choose()
	if err != nil {
		d.failed(cfg.Path, err)
		return
	}
	d.current = d.begin(ctx, cfg)
}

// begin starts a take.
func (d *director) begin(ctx context.Context, cfg Config) *take {
	d.number++
	ctx, cancel := context.WithCancel(ctx)
	t := &take{k: d.Keeper, number: d.number, cfg: cfg, cancel: cancel}
	go t.film(ctx) // run waits for its last event
	return t
}

// leave drops a take; nil is none.
func (d *director) leave(t *take) {
	if t != nil {
		t.drop()
		d.leaving++
	}
}

// failed reports why there is no picture and sets the time of the next try.
func (d *director) failed(path string, err error) {
	d.report(path, err)
	d.retry.Reset(d.wait)
	d.wait = min(2*d.wait, retryMax)
	if errors.Is(err, ErrGone) {
		d.wait = min(d.wait, retryIfGone)
	}
}

// happened takes up what a take told.
func (d *director) happened(ctx context.Context, e event) {
	if ctx.Err() != nil && e.what != ended {
		return
	}
	switch t := e.take; {
	case e.what == firstPicture:
		d.shown(t)
	case e.what == shutterMoved:
		if t == d.current {
			d.tellShutter()
		}
	case t == d.current && d.next != nil: // nobody wants it any more
		d.current, d.next = d.next, nil
	case t == d.current:
		d.current = nil
		if t.live {
			d.wait = retryFirst
		}
		if ctx.Err() == nil {
			d.failed(t.cfg.Path, t.err)
		}
	case t == d.next:
		d.next = nil
		if ctx.Err() == nil {
			d.nextFailed(t)
		}
	default:
		d.leaving--
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
	d.report(t.cfg.Path, nil)
	d.tellShutter()
}

// nextFailed gives the next camera a second try without the current one beside
// it: they may not be able to stream at a time (EBUSY, ENOSPC, EIO of a USB bus
// that is full). That begins when the current one is closed.
func (d *director) nextFailed(t *take) {
	d.cfg.Log.Info("camera does not start beside the other, which is closed first", "camera", t.cfg.Path, "err", t.err)
	d.leave(d.current)
	d.current, d.change = nil, true
	d.retry.Reset(patience)
}

// retargeted asks Choose and goes where it points.
func (d *director) retargeted(ctx context.Context) {
	if d.next != nil && d.next.onAir() {
		d.shown(d.next) // its event is on the way; now its predecessor leaves
		d.change = true
		return
	}
	cfg, err := d.cfg.Choose()
	switch {
	case err != nil:
		d.leave(d.next)
		d.leave(d.current)
		d.current, d.next = nil, nil
		d.wait = retryFirst
		d.failed(cfg.Path, err)
	case d.current == nil:
		d.retry.Stop()
		d.current = d.begin(ctx, cfg)
	case d.next != nil && d.next.cfg.Path == cfg.Path:
	case d.next != nil: // back, or on to a third one
		d.leave(d.next)
		d.next, d.change = nil, d.current.cfg.Path != cfg.Path
	case d.current.cfg.Path != cfg.Path:
		d.next = d.begin(ctx, cfg)
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
