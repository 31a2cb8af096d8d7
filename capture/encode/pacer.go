package encode

import "time"

// ticksPerSecond is RTP's video clock (RFC 7741 section 4.1) and the timebase
// given to libvpx.
const ticksPerSecond = 90000

const (
	paceWindow = 8                    // gaps the frame interval is averaged over
	minStep    = ticksPerSecond / 240 // a step is never shorter: timestamps must increase
	maxStep    = ticksPerSecond       // nor longer: one picture never gets more than a second of bits
	pauseFloor = ticksPerSecond / 8   // a gap below this is never taken for a pause
)

// pacer turns capture instants into the timestamps and durations libvpx counts
// bits by. They follow real time, but smoothly: libvpx gives a picture the bits
// of the time since the one before it, and takes any change of 10 % over at
// once, so with raw instants a picture that comes 20 ms late gets twice its
// share and the next one nearly none. A gap that stands alone (video was off,
// the camera was away) is a pause and earns no bits; two in a row are a new,
// slower frame rate.
//
// The zero value is not usable; see newPacer.
type pacer struct {
	interval float64             // ticks a picture, smoothed
	gaps     [paceWindow]float64 // the last gaps, a ring
	next     int
	last     time.Time
	paused   bool    // the gap before this one was a pause
	end      float64 // where the timestamps given out so far end
	ahead    float64 // end minus real time, in ticks
}

// newPacer starts with the interval of fps pictures a second.
func newPacer(fps float64) *pacer {
	p := &pacer{}
	p.reset(ticksPerSecond / fps)
	return p
}

// reset forgets the gaps seen and assumes interval (ticks) from here on.
func (p *pacer) reset(interval float64) {
	p.interval = min(max(interval, minStep), maxStep)
	for i := range p.gaps {
		p.gaps[i] = p.interval
	}
	p.ahead = 0
}

// step gives the timestamp and the duration, in ticks of 1/90000 s, of the
// picture taken at the instant at. Timestamps strictly increase whatever at is.
func (p *pacer) step(at time.Time) (pts, dur int64) {
	if !p.last.IsZero() {
		p.observe(at.Sub(p.last).Seconds() * ticksPerSecond)
	}
	p.last = at
	// Ahead of real time the step shrinks quickly, so that a camera that speeds
	// up does not overspend; behind it the step grows by at most 8 %.
	step := p.interval - min(max(p.ahead/8, -p.interval*0.08), p.interval*0.75)
	step = min(max(step, minStep), maxStep)
	pts = int64(p.end)
	p.end += step
	p.ahead += step
	return pts, max(int64(p.end)-pts, 1)
}

// observe learns from the gap, in ticks, between two pictures.
func (p *pacer) observe(gap float64) {
	gap = max(gap, 0)
	if gap > max(4*p.interval, pauseFloor) {
		if p.paused {
			p.reset(gap)
		} else {
			p.ahead = 0
		}
		p.paused = true
		return
	}
	p.paused = false
	p.gaps[p.next] = gap
	p.next = (p.next + 1) % paceWindow
	var sum float64
	for _, g := range p.gaps {
		sum += g
	}
	p.interval = min(max(p.interval+(sum/paceWindow-p.interval)/2, minStep), maxStep)
	p.ahead -= gap
	// Being far off is a change of rate, not jitter: don't chase what is past.
	limit := 4 * p.interval
	p.ahead = min(max(p.ahead, -limit), limit)
}
