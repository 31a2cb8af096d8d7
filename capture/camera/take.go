package camera

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"kioskd/capture"
)

// take is one try of one camera, on a goroutine of its own: from its opening to
// its closing.
type take struct {
	k      *Keeper
	number uint64 // rises with each take
	cfg    Config
	alone  bool // no other camera of ours is open beside it
	cancel context.CancelFunc
	call   *call
	err    error       // valid after its end
	fits   string      // valid from its first picture on: State.Fits
	shut   atomic.Bool // its shutter is closed
	cam    atomic.Pointer[Camera]

	// due is when the driver has to have answered, from began on; 0 while the take
	// is not in it.
	began time.Time
	due   atomic.Int64

	events    chan<- event
	forgotten chan struct{} // closed when nobody takes its events any more

	gone    bool  // under k.mu: no picture of it may go out any more
	live    bool  // of the director: it gave a picture
	overdue int64 // of the director: due as it was missed at the last look
}

// happening is what a take tells.
type happening int

const (
	firstPicture happening = iota
	shutterMoved
	ended // the last; the camera is closed
)

type event struct {
	take *take
	what happening
}

// tell hands an event over, or nothing where the take was left behind.
func (t *take) tell(what happening) {
	select {
	case t.events <- event{t, what}:
	case <-t.forgotten:
	}
}

// film opens the camera and runs it until ctx ends or it fails.
func (t *take) film(ctx context.Context) {
	held := t.k.cfg.Held
	if held == nil {
		held = func(string, bool) {}
	}
	held(t.cfg.Path, true)
	t.err = t.try(ctx)
	held(t.cfg.Path, false)
	t.cancel()
	t.call.leave()
	select {
	case <-t.forgotten:
		t.k.Poke() // its driver answers again
	default:
		t.tell(ended)
	}
}

// try runs the camera. Where the USB bus has no room for the stream, and no
// camera of ours is to blame, it tries formats that need less.
func (t *take) try(ctx context.Context) error {
	cfg := t.cfg
	cfg.inside = t.inside
	cfg.Shutter = func(closed bool) {
		t.shut.Store(closed)
		t.tell(shutterMoved)
	}
	var rungs []choice
	for first := true; ; first = false {
		cfg.inside(startWithin)
		cam, err := open(ctx, cfg, t.k.cfg.Log)
		if err != nil {
			return err
		}
		if !first {
			t.fits = fits(cam.Stats(), cam.asked)
		}
		t.cam.Store(cam)
		err = cam.Run(ctx, t.put) // it has closed the camera, or is never back
		if ctx.Err() != nil || !t.alone || cam.streaming || !errors.Is(err, ErrNoRoom) {
			return err
		}
		if first {
			rungs = lesser(cam.offered, cam.asked)
		}
		if len(rungs) == 0 {
			return err
		}
		cfg.want, rungs = &rungs[0], rungs[1:]
	}
}

// inside notes that the driver is gone into and has so long to answer; 0: it has.
func (t *take) inside(within time.Duration) {
	if within == 0 {
		t.due.Store(0)
		return
	}
	t.due.Store(int64(time.Since(t.began) + within))
}

// late says whether the driver has missed its time, at two looks in a row: after
// one it may be this process that did not run.
func (t *take) late() bool {
	due := t.due.Load()
	missed := due != 0 && int64(time.Since(t.began)) > due
	twice := missed && due == t.overdue
	t.overdue = 0
	if missed {
		t.overdue = due
	}
	return twice
}

// put hands a live picture on, unless the take is over or a newer one has given
// a picture: after the first picture of a camera none of an earlier one goes out.
func (t *take) put(f *capture.Frame) {
	k := t.k
	k.mu.Lock()
	if t.gone || t.number < k.air {
		k.mu.Unlock()
		f.Release()
		return
	}
	first := t.number > k.air
	k.air, k.last = t.number, time.Now()
	k.on = t.cam.Load()
	k.w, k.h = f.Rect.Dx(), f.Rect.Dy()
	f.Scene = first
	k.hand(f)
	k.mu.Unlock()
	if first {
		t.tell(firstPicture)
	}
}

// onAir says whether the take gave the newest live picture.
func (t *take) onAir() bool {
	t.k.mu.Lock()
	defer t.k.mu.Unlock()
	return t.k.air == t.number
}

// drop closes the take's pictures out and ends it.
func (t *take) drop() {
	t.k.mu.Lock()
	t.gone = true
	t.k.mu.Unlock()
	t.cancel()
}

// forget leaves the take behind in a driver that does not answer: none of its
// pictures and events comes any more, and it closes its camera when it can. False:
// it has ended, and its last event is on the way.
func (t *take) forget() bool {
	if !t.call.overdue() {
		return false
	}
	t.drop()
	close(t.forgotten)
	return true
}
