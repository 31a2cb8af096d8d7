package microphone

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"
)

// Code names a Keeper's state.
type Code string

// The codes a Keeper reports. They are stable: conditions and tests use them.
const (
	Present      Code = "microphone_present"
	Gone         Code = "microphone_missing"
	Busy         Code = "microphone_busy"
	NoPermission Code = "microphone_permission_required"
	Hung         Code = "microphone_stalled"
	Broken       Code = "microphone_error"
)

// State is what a Keeper reports when it changes.
type State struct {
	Code   Code
	Words  string // a short sentence for a person at the kiosk
	Device string // the name that was used; "" where none was found
	Err    error  // the cause; nil when present
}

// ErrStuck is returned by Keeper.Run when the sound system keeps it from
// closing the device.
var ErrStuck = errors.New("the sound system does not answer")

const (
	queueChunks = 16                      // between the device and put; more than that is put's fault
	slack       = 80 * time.Millisecond   // how late live sound may come before silence takes its place
	early       = 20 * time.Millisecond   // how far output may run ahead of time before a chunk is dropped
	maxFill     = time.Second             // the longest hole that is filled at once
	hungAfter   = 1200 * time.Millisecond // silent for so long though the device claims to run
	stuckAfter  = 2 * time.Second         // how long Run waits for the device to close
	retryFirst  = 100 * time.Millisecond
	retryMax    = time.Second
)

// KeeperConfig says what a Keeper needs.
type KeeperConfig struct {
	// Choose says which microphone is wanted now. It is asked before every try,
	// so it may look for the device anew; an error that wraps ErrNoDevice means
	// none is there. It must not block for long.
	Choose func() (Config, error)
	// Changed is told each change of state, on Run's goroutine; nil is allowed.
	// It must not block.
	Changed func(State)
	// Silent is told that the device gave nothing but exact zeros for five seconds of
	// sound, which a working microphone never does, and with its first other sample,
	// or with the end of the device, that this is over. Muted or not: a caller
	// that muted knows. On Run's goroutine; nil is allowed. It must not block.
	Silent func(silent bool)
	// HardwareMuted is told when the switch of the device's card, or of the sound
	// server's source, goes off and on; it counts as on at first. A device without a
	// switch is never told of. What was told last stands while the device is gone. On
	// Run's goroutine; nil: no switch is looked for. It must not block.
	HardwareMuted func(muted bool)
	Log           *slog.Logger
}

// Keeper keeps the wanted microphone running: it opens it, opens it again after
// any failure, and puts exact silence while there is no live sound, so that put
// always gets 100 chunks a second. Output follows the device's clock while it
// lives and the machine's while it does not.
type Keeper struct {
	cfg     KeeperConfig
	muted   atomic.Bool
	meter   meter
	dropped atomic.Uint64
	latest  atomic.Pointer[State] // what is known of the device
	poke    chan struct{}         // holds one

	switchedOff atomic.Bool // by the card's own switch
}

// chunk is 10 ms of sound on its way from the device's goroutine to Run's.
type chunk struct {
	pcm [ChunkSamples]int16
	at  time.Time
}

// NewKeeper makes a Keeper; Run starts it.
func NewKeeper(cfg KeeperConfig) *Keeper {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	return &Keeper{cfg: cfg, poke: make(chan struct{}, 1)}
}

// SetMuted makes every chunk from the next one on exact silence, or live again.
// The device stays open: its state and Level are still known.
func (k *Keeper) SetMuted(muted bool) { k.muted.Store(muted) }

// Poke says that something happened, such as a plug: the wait before the next try
// is over, and the back-off begins anew. It never waits; before Run it holds for
// Run's first wait.
func (k *Keeper) Poke() {
	select {
	case k.poke <- struct{}{}:
	default:
	}
}

// Level is how loud the device's last 100 ms were, muted or not; zero while
// there is no live sound.
func (k *Keeper) Level() Level { return k.meter.level() }

// Dropped counts chunks lost because put was too slow or the device too fast.
func (k *Keeper) Dropped() uint64 { return k.dropped.Load() }

// Run hands chunks of ChunkSamples to put, with the instant of their first
// sample, until ctx ends. put must not wait and must not keep pcm. Run returns
// nil with the device closed; where a sound server hangs and the device cannot
// be closed it returns ErrStuck after two seconds, and the goroutines that wait
// for that server, sixteen at most, end when the server does. One Run at a time.
func (k *Keeper) Run(ctx context.Context, put func(pcm []int16, at time.Time)) error {
	k.latest.Store(nil)
	k.switchedOff.Store(false)
	queue, closed := make(chan chunk, queueChunks), make(chan struct{})
	go func() {
		defer close(closed)
		a := &attempts{k: k, queue: queue, outcomes: make(chan outcome, 2*maxHungPoke)}
		a.supervise(ctx)
	}()
	p := &pump{k: k, put: put, clock: time.Now(), lastLive: time.Now(), silent: true}
	p.run(ctx, queue)
	stuck := time.NewTimer(stuckAfter)
	defer stuck.Stop()
	select {
	case <-closed:
		return nil
	case <-stuck.C:
		return fmt.Errorf("cannot close the microphone: %w", ErrStuck)
	}
}

// newState puts an error, or none, into a code and words.
func newState(device string, err error) *State {
	s := &State{Code: Broken, Words: "The microphone does not work. A technician is needed.", Device: device, Err: err}
	switch {
	case err == nil:
		s.Code, s.Words = Present, "The microphone works."
	case errors.Is(err, ErrNoDevice), errors.Is(err, ErrGone):
		s.Code, s.Words = Gone, "The microphone is not plugged in."
	case errors.Is(err, ErrBusy):
		s.Code, s.Words = Busy, "Another program uses the microphone."
	case errors.Is(err, ErrPermission):
		s.Code, s.Words = NoPermission, "The microphone may not be used."
	case errors.Is(err, ErrStalled):
		s.Code, s.Words = Hung, "The microphone gives no sound. Unplug it and plug it in again."
	}
	return s
}
