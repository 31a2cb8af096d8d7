package microphone

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	// Rate is the sample rate in Hz: Opus's own.
	Rate = 48000
	// ChunkSamples is what one chunk holds: 10 ms, mono.
	ChunkSamples = Rate / 100
	// ChunkTime is how long a chunk lasts.
	ChunkTime = 10 * time.Millisecond

	bufferSamples = 6 * ChunkSamples // 60 ms until an overrun
	maxDrain      = 32               // reads in a row before the context is looked at
	waitSlice     = 50               // ms; how late a cancelled context can be noticed
	stallAfter    = time.Second      // no sound for so long: the device hangs
)

// Why a microphone does not open or stopped. Run's and Open's errors wrap one
// of these where the caller can do something about it.
var (
	ErrNoDevice   = errors.New("no such microphone")         // not plugged in, or its sound server is not there
	ErrBusy       = errors.New("another program uses it")    // EBUSY
	ErrPermission = errors.New("this user may not open it")  // EACCES, EPERM
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
	pcm      *pcm
	raw      []int16 // one chunk as the device gives it, 1 or 2 channels
	fill     int     // frames in raw
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
		name = "default"
	}
	p, err := openPCM(name, Rate, ChunkSamples, bufferSamples)
	if err != nil {
		return nil, err
	}
	return &Microphone{name: name, pcm: p, raw: make([]int16, ChunkSamples*p.channels)}, nil
}

// Run calls put with each 10 ms of sound, mono, and the instant its first
// sample was recorded, until ctx ends (nil is returned, within 200 ms) or the
// device fails (ErrGone, ErrStalled). put must not wait, and must not keep pcm.
// Run closes the device. It is called once.
func (m *Microphone) Run(ctx context.Context, put func(pcm []int16, at time.Time)) error {
	defer m.pcm.close()
	last := time.Now()
	for ctx.Err() == nil {
		got, err := m.next(put)
		if err != nil {
			return err
		}
		now := time.Now()
		if got {
			last = now
		} else if now.Sub(last) > stallAfter {
			return fmt.Errorf("cannot go on with microphone %s: %w", m.name, ErrStalled)
		}
	}
	return nil
}

// next waits for sound for one slice at most and hands on what makes a chunk.
func (m *Microphone) next(put func([]int16, time.Time)) (got bool, err error) {
	ready, err := m.pcm.wait(waitSlice)
	if err != nil {
		return false, m.recover(err)
	}
	if !ready {
		return false, nil
	}
	// All of it, as a device may wake us less often than every chunk; but not
	// for ever, as one may also give sound faster than time.
	for range maxDrain {
		n, err := m.pcm.read(m.raw[m.fill*m.pcm.channels:])
		if err != nil {
			return got, m.recover(err)
		}
		if n == 0 {
			return got, nil
		}
		got = true
		if m.fill += n; m.fill < ChunkSamples {
			continue
		}
		m.fill = 0
		held := time.Duration(m.pcm.delay()+ChunkSamples) * time.Second / Rate
		m.chunks.Add(1)
		put(m.mixdown(), time.Now().Add(-held))
	}
	return got, nil
}

// mixdown gives the chunk as mono.
func (m *Microphone) mixdown() []int16 {
	if m.pcm.channels == 1 {
		return m.raw
	}
	for i := range m.mono {
		m.mono[i] = int16((int32(m.raw[2*i]) + int32(m.raw[2*i+1])) / 2)
	}
	return m.mono[:]
}

// recover goes on after an overrun or a suspend and gives up on anything else.
func (m *Microphone) recover(err error) error {
	var code syscall.Errno
	if !errors.As(err, &code) {
		return err
	}
	if code == syscall.EPIPE || code == syscall.ESTRPIPE {
		m.overruns.Add(1)
		m.fill = 0
		failed := m.pcm.recover(code)
		if failed == nil || errors.Is(failed, syscall.EAGAIN) {
			return nil // a device that never comes back ends as ErrStalled
		}
		err = failed
	}
	return fmt.Errorf("cannot go on with microphone %s: %w (%w)", m.name, ErrGone, err)
}

// Stats may be asked for from any goroutine.
func (m *Microphone) Stats() Stats {
	return Stats{Chunks: m.chunks.Load(), Overruns: m.overruns.Load()}
}
