package missing

import "time"

const (
	// holesMost are waited for at once, some seconds of a picture on a bad path. With
	// more gone the picture is better begun anew.
	holesMost = 256
	// deadFor is the silence of a stream after which what was lost meanwhile is not
	// asked for: it is old by now, and would hold up what is new. Whoever relays the
	// stream asks for a keyframe then.
	deadFor = 450 * time.Millisecond
	// reorder is how much later than its successor a packet may come.
	reorder = 20 * time.Millisecond
	// A packet is asked for again when the answer is late, and given up.
	askLeast = 40 * time.Millisecond
	asksMost = 10
	giveUp   = time.Second
	// guess is the way there and back while nobody knows it.
	guess = 100 * time.Millisecond
)

// hole is a packet that has not come.
type hole struct {
	seq   uint16
	since time.Time
	again time.Time // when it is to be asked for
	asked int
}

// holes are those of one stream. The zero value is ready.
type holes struct {
	started bool
	newest  uint16
	at      time.Time // when that came
	list    []hole    // in the order of their numbers
	gaveUp  time.Time // since when what was given up was missing; zero: nothing to tell
}

// arrived notes a packet of the stream, and says whether there are new holes.
func (h *holes) arrived(seq uint16, now time.Time) bool {
	silence := now.Sub(h.at)
	ahead := int16(seq - h.newest)
	if h.started && ahead <= 0 {
		h.repaired(seq)
		return false
	}
	first := h.newest + 1
	began := !h.started
	h.started, h.newest, h.at = true, seq, now
	switch missed := int(ahead) - 1; {
	case began || missed <= 0:
		return false
	case silence >= deadFor:
		h.list = h.list[:0]
		return false
	case len(h.list)+missed > holesMost:
		h.list = h.list[:0]
		h.gaveUp = now
		return true
	default:
		for n := range missed {
			h.list = append(h.list, hole{seq: first + uint16(n), since: now, again: now.Add(reorder)})
		}
		return true
	}
}

// repaired notes that a packet came late, or again.
func (h *holes) repaired(seq uint16) {
	for i := range h.list {
		if h.list[i].seq == seq {
			h.list = append(h.list[:i], h.list[i+1:]...)
			return
		}
	}
}

// due gives what is to be asked for now, and when to look again; zero: not before
// something arrives. What was waited for too long is given up.
func (h *holes) due(now time.Time, rtt time.Duration) (ask []uint16, next time.Time) {
	if rtt <= 0 {
		rtt = guess
	}
	pause := max(rtt+rtt/4, askLeast)
	kept := h.list[:0]
	for _, o := range h.list {
		if now.Sub(o.since) >= giveUp || o.asked >= asksMost && !now.Before(o.again) {
			if o.since.After(h.gaveUp) {
				h.gaveUp = o.since
			}
			continue
		}
		if !now.Before(o.again) {
			ask = append(ask, o.seq)
			o.asked++
			o.again = now.Add(pause)
		}
		kept = append(kept, o)
		if next.IsZero() || o.again.Before(next) {
			next = o.again
		}
	}
	h.list = kept
	return ask, next
}

// lost says once since when something is missing that nobody waits for any more.
func (h *holes) lost() (since time.Time, ok bool) {
	since, ok = h.gaveUp, !h.gaveUp.IsZero()
	h.gaveUp = time.Time{}
	return since, ok
}
