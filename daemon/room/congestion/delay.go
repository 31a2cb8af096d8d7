package congestion

import (
	"math"
	"time"
)

// usage is what the delays say of the path's queue (gcc-02, section 5.3).
type usage int

const (
	normal usage = iota
	over         // it grows
	under        // it empties
)

const (
	groupSpan  = 5 * time.Millisecond // packets of one burst count as one (section 5.2)
	trendSize  = 20                   // groups that the trend is taken of
	trendGain  = 4.0
	trendMost  = 60.0
	smoothing  = 0.9
	limitStart = 12.5 // ms; adaptive from there (section 5.4)
	limitLeast = 6.0
	limitMost  = 600.0
	limitUp    = 0.0087
	limitDown  = 0.039
	limitJump  = 15.0 // what is further off does not move the limit
	overTime   = 10.0 // ms above the limit before it counts

	// standingMost is a queue that a call should not live with, whether it grows or not.
	standingMost = 150.0 // ms
	baseSpan     = 5 * time.Second
)

// delay watches the variation of the one-way delay: its trend over the last groups
// of packets, and how far it is above its least of the last seconds.
type delay struct {
	begun       bool
	origin      time.Time
	group, last group

	x, y        [trendSize]float64 // ms of arrival, ms of smoothed delay
	points      int
	deltas      float64
	accumulated float64
	smoothed    float64
	trend       float64
	before      float64
	limit       float64
	overFor     float64
	overCount   int
	state       usage

	now        float64 // the one-way delay but for a constant, ms, smoothed
	least      [2]float64
	leastSince time.Duration
}

type group struct {
	sent    time.Duration // of its first packet, since origin
	sentEnd time.Duration
	arrived time.Duration // of its last
	any     bool
}

func newDelay() delay {
	return delay{limit: limitStart, least: [2]float64{math.Inf(1), math.Inf(1)}}
}

// restart forgets everything but the limit.
func (d *delay) restart() {
	limit := d.limit
	*d = newDelay()
	d.limit = limit
}

// take notes one packet; packets come in the order in which they were sent.
func (d *delay) take(sent time.Time, arrived time.Duration) {
	if !d.begun {
		d.begun, d.origin, d.leastSince = true, sent, arrived
	}
	at := sent.Sub(d.origin)
	d.level(at, arrived)
	switch {
	case !d.group.any:
		d.group = group{at, at, arrived, true}
	case at-d.group.sent <= groupSpan:
		d.group.sentEnd, d.group.arrived = max(d.group.sentEnd, at), max(d.group.arrived, arrived)
	default:
		if d.last.any {
			d.step(d.last, d.group)
		}
		d.last, d.group = d.group, group{at, at, arrived, true}
	}
}

// level follows the delay itself.
func (d *delay) level(sent, arrived time.Duration) {
	raw := ms(arrived - sent)
	if math.IsInf(d.least[0], 1) && math.IsInf(d.least[1], 1) {
		d.now = raw
	}
	d.now += (raw - d.now) / 16
	if arrived-d.leastSince > baseSpan {
		d.least[1], d.least[0], d.leastSince = d.least[0], math.Inf(1), arrived
	}
	d.least[0] = min(d.least[0], d.now)
}

// queue is how far the delay is above its least of the last seconds, in ms.
func (d *delay) queue() float64 {
	if !d.begun {
		return 0
	}
	return d.now - min(d.least[0], d.least[1])
}

func (d *delay) standing() bool { return d.queue() > standingMost && d.state != under }

func (d *delay) verdict() usage { return d.state }

// step takes what the delay changed by from one group to the next.
func (d *delay) step(a, b group) {
	gap := ms(b.arrived - a.arrived)
	change := gap - ms(b.sentEnd-a.sentEnd)
	d.deltas = min(d.deltas+1, trendMost)
	d.accumulated += change
	d.smoothed = smoothing*d.smoothed + (1-smoothing)*d.accumulated
	copy(d.x[:], d.x[1:])
	copy(d.y[:], d.y[1:])
	d.x[trendSize-1], d.y[trendSize-1] = ms(b.arrived), d.smoothed
	d.points = min(d.points+1, trendSize)
	if d.points < trendSize {
		return
	}
	d.before, d.trend = d.trend, slope(&d.x, &d.y)
	d.detect(d.trend*d.deltas*trendGain, max(gap, 0))
}

// slope is the least-squares one.
func slope(x, y *[trendSize]float64) float64 {
	var mx, my float64
	for i := range x {
		mx += x[i] / trendSize
		my += y[i] / trendSize
	}
	var num, den float64
	for i := range x {
		num += (x[i] - mx) * (y[i] - my)
		den += (x[i] - mx) * (x[i] - mx)
	}
	if den == 0 {
		return 0
	}
	return num / den
}

// detect compares the trend with the limit, and moves the limit (gcc-02, 5.4).
func (d *delay) detect(trend, gap float64) {
	switch {
	case trend > d.limit:
		d.overFor += gap
		d.overCount++
		if d.overFor > overTime && d.overCount > 1 && d.trend >= d.before {
			d.state, d.overFor, d.overCount = over, 0, 0
		}
	case trend < -d.limit:
		d.state, d.overFor, d.overCount = under, 0, 0
	default:
		d.state, d.overFor, d.overCount = normal, 0, 0
	}
	if off := math.Abs(trend) - d.limit; off < limitJump {
		k := limitUp
		if off < 0 {
			k = limitDown
		}
		d.limit = min(max(d.limit+k*off*min(gap, 100), limitLeast), limitMost)
	}
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }
