package chat

import "time"

// How many frames a far side may send: PerSecond for as long as it likes, more
// than anybody types, and Burst at once after a pause. Who comes back says all
// that was not acknowledged over the new channel, and acknowledges all that was
// kept for him: what is dropped then has no other chance before the next channel.
const (
	PerSecond = 20
	Burst     = 160
)

// Meter counts what a far side sends against PerSecond and Burst. The zero value
// is ready. It is for one goroutine.
type Meter struct {
	spent  float64 // of Burst
	last   time.Time
	warned bool
}

// Take reports whether one more frame may pass at this instant, which must not
// go back. warn is true for the first that may not: it is said once,
// a flood must not fill the log as well.
func (m *Meter) Take(now time.Time) (ok, warn bool) {
	if elapsed := now.Sub(m.last); elapsed > 0 {
		m.spent = max(0, m.spent-elapsed.Seconds()*PerSecond)
		m.last = now
	}
	if m.spent+1 <= Burst {
		m.spent++
		return true, false
	}
	return false, m.Warn()
}

// Warn reports true the first time.
func (m *Meter) Warn() bool {
	first := !m.warned
	m.warned = true
	return first
}
