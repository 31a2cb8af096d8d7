// Package congestion estimates how much a path carries, from what its far end
// says about each packet (transport-wide feedback,
// draft-holmer-rmcat-transport-wide-cc-extensions-01). It follows
// draft-ietf-rmcat-gcc-02: growing delay and loss take away, time without them
// gives back. Two things are its own. What was not seen to get through is not
// believed: the estimate stays below 1.5 times what was acknowledged, so that a
// sender with little to say does not run away. And it asks for probes, short
// spells at a higher rate, so that it is quick to find what came back.
//
// It has no clock, no goroutine and no lock: for one goroutine at a time.
// Imported by daemon/room/paced.
package congestion

import (
	"time"
)

// Rates of the estimator.
const (
	// capShare of what was acknowledged is the most that is believed; the promise is 1.5.
	capShare  = 1.4
	backOff   = 0.9  // of what gets through, after a queue was seen (gcc-02, section 5.5, has 0.85; Send empties it here)
	paused    = 1.15 // an encoder's half seconds differ by so much
	growth    = 0.08 // a second, far from the last congestion
	probeCost = 0.97 // the same, where it was a probe that made the queue
	filled    = 0.92 // of the rate at which a probe that was too fast came through
	// nearShare around the rate of the last congestion growth is gentle.
	nearShare  = 0.15
	nearGrowth = 0.04

	// A queue of drainFrom and more is given room to empty: a share of the rate, growing
	// with its length in ms.
	drainFrom, drainSpan, drainMost = 50.0, 500.0, 0.5

	lossHeavy = 0.10 // above it the rate falls (gcc-02, section 6)
	lossHold  = 0.04 // above the path's own loss it does not grow

	proofLife     = 2500 * time.Millisecond // how long an acknowledged rate counts
	silentAfter   = time.Second             // without feedback
	silentShare   = 0.7                     // of the rate, each silentAfter
	silentLeast   = 0.4                     // of the rate before the silence
	reactEvery    = 300 * time.Millisecond  // between two decreases, and the way there and back
	standingEvery = 2 * time.Second
)

// Config bounds an Estimator; rates are in bit/s, headers of IP and UDP included.
type Config struct{ Start, Min, Max int }

// Arrival is what the far end says about one packet.
type Arrival struct {
	Seq      uint16
	Received bool
	At       time.Duration // on the far end's clock
}

// historySize bounds the packets that feedback may still come for: some seconds.
const historySize = 4096

type sentPacket struct {
	seq      int64
	size     int
	at       time.Time
	probe    int // its probe's number; 0: none
	reported bool
}

// Estimator is the estimate of one path.
type Estimator struct {
	cfg     Config
	rate    float64
	wanted  float64
	history [historySize]sentPacket
	next    int64 // number of the next packet
	started bool

	delay  delay
	acked  acked
	loss   loss
	probes probes

	rtt       time.Duration
	heard     time.Time // the last feedback
	outSince  time.Time // the oldest packet since then
	silent    float64   // the rate before a silence, 0: none
	silentAt  time.Time
	reacted   time.Time
	stood     time.Time
	congested float64 // what got through at the last congestion
	updated   time.Time
}

// New makes an estimator that starts at c.Start.
func New(c Config) *Estimator {
	return &Estimator{cfg: c, rate: float64(c.Start), wanted: float64(c.Max), delay: newDelay()}
}

// Rate is the estimate in bit/s.
func (e *Estimator) Rate() int { return int(e.rate) }

// Send is the rate to send at, in bit/s: less than the estimate while a queue has to empty.
func (e *Estimator) Send() int {
	q := e.delay.queue() - drainFrom
	return int(e.rate * (1 - min(max(q/drainSpan, 0), drainMost)))
}

// Acked is what got through in the last half second, in bit/s.
func (e *Estimator) Acked() int { return int(e.acked.rate()) }

// RTT is the time there and back, smoothed; 0 before the first feedback.
func (e *Estimator) RTT() time.Duration { return e.rtt }

// Strained says whether a queue or loss was seen lately.
func (e *Estimator) Strained(now time.Time) bool {
	return !e.reacted.IsZero() && now.Sub(e.reacted) < 10*time.Second
}

// Want tells how much the sender could use at most. What it does not need is not
// probed for.
func (e *Estimator) Want(bps int, now time.Time) {
	w := min(float64(bps), float64(e.cfg.Max))
	if w > e.wanted*1.2 && e.started { // such as the camera that comes back
		e.probes.soon(now)
		e.probes.leap = true
	}
	e.wanted = w
}

// Sent notes a packet of size bytes on the wire as it goes out. Numbers follow each other.
func (e *Estimator) Sent(seq uint16, size int, now time.Time) {
	if !e.started {
		e.started, e.next = true, int64(seq)
		e.probes.soon(now)
	}
	n := e.unwrap(seq)
	e.history[n%historySize] = sentPacket{seq: n, size: size, at: now, probe: e.probes.note(size, now)}
	e.next = max(e.next, n+1)
	if e.outSince.IsZero() {
		e.outSince = now
	}
}

// unwrap gives the number nearest to the next one that ends in seq.
func (e *Estimator) unwrap(seq uint16) int64 {
	return e.next + int64(int16(seq-uint16(e.next)))
}

// find is the packet of a number, nil where it is not known, too old, or told of before.
func (e *Estimator) find(seq uint16) *sentPacket {
	n := e.unwrap(seq)
	if n < 0 || n >= e.next {
		return nil
	}
	p := &e.history[n%historySize]
	if p.seq != n || p.at.IsZero() || p.reported {
		return nil
	}
	return p
}

// Feedback takes what the far end says, in the order of numbers. What it says of
// packets that were never sent, or a second time, is ignored.
func (e *Estimator) Feedback(list []Arrival, now time.Time) {
	wasSilent := !e.heard.IsZero() && now.Sub(e.heard) > silentAfter
	if wasSilent { // what the delays were then means nothing now
		e.delay.restart()
		e.probes.cancel(now)
	}
	took, got, gone := time.Duration(-1), 0, 0
	for _, a := range list {
		p := e.find(a.Seq)
		if p == nil {
			continue
		}
		p.reported = true
		if !a.Received {
			gone++
			continue
		}
		got++
		took = now.Sub(p.at)
		e.acked.take(a.At, p.size)
		e.delay.take(p.at, a.At)
		e.probes.arrived(p.probe, p.size, p.at, a.At)
	}
	if got+gone == 0 {
		return
	}
	e.heard, e.outSince, e.silent = now, time.Time{}, 0
	if !wasSilent { // the loss of an outage is none of a rate
		e.loss.take(now, got, gone)
	}
	if took >= 0 {
		if e.rtt == 0 {
			e.rtt = took
		}
		e.rtt += (took - e.rtt) / 8
	}
	e.update(now)
}

// update brings the rate in line with what is known.
func (e *Estimator) update(now time.Time) {
	past := min(now.Sub(e.updated), time.Second)
	if e.updated.IsZero() {
		past = 0
	}
	e.updated = now
	share, base := e.loss.share()
	verdict := e.delay.verdict()
	standing := e.delay.standing() && now.Sub(e.stood) > standingEvery
	switch {
	case (verdict == over || standing) && now.Sub(e.reacted) > reactEvery+e.rtt:
		e.fall(backOff*e.carried(now), now)
		if standing {
			e.stood = now
		}
	case e.loss.heavy() && now.Sub(e.reacted) > reactEvery+e.rtt:
		e.fall(e.rate*(1-share/2), now)
		e.loss.restart()
	case verdict == normal && share < base+lossHold && now.Sub(e.reacted) > reactEvery && e.rate < e.wanted*probeOver:
		e.rate *= 1 + e.growth()*past.Seconds()
	}
	e.judgeProbe(now)
	e.bound(now)
}

// carried is what the path carries: what came through in the last half second, or lately
// where an encoder's pause explains the difference.
func (e *Estimator) carried(now time.Time) float64 {
	r := e.acked.rate()
	return max(r, min(e.acked.proof(now), r*paused))
}

func (e *Estimator) fall(to float64, now time.Time) {
	e.congested = e.acked.rate()
	if e.probes.tried(now, e.rtt) { // its queue is not the rate's fault
		to = max(to, probeCost*min(e.rate, e.acked.rate()))
		e.probes.failed(now)
	} else {
		e.probes.fell(now)
	}
	e.rate = min(e.rate, to)
	e.reacted = now
	e.acked.forget()
}

// growth is gentle where the path was full the last time.
func (e *Estimator) growth() float64 {
	if e.congested > 0 && e.rate > e.congested*(1-nearShare) && e.rate < e.congested*(1+nearShare) {
		return nearGrowth
	}
	return growth
}

func (e *Estimator) judgeProbe(now time.Time) {
	reached, verdict := e.probes.judge(now, e.rtt)
	switch verdict {
	case probePassed:
		e.acked.prove(reached, now)
		e.rate = max(e.rate, min(reached, e.wanted*probeOver))
		if reached > e.congested*(1+nearShare) {
			e.congested = 0
		}
	case probeFailed: // what of it came through filled the path, so that is what it carries
		e.probes.failed(now)
		e.rate = max(e.rate, min(filled*reached, e.rate*probeStep))
	case probeOpen:
	}
}

// bound holds the rate to what was seen to get through, and to the configuration.
func (e *Estimator) bound(now time.Time) {
	if proof := e.acked.proof(now); proof > 0 {
		e.rate = min(e.rate, capShare*proof)
	}
	e.rate = min(max(e.rate, float64(e.cfg.Min)), float64(e.cfg.Max))
}

// Tick is called a few times a second, also without feedback: a path that says
// nothing gets less.
func (e *Estimator) Tick(now time.Time) {
	if e.heard.IsZero() || e.outSince.IsZero() || now.Sub(e.outSince) < silentAfter+e.rtt {
		return
	}
	if e.silent == 0 {
		e.silent, e.silentAt = e.rate, time.Time{}
	}
	if now.Sub(e.silentAt) >= silentAfter {
		e.silentAt = now
		e.rate = max(e.rate*silentShare, e.silent*silentLeast, float64(e.cfg.Min))
		e.probes.cancel(now)
	}
}

// Probe says at which rate, in bit/s, to send until when, whatever there is to
// send. ok is false where no probe is due.
func (e *Estimator) Probe(now time.Time) (bps int, until time.Time, ok bool) {
	if e.heard.IsZero() || e.silent != 0 {
		return 0, time.Time{}, false
	}
	return e.probes.due(now, e.rate, e.wanted, e.acked.rate())
}
