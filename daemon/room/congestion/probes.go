package congestion

import "time"

const (
	probeStep   = 1.5 // a probe goes so far beyond the rate
	probeFirst  = 2.0 // while nothing has failed yet
	probeOver   = 1.1 // what is wanted is proved with so much to spare
	probePasses = 0.85
	probeSpan   = 200 * time.Millisecond
	// A probe that only keeps a rate proved which is not used at the moment.
	leapSpan  = 100 * time.Millisecond
	keepSpan  = 50 * time.Millisecond
	keepEvery = 2 * time.Second

	probeAfter  = 400 * time.Millisecond // one that passed
	probeFails  = 2 * time.Second        // one that failed, doubled up to probeLatest
	probeLatest = 5 * time.Second
	probeWait   = 500 * time.Millisecond // for its feedback, and the way there and back
	probeLeast  = 4                      // packets
	probeRise   = 12.0                   // ms; a path that is too slow by half adds 50 in probeSpan
	probeDelays = 512
)

type probeVerdict int

const (
	probeOpen probeVerdict = iota
	probePassed
	probeFailed
)

// probes asks for spells at a higher rate and judges how much of them arrived.
type probes struct {
	number int // of the newest, from 1
	bps    float64
	began  time.Time
	until  time.Time
	open   bool
	faults int

	sent, arrival spell
	next          time.Time
	everFailed    bool
	keeping       bool // the newest only keeps a rate proved
	leap          bool // the next goes up to what is wanted at once
}

// spell is how many bytes went by from when to when.
type spell struct {
	packets, bytes int
	first, last    time.Duration
	firstSize      int
	delays         []float64 // of each packet, ms, but for a constant
}

// rise is by how much packets of the last quarter took longer than those of the first, in ms.
func (s *spell) rise() float64 {
	n := max(len(s.delays)/4, 1)
	var rise float64
	for i := range n {
		rise += s.delays[len(s.delays)-1-i] - s.delays[i]
	}
	return rise / float64(n)
}

func (s *spell) take(at time.Duration, size int) {
	if s.packets == 0 {
		s.first, s.last, s.firstSize = at, at, size
	}
	s.first, s.last = min(s.first, at), max(s.last, at)
	s.packets++
	s.bytes += size
}

// rate is in bit/s: what came after the first packet, by the time since it.
func (s *spell) rate() float64 {
	return float64(8*(s.bytes-s.firstSize)) / max(s.last-s.first, time.Millisecond).Seconds()
}

// soon lets the next probe be due now.
func (p *probes) soon(now time.Time) {
	if !p.open {
		p.next = now
	}
}

func (p *probes) cancel(now time.Time) {
	p.open = false
	p.next = now.Add(probeAfter)
}

// fell puts the next probe off after a fall of the rate that was not a probe's.
func (p *probes) fell(now time.Time) {
	p.open, p.everFailed = false, true
	if after := now.Add(probeFails); p.next.Before(after) && p.faults == 0 {
		p.next = after
	}
}

// failed puts the next probe off.
func (p *probes) failed(now time.Time) {
	p.open, p.everFailed = false, true
	p.next = now.Add(min(probeFails<<min(p.faults, 4), probeLatest))
	p.faults++
}

// tried says that what comes back now is, or was until just now, of a probe.
func (p *probes) tried(now time.Time, rtt time.Duration) bool {
	return p.number > 0 && now.Before(p.until.Add(probeWait+rtt))
}

// due starts a probe where one is: the rate is below what is wanted, or it is not
// being used and would not be believed any longer.
func (p *probes) due(now time.Time, rate, wanted, used float64) (int, time.Time, bool) {
	if p.open {
		return int(p.bps), p.until, now.Before(p.until)
	}
	if now.Before(p.next) {
		return 0, time.Time{}, false
	}
	span := probeSpan
	switch {
	case rate < wanted*0.98 && p.leap:
		p.bps, span, p.keeping = wanted*probeOver, leapSpan, false
	case rate < wanted*0.98:
		step := probeStep
		if !p.everFailed {
			step = probeFirst
		}
		p.bps = min(rate*step, wanted*probeOver)
		p.keeping = false
	case used < min(rate, wanted)/capShare*1.1:
		p.bps, span = min(rate, wanted), keepSpan
		p.keeping = true
	default:
		return 0, time.Time{}, false
	}
	p.leap = false
	p.number++
	p.open, p.until = true, now.Add(span)
	p.began, p.sent, p.arrival = now, spell{}, spell{}
	return int(p.bps), p.until, true
}

// note tells which probe a packet that goes out now belongs to.
func (p *probes) note(size int, now time.Time) int {
	if !p.open || now.After(p.until) {
		return 0
	}
	p.sent.take(now.Sub(p.began), size)
	return p.number
}

// arrived takes a packet of a probe, in the order of sending.
func (p *probes) arrived(number, size int, sent time.Time, at time.Duration) {
	if !p.open || number != p.number {
		return
	}
	p.arrival.take(at, size)
	if len(p.arrival.delays) < probeDelays {
		p.arrival.delays = append(p.arrival.delays, ms(at-sent.Sub(p.began)))
	}
}

// judge ends a probe whose feedback is there and gives the rate in bit/s at which it arrived.
func (p *probes) judge(now time.Time, rtt time.Duration) (float64, probeVerdict) {
	if !p.open || now.Before(p.until) {
		return 0, probeOpen
	}
	complete := p.arrival.bytes >= p.sent.bytes
	if !complete && now.Before(p.until.Add(probeWait+rtt)) {
		return 0, probeOpen
	}
	p.open = false
	if p.arrival.packets < probeLeast { // there was nothing to probe with
		p.next = now.Add(keepEvery)
		return 0, probeOpen
	}
	reached, tried := p.arrival.rate(), min(p.bps, p.sent.rate())
	if p.arrival.rise() < probeRise && p.arrival.bytes > p.sent.bytes*9/10 { // what spread them was not a queue
		reached = tried
	}
	if reached < tried*probePasses {
		return reached, probeFailed
	}
	p.faults = 0
	p.next = now.Add(probeAfter)
	if p.keeping {
		p.next = now.Add(keepEvery)
	}
	return min(reached, tried), probePassed
}
