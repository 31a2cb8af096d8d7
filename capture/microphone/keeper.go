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
	Log     *slog.Logger
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
	latest  atomic.Pointer[State] // what the device's goroutine last knew
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
	return &Keeper{cfg: cfg}
}

// SetMuted makes every chunk from the next one on exact silence, or live again.
// The device stays open: its state and Level are still known.
func (k *Keeper) SetMuted(muted bool) { k.muted.Store(muted) }

// Level is how loud the device's last 100 ms were, muted or not; zero while
// there is no live sound.
func (k *Keeper) Level() Level { return k.meter.level() }

// Dropped counts chunks lost because put was too slow or the device too fast.
func (k *Keeper) Dropped() uint64 { return k.dropped.Load() }

// Run hands chunks of ChunkSamples to put, with the instant of their first
// sample, until ctx ends. put must not wait and must not keep pcm. Run returns
// nil with the device closed; where a sound server hangs and the device cannot
// be closed it returns ErrStuck after two seconds, and the goroutine that waits
// for that server ends when the server does. One Run at a time.
func (k *Keeper) Run(ctx context.Context, put func(pcm []int16, at time.Time)) error {
	k.latest.Store(nil)
	queue, closed := make(chan chunk, queueChunks), make(chan struct{})
	go func() {
		defer close(closed)
		k.capture(ctx, queue)
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

// capture is the device's goroutine: open, run, and again.
func (k *Keeper) capture(ctx context.Context, queue chan<- chunk) {
	wait := retryFirst
	for ctx.Err() == nil {
		if k.once(ctx, queue) {
			wait = retryFirst
		}
		retry := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-retry.C:
		}
		retry.Stop()
		wait = min(2*wait, retryMax)
	}
}

// once opens the wanted microphone and runs it until it fails or ctx ends; live
// tells whether it gave any sound.
func (k *Keeper) once(ctx context.Context, queue chan<- chunk) (live bool) {
	cfg, err := k.cfg.Choose()
	if err == nil {
		var mic *Microphone
		if mic, err = Open(cfg); err == nil {
			err = mic.Run(ctx, func(pcm []int16, at time.Time) {
				if !live {
					live = true
					k.latest.Store(newState(cfg.Device, nil))
				}
				c := chunk{at: at}
				copy(c.pcm[:], pcm)
				select {
				case queue <- c:
				default:
					k.dropped.Add(1)
				}
			})
		}
	}
	if err != nil {
		k.latest.Store(newState(cfg.Device, err))
	}
	return live
}

// pump is what Run's goroutine knows: how far the output has come.
type pump struct {
	k        *Keeper
	put      func([]int16, time.Time)
	clock    time.Time // up to here the output has been put
	silent   bool      // silence stands in for the device
	lastLive time.Time
	told     State
	zeros    [ChunkSamples]int16
}

func (p *pump) run(ctx context.Context, queue <-chan chunk) {
	tick := time.NewTicker(ChunkTime)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-queue:
			p.live(&c, time.Now())
		case <-tick.C:
			p.fill(time.Now())
		}
		p.report(time.Now())
	}
}

// live puts one chunk of the device. The clock follows the device's slowly, so
// that a sound card whose second is not quite a second makes no clicks.
func (p *pump) live(c *chunk, now time.Time) {
	p.silent, p.lastLive = false, now
	p.k.meter.add(c.pcm[:])
	if p.clock.Sub(now) > early {
		p.k.dropped.Add(1) // silence has already stood in for it
		return
	}
	p.clock = p.clock.Add(ChunkTime + now.Sub(p.clock)/512)
	if p.k.muted.Load() {
		p.put(p.silence(), c.at)
		return
	}
	p.put(c.pcm[:], c.at)
}

// fill puts silence where the device owes sound.
func (p *pump) fill(now time.Time) {
	owed := now.Sub(p.clock)
	if !p.silent && owed <= slack {
		return
	}
	p.silent = true
	if owed > maxFill {
		p.clock = now.Add(-maxFill)
	}
	for ; now.Sub(p.clock) >= ChunkTime; p.clock = p.clock.Add(ChunkTime) {
		z := p.silence()
		p.k.meter.add(z)
		p.put(z, p.clock)
	}
}

// silence is a chunk of zeros, whatever put did to the one before.
func (p *pump) silence() []int16 {
	clear(p.zeros[:])
	return p.zeros[:]
}

// report tells a change of state. A device that neither gives sound nor fails
// within its time hangs in the sound system: only this goroutine can tell.
func (p *pump) report(now time.Time) {
	s := p.k.latest.Load()
	if now.Sub(p.lastLive) > hungAfter && (s == nil || s.Code == Present) {
		device := ""
		if s != nil {
			device = s.Device
		}
		s = newState(device, ErrStalled)
	}
	if s == nil || (s.Code == p.told.Code && s.Device == p.told.Device) {
		return
	}
	p.told = *s
	if s.Err != nil {
		p.k.cfg.Log.Warn("microphone not usable", "code", string(s.Code), "device", s.Device, "err", s.Err)
	} else {
		p.k.cfg.Log.Info("microphone live", "device", s.Device)
	}
	if p.k.cfg.Changed != nil {
		p.k.cfg.Changed(*s)
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
