package speaker

import (
	"context"
	"errors"
	"fmt"
	"math"
	"syscall"
	"time"

	"kioskd/capture/soundcard"
)

const (
	// Rate is the sample rate in Hz.
	Rate = 48000
	// MinHertz and MaxHertz bound a tone's pitch: what people hear.
	MinHertz, MaxHertz = 20, 20_000
	// MaxDuration bounds a tone's length.
	MaxDuration = time.Minute

	periodSamples = Rate / 100   // 10 ms
	bufferSamples = Rate / 10    // 100 ms, which is what may be heard after the last write
	rampSamples   = Rate / 100   // from nothing to full and back, so that it does not click
	loudness      = 0.25 * 32767 // -12 dB of full scale: clear, and no shock
	waitSlice     = 20           // ms; how late a cancelled context can be noticed
	stallAfter    = time.Second  // the device takes nothing for so long: it hangs

	openWithin  = 3 * time.Second        // for a sound server's answer
	closeWithin = 100 * time.Millisecond // how long the end of ctx waits for the device
	drainSlack  = 20 * time.Millisecond  // for the last of it to be heard
	retryPause  = 20 * time.Millisecond
)

// Why a tone was not played. PlayTone's errors wrap one of these where the caller
// can do something about it.
var (
	ErrNoDevice   = soundcard.ErrNoDevice                    // not plugged in, or its sound server is not there
	ErrBusy       = soundcard.ErrBusy                        // EBUSY
	ErrPermission = soundcard.ErrPermission                  // EACCES, EPERM
	ErrGone       = errors.New("speaker gone")               // unplugged, or its sound server died
	ErrStalled    = errors.New("it takes no sound")          // the device is there and plays nothing
	ErrTone       = errors.New("no such tone can be played") // out of bounds
)

// Info is one playback device of a sound card; see soundcard.Info for each field.
type Info = soundcard.Info

// List gives the playback devices of all cards, none where there is no card. Names
// of a configuration file, such as "default", are no cards and are not listed.
func List() ([]Info, error) { return soundcard.List(soundcard.Playback) }

// PlayTone plays a sine of hertz for d on the device that alsa-lib knows under this
// name ("": "default") and returns when it was heard. It swells and fades for 10 ms
// each. The end of ctx ends it within 200 ms, with ctx's error. Errors wrap
// ErrNoDevice, ErrBusy, ErrPermission, ErrGone, ErrStalled or ErrTone.
//
// alsa-lib's pulse plugin waits for its server without a deadline. Where that one
// hangs, PlayTone returns ErrStalled, and the goroutine that waits for the server
// ends when the server does: one tone at a time is the caller's to see to.
func PlayTone(ctx context.Context, device string, hertz int, d time.Duration) error {
	if device == "" {
		device = "default"
	}
	if hertz < MinHertz || hertz > MaxHertz || d <= 0 || d > MaxDuration {
		return fmt.Errorf("cannot play %d Hz for %v: %w; %d to %d Hz and %v at most are possible", hertz, d, ErrTone, MinHertz, MaxHertz, MaxDuration)
	}
	if err := ctx.Err(); err != nil {
		return stopped(device, err)
	}
	p := &player{device: device, tone: newTone(hertz, d)}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- p.play(ctx) }()
	late := time.NewTimer(openWithin + d + 2*stallAfter)
	defer late.Stop()
	select {
	case err := <-ended:
		return err
	case <-late.C:
		return fmt.Errorf("cannot play on speaker %s: %w; restart the sound server", device, ErrStalled)
	case <-ctx.Done():
	}
	// Nearly always it ends now; a sound server that hangs is not waited for.
	grace := time.NewTimer(closeWithin)
	defer grace.Stop()
	select {
	case err := <-ended:
		return err
	case <-grace.C:
		return stopped(device, ctx.Err())
	}
}

func stopped(device string, err error) error {
	return fmt.Errorf("cannot play on speaker %s to the end: %w", device, err)
}

// player is one tone on its way to one device.
type player struct {
	device string
	tone   *tone
	pcm    *soundcard.PCM
	buf    []int16
}

// play opens the device, plays and closes it.
func (p *player) play(ctx context.Context) (err error) {
	p.pcm, err = soundcard.OpenPCM(p.device, soundcard.Playback, Rate, periodSamples, bufferSamples)
	if err != nil {
		return fmt.Errorf("cannot play a tone: %w", err)
	}
	defer p.pcm.Close()
	p.buf = make([]int16, periodSamples*p.pcm.Channels)
	if err := p.write(ctx); err != nil {
		return err
	}
	return p.drain(ctx)
}

// write hands the whole tone to the device.
func (p *player) write(ctx context.Context) error {
	var rest []int16
	for last := time.Now(); ; {
		if len(rest) == 0 {
			if rest = p.tone.next(p.buf, p.pcm.Channels); len(rest) == 0 {
				return nil
			}
		}
		n, err := p.hand(rest)
		switch {
		case ctx.Err() != nil:
			return stopped(p.device, ctx.Err())
		case err != nil:
			if err := p.recover(ctx, err); err != nil {
				return err
			}
		case n > 0:
			rest, last = rest[n*p.pcm.Channels:], time.Now()
		}
		if time.Since(last) > stallAfter {
			return fmt.Errorf("cannot play on speaker %s: %w", p.device, ErrStalled)
		}
	}
}

// hand waits for room for one slice at most and fills it.
func (p *player) hand(samples []int16) (frames int, err error) {
	ready, err := p.pcm.Wait(waitSlice)
	if err != nil || !ready {
		return 0, err
	}
	return p.pcm.Write(samples)
}

// drain waits until what is in the device was heard: it has run dry, or the time
// that this takes is over. A sound server's delay never comes down to nothing.
func (p *player) drain(ctx context.Context) error {
	if err := p.pcm.Begin(); err != nil {
		return p.gone(err)
	}
	tick := time.NewTicker(periodSamples * time.Second / Rate)
	defer tick.Stop()
	first, heard := -1, time.Time{}
	for {
		left, err := p.pcm.Delay()
		if errors.Is(err, syscall.EPIPE) || err == nil && (left == 0 || p.pcm.State() == "XRUN") {
			return nil
		}
		if err != nil {
			return p.gone(err)
		}
		if first < 0 {
			first, heard = left, time.Now().Add(time.Duration(left)*time.Second/Rate+drainSlack)
		}
		if time.Now().After(heard) {
			if left >= first && first > 2*periodSamples {
				return fmt.Errorf("cannot play on speaker %s to the end: %w", p.device, ErrStalled)
			}
			return nil
		}
		select {
		case <-ctx.Done():
			return stopped(p.device, ctx.Err())
		case <-tick.C:
		}
	}
}

// recover goes on after an underrun (EPIPE) or a suspend (ESTRPIPE) and gives up on
// anything else. What was in the device is lost. One that is never well for long
// ends as ErrStalled.
func (p *player) recover(ctx context.Context, err error) error {
	var code syscall.Errno
	if !errors.As(err, &code) || code != syscall.EPIPE && code != syscall.ESTRPIPE {
		return p.gone(err)
	}
	if failed := p.pcm.Recover(code); failed != nil && !errors.Is(failed, syscall.EAGAIN) {
		return p.gone(failed)
	}
	pause := time.NewTimer(retryPause)
	defer pause.Stop()
	select {
	case <-ctx.Done(): // the caller looks at ctx
	case <-pause.C:
	}
	return nil
}

func (p *player) gone(err error) error {
	return fmt.Errorf("cannot go on with speaker %s: %w (%w)", p.device, ErrGone, err)
}

// tone makes a sine, a period at a time.
type tone struct {
	step  float64 // radians a frame
	at    int     // frames made
	total int
	ramp  int // frames of swelling, and of fading
}

func newTone(hertz int, d time.Duration) *tone {
	total := int(int64(d) * Rate / int64(time.Second))
	return &tone{step: 2 * math.Pi * float64(hertz) / Rate, total: total, ramp: min(rampSamples, total/2)}
}

// next fills buf with what comes next, the same in each channel, and returns the
// filled part; nothing at the end.
func (t *tone) next(buf []int16, channels int) []int16 {
	n := 0
	for ; n+channels <= len(buf) && t.at < t.total; t.at++ {
		v := int16(math.Round(loudness * t.envelope() * math.Sin(t.step*float64(t.at))))
		for range channels {
			buf[n] = v
			n++
		}
	}
	return buf[:n]
}

// envelope is a raised cosine at both ends and 1 between.
func (t *tone) envelope() float64 {
	edge := min(t.at, t.total-1-t.at)
	if edge >= t.ramp {
		return 1
	}
	return 0.5 - 0.5*math.Cos(math.Pi*float64(edge)/float64(t.ramp))
}
