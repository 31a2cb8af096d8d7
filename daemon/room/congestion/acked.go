package congestion

import "time"

const (
	ackedSpan = 500 * time.Millisecond
	ackedSize = 1024 // packets: more than half a second of anything a kiosk sends
)

// acked counts what got through, by the far end's clock.
type acked struct {
	at     [ackedSize]time.Duration
	size   [ackedSize]int
	first  int // index of the oldest
	n      int
	bytes  int
	newest time.Duration
	begun  time.Duration

	proofs []proof // newest last
}

// proof is a rate that was seen to get through.
type proof struct {
	bps float64
	at  time.Time
}

func (a *acked) take(at time.Duration, size int) {
	if a.n == 0 && a.newest == 0 {
		a.begun = at
	}
	if a.n == ackedSize {
		a.drop()
	}
	i := (a.first + a.n) % ackedSize
	a.at[i], a.size[i] = at, size
	a.n++
	a.bytes += size
	a.newest = max(a.newest, at)
	for a.n > 0 && a.newest-a.at[a.first] > ackedSpan {
		a.drop()
	}
}

func (a *acked) drop() {
	a.bytes -= a.size[a.first]
	a.first = (a.first + 1) % ackedSize
	a.n--
}

// rate is what came in the last half second, in bit/s.
func (a *acked) rate() float64 {
	span := min(max(a.newest-a.begun, ackedSpan/5), ackedSpan)
	return float64(8*a.bytes) / span.Seconds()
}

// prove notes a rate that a probe reached.
func (a *acked) prove(bps float64, now time.Time) { a.proofs = append(a.proofs, proof{bps, now}) }

// forget drops what was proved before the path got worse.
func (a *acked) forget() { a.proofs = a.proofs[:0] }

// proof is the best rate seen lately, in bit/s; 0 before there is one.
func (a *acked) proof(now time.Time) float64 {
	if a.newest-a.begun >= ackedSpan/2 {
		r := a.rate()
		// Only the best of what is still to come matters.
		for len(a.proofs) > 0 && a.proofs[len(a.proofs)-1].bps <= r {
			a.proofs = a.proofs[:len(a.proofs)-1]
		}
		a.proofs = append(a.proofs, proof{r, now})
	}
	for len(a.proofs) > 1 && now.Sub(a.proofs[0].at) > proofLife {
		a.proofs = append(a.proofs[:0], a.proofs[1:]...)
	}
	best := 0.0
	for _, p := range a.proofs {
		best = max(best, p.bps)
	}
	return best
}
