package microphone

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"kioskd/capture/soundcard"
)

const (
	// Rate is the sample rate in Hz: Opus's own.
	Rate = 48000
	// ChunkSamples is what one chunk holds: 10 ms, mono.
	ChunkSamples = Rate / 100
	// ChunkTime is how long a chunk lasts.
	ChunkTime = 10 * time.Millisecond

	// The reader is woken every 20 ms, which is what a packet of sound holds: to be woken
	// for each half of it would bring nothing forward.
	periodSamples = 2 * ChunkSamples
	bufferSamples = 8 * ChunkSamples // 80 ms until an overrun
	maxDrain      = 32               // reads in a row before the context is looked at
	waitSlice     = 50               // ms; how late a cancelled context can be noticed
	defaultDevice = "default"
	recoverPause  = 20 * time.Millisecond
	stallAfter    = time.Second // no sound for so long: the device hangs
)

// Why a microphone does not open or stopped. Run's and Open's errors wrap one
// of these where the caller can do something about it.
var (
	ErrNoDevice   = soundcard.ErrNoDevice                    // not plugged in, or its sound server is not there
	ErrBusy       = soundcard.ErrBusy                        // EBUSY
	ErrPermission = soundcard.ErrPermission                  // EACCES, EPERM
	ErrGone       = errors.New("microphone gone")            // unplugged, or its sound server died
	ErrStalled    = errors.New("no sound within one second") // the device is there and gives nothing
)

// Config says which microphone to open.
type Config struct {
	Device string // an alsa-lib PCM name; "": "default"
}

// Microphone is an open capture device.
type Microphone struct {
	name     string
	pcm      *soundcard.PCM
	raw      []int16 // one chunk as the device gives it, 1 or 2 channels
	fill     int     // frames in raw
	weak     bool    // it had to be recovered and has given nothing since
	mono     [ChunkSamples]int16
	overruns atomic.Uint64
	chunks   atomic.Uint64
}

// Stats counts what a Microphone did.
type Stats struct {
	Chunks   uint64 // of 10 ms
	Overruns uint64 // times the reader was late, or the machine slept, and sound was lost
}

// Open opens the device and starts capturing. Errors wrap ErrNoDevice, ErrBusy
// or ErrPermission. Run must follow, which also closes it.
//
// A card's driver answers at once. alsa-lib's pulse plugin talks to its server
// without a deadline: where a device name leads there, Open and the closing at
// Run's end can hang with the server (see Keeper, which is not held up by it).
func Open(cfg Config) (*Microphone, error) {
	name := cfg.Device
	if name == "" {
		name = defaultDevice
	}
	p, err := soundcard.OpenPCM(name, soundcard.Capture, Rate, periodSamples, bufferSamples)
	if err != nil {
		return nil, err
	}
	return &Microphone{name: name, pcm: p, raw: make([]int16, ChunkSamples*p.Channels)}, nil
}

// Run calls put with each 10 ms of sound, mono, and the instant its first
// sample was recorded, until ctx ends (nil is returned, within 200 ms) or the
// device fails (ErrGone, ErrStalled). put must not wait, and must not keep pcm.
// An overrun and a suspend are recovered from. Run closes the device. It is called
// once.
func (m *Microphone) Run(ctx context.Context, put func(pcm []int16, at time.Time)) error {
	defer m.pcm.Close()
	return m.run(ctx, put)
}

// run is Run without closing, which may hang where run has ended in time.
func (m *Microphone) run(ctx context.Context, put func(pcm []int16, at time.Time)) error {
	last := time.Now()
	for ctx.Err() == nil {
		got, err := m.next(ctx, put)
		if err != nil {
			return err
		}
		now := time.Now()
		if got {
			last, m.weak = now, false
		} else if now.Sub(last) > stallAfter {
			return fmt.Errorf("cannot go on with microphone %s: %w", m.name, ErrStalled)
		}
	}
	return nil
}

// next waits for sound for one slice at most and hands on what makes a chunk.
func (m *Microphone) next(ctx context.Context, put func([]int16, time.Time)) (got bool, err error) {
	ready, err := m.pcm.Wait(waitSlice)
	if err != nil {
		return false, m.recover(ctx, err)
	}
	if !ready {
		return false, nil
	}
	// All of it, as a device may wake us less often than every chunk; but not
	// for ever, as one may also give sound faster than time.
	for range maxDrain {
		n, err := m.pcm.Read(m.raw[m.fill*m.pcm.Channels:])
		if err != nil {
			return got, m.recover(ctx, err)
		}
		if n == 0 {
			return got, nil
		}
		got = true
		if m.fill += n; m.fill < ChunkSamples {
			continue
		}
		m.fill = 0
		waiting, err := m.pcm.Delay()
		if err != nil {
			waiting = 0 // the next read says what is wrong
		}
		held := time.Duration(waiting+ChunkSamples) * time.Second / Rate
		m.chunks.Add(1)
		put(m.mixdown(), time.Now().Add(-held))
	}
	return got, nil
}

// mixdown gives the chunk as mono.
func (m *Microphone) mixdown() []int16 {
	if m.pcm.Channels == 1 {
		return m.raw
	}
	for i := range m.mono {
		m.mono[i] = int16((int32(m.raw[2*i]) + int32(m.raw[2*i+1])) / 2)
	}
	return m.mono[:]
}

// recover goes on after an overrun or a suspend and gives up on anything else. A
// device that needs it again and again is given time in between; one that never
// comes back ends as ErrStalled.
func (m *Microphone) recover(ctx context.Context, err error) error {
	var code syscall.Errno
	if !errors.As(err, &code) {
		return err
	}
	if code != syscall.EPIPE && code != syscall.ESTRPIPE {
		return m.gone(err)
	}
	if m.weak {
		pause := time.NewTimer(recoverPause)
		defer pause.Stop()
		select {
		case <-ctx.Done():
			return nil
		case <-pause.C:
		}
	} else {
		m.overruns.Add(1)
	}
	m.weak, m.fill = true, 0
	if failed := m.pcm.Recover(code); failed != nil && !errors.Is(failed, syscall.EAGAIN) {
		return m.gone(failed)
	}
	return nil
}

func (m *Microphone) gone(err error) error {
	return fmt.Errorf("cannot go on with microphone %s: %w (%w)", m.name, ErrGone, err)
}

// Stats may be asked for from any goroutine.
func (m *Microphone) Stats() Stats {
	return Stats{Chunks: m.chunks.Load(), Overruns: m.overruns.Load()}
}
