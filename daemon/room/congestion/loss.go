package congestion

import (
	"math"
	"time"
)

const (
	lossSlot  = 250 * time.Millisecond
	lossSlots = 4  // the share is taken over so many: one second
	lossLeast = 20 // packets, below which a share means nothing
	baseSlots = 40 // the path's own loss is the least of ten seconds
)

// loss counts packets that did not arrive.
type loss struct {
	slots   [baseSlots]lossCount
	shares  [baseSlots]float64 // of the second that ended with the slot
	counted int                // slots with a share
	newest  int
	since   time.Time
}

type lossCount struct{ got, gone int }

func (l *loss) take(now time.Time, got, gone int) {
	if l.since.IsZero() {
		l.since = now
	}
	for now.Sub(l.since) >= lossSlot {
		l.shares[l.newest] = l.second().share()
		l.counted = min(l.counted+1, baseSlots)
		l.newest = (l.newest + 1) % baseSlots
		l.slots[l.newest] = lossCount{}
		l.since = l.since.Add(lossSlot)
		if now.Sub(l.since) > time.Minute { // a long pause
			l.since = now
		}
	}
	l.slots[l.newest].got += got
	l.slots[l.newest].gone += gone
}

// second is what came of the last second's packets.
func (l *loss) second() (sum lossCount) {
	for i := range lossSlots {
		s := l.slots[(l.newest-i+baseSlots)%baseSlots]
		sum.got += s.got
		sum.gone += s.gone
	}
	return sum
}

func (c lossCount) share() float64 {
	if c.got+c.gone < lossLeast {
		return 0
	}
	return float64(c.gone) / float64(c.got+c.gone)
}

// heavy says that more than lossHeavy of the last second is lost, and not by chance:
// of 90 packets 5 % lost may well be 10 once in a while.
func (l *loss) heavy() bool {
	s := l.second()
	n := float64(s.got + s.gone)
	return n >= lossLeast && float64(s.gone) > lossHeavy*n+2*math.Sqrt(lossHeavy*(1-lossHeavy)*n)
}

// share is what was lost in the last second, base what the path loses anyway: the
// mean of ten seconds, as far as it is below lossHeavy.
func (l *loss) share() (share, base float64) {
	share = l.second().share()
	for i := range l.counted {
		base += l.shares[(l.newest-1-i+2*baseSlots)%baseSlots]
	}
	if l.counted > 0 {
		base /= float64(l.counted)
	}
	return share, min(base, lossHeavy-lossHold)
}

// restart forgets the last second: what was reacted to does not count twice.
func (l *loss) restart() {
	for i := range lossSlots {
		l.slots[(l.newest-i+baseSlots)%baseSlots] = lossCount{}
	}
}
