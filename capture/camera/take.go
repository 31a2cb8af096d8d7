package camera

import (
	"context"
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
	cancel context.CancelFunc
	err    error       // valid after its end
	shut   atomic.Bool // its shutter is closed

	gone bool // under k.mu: no picture of it may go out any more
	live bool // of the director: it gave a picture
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

// film opens the camera and runs it until ctx ends or it fails.
func (t *take) film(ctx context.Context) {
	t.err = t.try(ctx)
	t.cancel()
	t.k.events <- event{t, ended}
}

func (t *take) try(ctx context.Context) error {
	cfg := t.cfg
	cfg.Shutter = func(closed bool) {
		t.shut.Store(closed)
		t.k.events <- event{t, shutterMoved}
	}
	cam, err := Open(cfg, t.k.cfg.Log)
	if err != nil {
		return err
	}
	return cam.Run(ctx, t.put)
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
	k.w, k.h = f.Rect.Dx(), f.Rect.Dy()
	f.Scene = first
	k.hand(f)
	k.mu.Unlock()
	if first {
		k.events <- event{t, firstPicture}
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
