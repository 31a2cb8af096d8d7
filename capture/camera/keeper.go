package camera

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"kioskd/capture"
)

// Code is how a wanted camera is.
type Code string

// The codes a Keeper reports. They are stable: conditions and tests use them.
const (
	Present      Code = "camera_present"
	Gone         Code = "camera_missing"
	Busy         Code = "camera_busy"
	NoPermission Code = "camera_permission_required"
	Hung         Code = "camera_stalled"
	Broken       Code = "camera_error"
)

// State is what a Keeper reports when it changes.
type State struct {
	Code  Code
	Words string // a short sentence for a person at the kiosk
	Path  string // the node that was used; "" where none was found
	Err   error  // the cause; nil when present
}

const (
	slateAfter  = 500 * time.Millisecond // without a live picture
	slateEvery  = 200 * time.Millisecond
	retryFirst  = 100 * time.Millisecond
	retryMax    = time.Second
	retryIfGone = 150 * time.Millisecond // so that a plugged camera is live within 0.5 s
)

// KeeperConfig says what a Keeper needs.
type KeeperConfig struct {
	// Choose says which camera is wanted now. It is asked before every try, so
	// it may look for the device anew; an error that wraps ErrGone means none is
	// there. It runs on the Keeper's goroutine and must not block for long.
	Choose func() (Config, error)
	// Changed is told each change of state, on one goroutine; nil is allowed. It
	// must not block.
	Changed func(State)
	// Slate are the lines shown while there is no picture.
	Slate []string
	// Width and Height are the slate's size until a camera gave a picture; 0
	// means 1280 x 720.
	Width, Height int
	Log           *slog.Logger
}

// Keeper keeps the wanted camera running: it opens it, opens it again after any
// failure, and puts a slate while there is no live picture. It implements
// capture.Source; Frame.Seq counts live pictures and slates alike.
type Keeper struct {
	cfg KeeperConfig

	// put is called under mu, so that its frames are in order.
	mu     sync.Mutex
	put    func(*capture.Frame)
	seq    uint64
	last   time.Time // when the last live picture came
	handed time.Time // Frame.Time of the last frame that was handed on
	w, h   int       // of the last live picture

	// Of the goroutine of Run only.
	state State
	live  bool // the camera in use gave a picture
}

// NewKeeper makes a Keeper; Run starts it.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Width == 0 || cfg.Height == 0 {
		cfg.Width, cfg.Height = defaultWidth, defaultHeight
	}
	return &Keeper{cfg: cfg, w: cfg.Width, h: cfg.Height}
}

// Run hands live pictures, or slates, to put, one at a time, until ctx ends, and
// then returns nil with the camera closed. One Run at a time.
func (k *Keeper) Run(ctx context.Context, put func(*capture.Frame)) error {
	k.mu.Lock()
	k.put, k.last = put, time.Now()
	k.mu.Unlock()
	k.state = State{}

	// The slate has a goroutine of its own: it must come also while the driver
	// keeps the other one in a system call.
	ctx, cancel := context.WithCancel(ctx)
	var slates sync.WaitGroup
	slates.Go(func() { k.showSlates(ctx) })
	defer func() {
		cancel()
		slates.Wait()
	}()

	wait := retryFirst
	for ctx.Err() == nil {
		err := k.once(ctx)
		if ctx.Err() != nil {
			break
		}
		k.report(err)
		if k.live {
			wait = retryFirst
		}
		pause(ctx, wait)
		wait = min(2*wait, retryMax)
		if errors.Is(err, ErrGone) {
			wait = min(wait, retryIfGone)
		}
	}
	return nil
}

// once opens the wanted camera and runs it until it fails.
func (k *Keeper) once(ctx context.Context) error {
	k.live = false
	cfg, err := k.cfg.Choose()
	k.state.Path = cfg.Path
	if err != nil {
		return err
	}
	cam, err := Open(cfg, k.cfg.Log)
	if err != nil {
		return err
	}
	return cam.Run(ctx, func(f *capture.Frame) {
		if !k.live {
			k.live = true
			k.report(nil)
		}
		k.mu.Lock()
		defer k.mu.Unlock()
		k.last = time.Now()
		k.w, k.h = f.Rect.Dx(), f.Rect.Dy()
		k.hand(f)
	})
}

// hand numbers a frame and gives it away. The caller holds mu.
func (k *Keeper) hand(f *capture.Frame) {
	// A picture may have been in conversion while a slate was shown. Encoders
	// need times that grow.
	if !f.Time.After(k.handed) {
		f.Time = k.handed.Add(time.Microsecond)
	}
	f.Seq, k.handed = k.seq, f.Time
	k.seq++
	k.put(f)
}

// showSlates puts a slate every slateEvery while no live picture comes, the first
// one slateAfter the last picture.
func (k *Keeper) showSlates(ctx context.Context) {
	var s slate
	t := time.NewTimer(slateAfter)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
			t.Reset(k.showSlate(&s))
		}
	}
}

// showSlate puts a slate where it is time for one and tells when to look again.
func (k *Keeper) showSlate(s *slate) time.Duration {
	k.mu.Lock()
	w, h := k.w, k.h
	k.mu.Unlock()
	f := s.copy(w, h, k.cfg.Slate) // not under the lock: it may have to be drawn

	k.mu.Lock()
	defer k.mu.Unlock()
	if left := slateAfter - time.Since(k.last); left > 0 {
		f.Release()
		return left
	}
	f.Time = time.Now()
	k.hand(f)
	return slateEvery
}

// slate is the drawn picture and the pool for its copies.
type slate struct {
	picture *capture.Frame
	pool    *capture.Pool
}

// copy gives a frame with the slate, drawn anew when the size is another.
// Consumers may still hold the one before, with its own time, so each is a copy.
func (s *slate) copy(w, h int, lines []string) *capture.Frame {
	if s.picture == nil || s.picture.Rect.Dx() != w || s.picture.Rect.Dy() != h {
		s.picture, s.pool = capture.Slate(w, h, lines), capture.NewPool(w, h)
	}
	f := s.pool.Get()
	copy(f.Y, s.picture.Y)
	copy(f.Cb, s.picture.Cb)
	copy(f.Cr, s.picture.Cr)
	return f
}

// report tells a state where it differs from the one before.
func (k *Keeper) report(err error) {
	s := State{Path: k.state.Path, Err: err}
	s.Code, s.Words = describe(err)
	if s.Code == k.state.Code {
		return
	}
	k.state = s
	if err != nil {
		k.cfg.Log.Warn("camera lost", "camera", s.Path, "code", s.Code, "err", err)
	} else {
		k.cfg.Log.Info("camera live", "camera", s.Path)
	}
	if k.cfg.Changed != nil {
		k.cfg.Changed(s)
	}
}

// describe gives the code and the words for an error of Choose, Open or Run.
func describe(err error) (Code, string) {
	switch {
	case err == nil:
		return Present, "The camera works."
	case errors.Is(err, ErrGone):
		return Gone, "No camera found. Plug the camera in."
	case errors.Is(err, ErrBusy):
		return Busy, "Another program uses the camera."
	case errors.Is(err, ErrPermission):
		return NoPermission, "The kiosk may not use the camera."
	case errors.Is(err, ErrStalled):
		return Hung, "The camera gives no picture. Unplug it and plug it in again."
	}
	return Broken, "The camera does not work. Unplug it and plug it in again."
}

// pause waits for d or the end of ctx.
func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}
