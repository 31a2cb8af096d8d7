package microphone

import (
	"context"
	"time"
)

// silentChunks is how much digital silence in a row is worth a word: 5 s.
const silentChunks = 500

// pump is what Run's goroutine knows: how far the output has come.
type pump struct {
	k        *Keeper
	put      func([]int16, time.Time)
	clock    time.Time // up to here the output has been put
	silent   bool      // silence stands in for the device
	lastLive time.Time
	zeros    [ChunkSamples]int16

	quiet     int // live chunks of digital silence in a row
	told      State
	toldQuiet bool
	toldOff   bool // by the card's own switch
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
		p.report()
	}
}

// live puts one chunk of the device. The clock follows the device's slowly, so
// that a sound card whose second is not quite a second makes no clicks.
func (p *pump) live(c *chunk, now time.Time) {
	p.silent, p.lastLive = false, now
	if p.k.meter.add(c.pcm[:]) > 0 {
		p.quiet = 0
	} else {
		p.quiet++
	}
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

// report tells what has changed.
func (p *pump) report() {
	if s := p.k.latest.Load(); s != nil && (s.Code != p.told.Code || s.Device != p.told.Device) {
		p.reportState(s)
	}
	// Chunks are counted, so that silence which stands in for the device is not.
	if silent := p.quiet >= silentChunks; silent != p.toldQuiet {
		p.toldQuiet = silent
		if p.k.cfg.Silent != nil {
			p.k.cfg.Silent(silent)
		}
	}
	if off := p.k.switchedOff.Load(); off != p.toldOff {
		p.toldOff = off
		p.k.cfg.HardwareMuted(off)
	}
}

func (p *pump) reportState(s *State) {
	p.told = *s
	if s.Err != nil {
		p.quiet = 0 // the next device's silence is another one
		p.k.cfg.Log.Warn("microphone not usable", "code", string(s.Code), "device", s.Device, "err", s.Err)
	} else {
		p.k.cfg.Log.Info("microphone live", "device", s.Device)
	}
	if p.k.cfg.Changed != nil {
		p.k.cfg.Changed(*s)
	}
}
