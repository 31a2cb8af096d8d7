package congestion

import "time"

const (
	lossSlot  = 250 * time.Millisecond
	lossSlots = 4  // the share is taken over so many: one second
	lossLeast = 20 // packets, below which a share means nothing
	baseSlots = 40 // the path's own loss is the least of ten seconds
)

// loss counts packets that did not arrive.
type loss struct {
	slots    [baseSlots]lossCount
	shares   [baseSlots]float64 // of the second that ended with the slot
	counted  int                // slots with a share
	newest   int
	since    time.Time
	restarts bool
}

type lossCount struct{ got, gone int }

func (l *loss) take(now time.Time, got, gone int) {
	if l.since.IsZero() {
		l.since = now
	}
	for now.Sub(l.since) >= lossSlot {
		share, _ := l.last()
		l.shares[l.newest] = share
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

// last is the share lost in the last second.
func (l *loss) last() (share float64, enough bool) {
	var sum lossCount
	for i := range lossSlots {
		s := l.slots[(l.newest-i+baseSlots)%baseSlots]
		sum.got += s.got
		sum.gone += s.gone
	}
	if sum.got+sum.gone < lossLeast {
		return 0, false
	}
	return float64(sum.gone) / float64(sum.got+sum.gone), true
}

// share is what was lost in the last second, base what the path loses anyway: the
// mean of ten seconds, as far as it is below lossHeavy.
func (l *loss) share(time.Time) (share, base float64) {
	share, _ = l.last()
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
