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
	NoBandwidth  Code = "camera_no_bandwidth"
	Broken       Code = "camera_error"
)

// State is what a Keeper reports when it changes.
type State struct {
	Code  Code
	Words string // a short sentence for a person at the kiosk
	Path  string // the node that was used; "" where none was found
	// Fits is the format that a camera runs in because the USB bus has no room for
	// the wished one, such as "MJPG 640x480@30"; else "". Present only.
	Fits string
	Err  error // the cause; nil when present
}

const (
	slateAfter  = 500 * time.Millisecond // without a live picture
	slateEvery  = 200 * time.Millisecond
	retryFirst  = 100 * time.Millisecond
	retryMax    = time.Second
	retryIfGone = 150 * time.Millisecond // so that a plugged camera is live within 0.5 s
	// retryIfDenied: udev gives a node to its group a moment after it is made.
	retryIfDenied = 300 * time.Millisecond
	// retryIfFull: each try sets up transfers on a bus that others use.
	retryIfFull = 4 * time.Second
)

// KeeperConfig says what a Keeper needs.
type KeeperConfig struct {
	// Choose says which camera is wanted now. It is asked before every try and
	// after every Retarget, so it may look for the device anew; an error that
	// wraps ErrGone means none is there. It runs on the Keeper's goroutine, not
	// on that of the camera which runs, and must not block for long.
	Choose func() (Config, error)
	// Changed is told each change of state, and the path where a live camera took
	// the place of another, on the Keeper's goroutine; nil is allowed. It must
	// not block.
	Changed func(State)
	// ShutterChanged is told when the privacy shutter of the camera in use closes
	// (at the start: when it is closed) and opens again, on the Keeper's
	// goroutine; nil is allowed. It must not block. What was told holds until a
	// camera that is in use says something else: not its unplugging.
	ShutterChanged func(closed bool)
	// Held is told which camera's file is open: true before it is opened, false when
	// it is closed, on a goroutine of that camera; nil is allowed. It must not block. One
	// that is left behind in a driver that hangs stays held until the driver answers,
	// which may be after the end of Run.
	Held func(path string, open bool)
	// Slate are the lines shown while there is no picture.
	Slate []string
	// Width and Height are the slate's size until a camera gave a picture; 0
	// means 1280 x 720.
	Width, Height int
	// Prober knows which drivers hang; its owner closes it after the Keeper's Run.
	// nil: the Keeper knows of its own.
	Prober *Prober
	Log    *slog.Logger
}

// Keeper keeps the wanted camera running: it opens it, opens it again after any
// failure, and puts a slate while there is no live picture. After Retarget it
// hands over to another camera. It implements capture.Source; Frame.Seq counts
// live pictures and slates alike.
type Keeper struct {
	cfg      KeeperConfig
	retarget chan struct{} // capacity 1
	poke     chan struct{} // capacity 1
	drivers  *drivers

	// put is called under mu, so that its frames are in order.
	mu     sync.Mutex
	put    func(*capture.Frame)
	seq    uint64
	last   time.Time // when the last live picture came
	handed time.Time // Frame.Time of the last frame that was handed on
	w, h   int       // of the last live picture
	air    uint64    // number of the newest take that gave a picture
	on     *Camera   // its camera, also after that has ended

	// Of the goroutine of Run only.
	state State
	shut  bool // what ShutterChanged was told
}

// NewKeeper makes a Keeper; Run starts it.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Width == 0 || cfg.Height == 0 {
		cfg.Width, cfg.Height = defaultWidth, defaultHeight
	}
	d := newDrivers()
	if cfg.Prober != nil {
		d = cfg.Prober.drivers
	}
	return &Keeper{
		cfg: cfg, w: cfg.Width, h: cfg.Height, drivers: d,
		retarget: make(chan struct{}, 1), poke: make(chan struct{}, 1),
	}
}

// Poke says that something happened to the machine's devices. Where the Keeper
// waits before it tries again, it tries now, and its pauses start anew from the
// shortest; a camera that runs is left alone. It returns at once, may be called by
// any goroutine, and calls that come close together count as one.
func (k *Keeper) Poke() {
	select {
	case k.poke <- struct{}{}:
	default: // one is waiting already
	}
}

// Retarget asks Choose again. Where it names another path, that camera is opened
// and started while the one in use still delivers; at its first picture the
// output changes over, and the other is closed. Where two cannot run at a time
// the one in use is closed first. Where Choose or the new camera fails there are
// slates and new tries, as after any failure. It returns at once, may be called
// by any goroutine, and calls that come close together count as one.
func (k *Keeper) Retarget() {
	select {
	case k.retarget <- struct{}{}:
	default: // one is waiting already
	}
}

// Run hands live pictures, or slates, to put, one at a time, until ctx ends, and
// then returns nil with every camera closed. A driver that hangs does not hold it
// up for more than a second: then the error wraps ErrHung and names the cameras
// that may still be open; they are closed as soon as their drivers let us. Until
// then no Keeper with the same Prober goes into such a driver. One Run at a time.
func (k *Keeper) Run(ctx context.Context, put func(*capture.Frame)) error {
	k.mu.Lock()
	k.put, k.last, k.air, k.on = put, time.Now(), 0, nil
	k.mu.Unlock()
	k.state, k.shut = State{}, false

	// The slate has a goroutine of its own: it must come also while the driver
	// keeps the other one in a system call.
	ctx, cancel := context.WithCancel(ctx)
	var slates sync.WaitGroup
	slates.Go(func() { k.showSlates(ctx) })
	defer func() {
		cancel()
		slates.Wait()
	}()
	return newDirector(k).run(ctx)
}

// Stats are those of the camera that gave the newest live picture, zero where none
// did in this run. Any goroutine may ask at any time.
func (k *Keeper) Stats() Stats {
	k.mu.Lock()
	c := k.on
	k.mu.Unlock()
	if c == nil {
		return Stats{}
	}
	return c.Stats()
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

// report tells a state where it differs from the one before. Being live on
// another camera, or in another format because the bus is full, is news, too.
func (k *Keeper) report(path, fits string, err error) {
	s := State{Path: path, Fits: fits, Err: err}
	s.Code, s.Words = describe(err)
	if fits != "" {
		s.Words = "The camera works with a smaller picture, for its USB port is full."
	}
	if s.Code == k.state.Code && (err != nil && s.Words == k.state.Words || err == nil && path == k.state.Path && fits == k.state.Fits) {
		return
	}
	k.state = s
	if err != nil {
		k.cfg.Log.Warn("camera lost", "camera", s.Path, "code", s.Code, "err", err)
	} else {
		k.cfg.Log.Info("camera live", "camera", s.Path, "fits", fits)
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
	case errors.Is(err, ErrNoRoom):
		return NoBandwidth, "The camera's USB port is full. Plug the camera into another one."
	case errors.Is(err, ErrHung):
		return Hung, "The camera does not answer. Unplug it and plug it in again."
	case errors.Is(err, ErrDamaged):
		return Hung, "The camera's pictures are damaged. Plug it in firmly, without a hub, or change its cable."
	case errors.Is(err, ErrStalled):
		return Hung, "The camera gives no picture. Unplug it and plug it in again."
	}
	return Broken, "The camera does not work. Unplug it and plug it in again."
}
