package microphone

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kioskd/capture/soundcard"
)

const (
	maxHung     = 8  // attempts that may hang in the sound system before no more is made
	maxHungPoke = 16 // and with pokes, each of which buys one more

	hungFirst = 500 * time.Millisecond // the wait before another attempt is risked beside one that hangs
	hungMax   = 8 * time.Second

	switchAgain = time.Second // before a card's switch is looked for again
)

// attempt is one try at one device: a goroutine that opens it, runs it and closes
// it. Any of the three may hang in alsa-lib, for its pulse plugin waits for its
// server without a deadline; then the attempt is given up and another is made beside it.
type attempt struct {
	k         *Keeper
	cfg       Config
	began     time.Time
	cancel    context.CancelFunc
	lastSound atomic.Int64 // ns since began; from when it was live
	heard     atomic.Bool  // it gave sound

	// The supervisor's own.
	given   bool      // up, as it did not answer in time
	dropped bool      // and it had been live: what it says is of no interest
	closing time.Time // since when it closes its device; zero: it does not
}

// outcome is an attempt's word that it will give no more sound, or that its
// goroutine has ended.
type outcome struct {
	of    *attempt
	err   error // why there is no more sound
	ended bool  // the goroutine has; nothing follows
}

// attempts are the tries of one Keeper.Run. At most one of them is live: its sound
// and its switch count. An attempt that was given up while it opened and comes
// through after all becomes live unless another is.
type attempts struct {
	k        *Keeper
	queue    chan<- chunk
	outcomes chan outcome

	mu     sync.Mutex
	live   *attempt
	wanted string // the device that was chosen last

	// The supervisor's own.
	n      int      // goroutines that have not ended
	newest *attempt // whose opening is waited for; nil: nobody's
}

// start makes an attempt at the device.
func (a *attempts) start(ctx context.Context, cfg Config) {
	ctx, cancel := context.WithCancel(ctx)
	t := &attempt{k: a.k, cfg: cfg, began: time.Now(), cancel: cancel}
	a.mu.Lock()
	a.wanted = cfg.Device
	a.mu.Unlock()
	a.n++
	a.newest = t
	go func() {
		defer cancel()
		mic, err := Open(cfg)
		if err == nil && a.claim(t) {
			watched := a.watchSwitch(ctx, t)
			err = mic.run(ctx, func(pcm []int16, at time.Time) { a.put(t, pcm, at) })
			a.release(t)
			cancel()
			a.outcomes <- outcome{of: t, err: err}
			mic.pcm.Close()
			<-watched
		} else if err == nil {
			mic.pcm.Close()
		}
		a.outcomes <- outcome{of: t, err: err, ended: true}
	}()
}

// claim makes t the live attempt, unless there is one or another device is wanted by now.
func (a *attempts) claim(t *attempt) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.live != nil || a.wanted != t.cfg.Device {
		return false
	}
	a.live = t
	t.lastSound.Store(int64(time.Since(t.began)))
	return true
}

// release takes the word from t, if it has it.
func (a *attempts) release(t *attempt) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.live == t {
		a.live = nil
	}
}

func (a *attempts) current() *attempt {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.live
}

// put hands on a chunk of t's, unless t was given up meanwhile.
func (a *attempts) put(t *attempt, pcm []int16, at time.Time) {
	if a.current() != t {
		t.cancel()
		return
	}
	t.lastSound.Store(int64(time.Since(t.began)))
	t.heard.Store(true)
	a.k.latest.Store(newState(t.cfg.Device, nil))
	c := chunk{at: at}
	copy(c.pcm[:], pcm)
	select {
	case a.queue <- c:
	default:
		a.k.dropped.Add(1)
	}
}

// watchSwitch follows the card's switch while t is live; the channel is closed when
// that has ended.
func (a *attempts) watchSwitch(ctx context.Context, t *attempt) <-chan struct{} {
	ended := make(chan struct{})
	if a.k.cfg.HardwareMuted == nil {
		close(ended)
		return ended
	}
	device := t.cfg.Device
	if device == "" {
		device = defaultDevice
	}
	told := func(muted bool) {
		if a.current() == t {
			a.k.switchedOff.Store(muted)
		}
	}
	go func() {
		defer close(ended)
		for ctx.Err() == nil {
			err := soundcard.WatchSwitch(ctx, device, told)
			if errors.Is(err, soundcard.ErrNoSwitch) {
				told(false) // what an earlier device's switch said is not this one's
				return
			}
			pause(ctx, nil, switchAgain)
		}
	}()
	return ended
}

// supervise makes attempts until ctx ends, and returns when all have ended.
func (a *attempts) supervise(ctx context.Context) {
	s := &supervisor{attempts: a, retry: retryFirst, hung: hungFirst}
	wait := time.Duration(0)
	for ctx.Err() == nil {
		if wait == 0 {
			wait = s.try(ctx)
		}
		due := time.Now().Add(wait)
		left := func() time.Duration { return max(time.Until(due), 1) } // news puts nothing off
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
		case <-a.k.poke:
			wait = s.poked(left())
		case o := <-a.outcomes:
			wait = s.ended(o, left())
		case <-timer.C:
			wait = s.check()
		}
		timer.Stop()
	}
	for a.n > 0 { // ctx has ended: those that do not hang go at once
		if o := <-a.outcomes; o.ended {
			a.n--
		}
	}
}

// supervisor decides when the next attempt is made. Each method returns how long to
// wait for news; zero: make an attempt now. wait is what is left of the time before.
type supervisor struct {
	*attempts
	retry, hung time.Duration // the next waits after a failure and beside one that hangs
	extra       int           // attempts that pokes have bought
}

// try asks what is wanted and makes an attempt at it.
func (s *supervisor) try(ctx context.Context) time.Duration {
	cfg, err := s.k.cfg.Choose()
	if err != nil {
		return s.failed(cfg.Device, err)
	}
	if s.n >= maxHung+s.extra {
		s.k.latest.Store(newState(cfg.Device, fmt.Errorf("cannot try the microphone again: %w", ErrStalled)))
		return hungMax
	}
	s.start(ctx, cfg)
	return hungAfter
}

// failed notes why there is no sound and backs off.
func (s *supervisor) failed(device string, err error) time.Duration {
	s.k.latest.Store(newState(device, err))
	wait := s.retry
	s.retry = min(2*wait, retryMax)
	return wait
}

// idle is true while neither sound nor an opening is to be waited for.
func (s *supervisor) idle() bool { return s.newest == nil && s.current() == nil }

// poked cuts a back-off short.
func (s *supervisor) poked(wait time.Duration) time.Duration {
	s.retry, s.hung = retryFirst, hungFirst
	if !s.idle() {
		return wait
	}
	if s.n >= maxHung+s.extra && maxHung+s.extra < maxHungPoke {
		s.extra++
	}
	return 0
}

// ended takes an attempt's word.
func (s *supervisor) ended(o outcome, wait time.Duration) time.Duration {
	t := o.of
	if o.ended {
		s.n--
		s.extra = min(s.extra, max(0, s.n-maxHung))
	}
	if t == s.newest || s.newest == nil && !o.ended && !t.dropped {
		s.newest, t.closing = nil, time.Now()
		if s.current() != nil { // another came through meanwhile
			return hungAfter
		}
		if t.heard.Load() {
			s.retry, s.hung = retryFirst, hungFirst
		}
		err := o.err
		if err == nil {
			return retryFirst // it made way for one that has ended meanwhile
		}
		if errors.Is(err, syscall.EBUSY) && s.n > 0 {
			err = fmt.Errorf("%w: it is still being closed (%w)", ErrStalled, err)
		}
		return s.failed(t.cfg.Device, err)
	}
	late := t.given || !t.closing.IsZero() && time.Since(t.closing) > hungFirst
	if !o.ended || !late || !s.idle() {
		return wait
	}
	// One that hung has come back: the sound system does something again.
	s.retry, s.hung = retryFirst, hungFirst
	return 0
}

// check is called when nothing was heard for a while.
func (s *supervisor) check() time.Duration {
	t := s.current()
	if t == nil {
		t = s.newest
	} else {
		s.newest = t
	}
	if t == nil {
		return 0
	}
	since := time.Since(t.began.Add(time.Duration(t.lastSound.Load())))
	if since < hungAfter {
		return hungAfter - since
	}
	// It is given up. One that hangs while it opens may still come through.
	t.given = true
	if t == s.current() {
		s.release(t)
		t.cancel()
		t.dropped = true
	}
	s.newest = nil
	s.k.latest.Store(newState(t.cfg.Device, fmt.Errorf("cannot go on with microphone %s: %w", t.cfg.Device, ErrStalled)))
	wait := s.hung
	s.hung = min(2*wait, hungMax)
	return wait
}

// pause waits for d, for ctx or for a word on news.
func pause(ctx context.Context, news <-chan struct{}, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-news:
	case <-timer.C:
	}
}
