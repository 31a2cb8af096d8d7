package v4l2

import "time"

// grid is when frames are due: point k at k periods after the start or, where
// arrival is uneven, each group of points at the time of its last one.
type grid struct {
	start  time.Time
	period time.Duration
	k      int64
	uneven bool // the group that k is in
}

// due is when the frame of point k comes.
func (g *grid) due() time.Time {
	if !g.uneven {
		return g.start.Add(time.Duration(g.k) * g.period)
	}
	at := g.k % burst
	return g.start.Add(time.Duration(g.k-at+burst-1)*g.period + time.Duration(at)*g.period/burstStep)
}

// pass goes on to the next point that is not over yet and says how many it left
// out. The way of arrival changes between groups only, so that no point comes
// before its forerunner. In a burst a late frame comes at once, none is left out
// for that.
func (g *grid) pass(now time.Time, uneven bool) (missed uint64) {
	for {
		g.k++
		if g.k%burst == 0 {
			g.uneven = uneven
		}
		late := now.Sub(g.due())
		if late < 0 || g.uneven && late < g.period {
			return missed
		}
		missed++
	}
}
