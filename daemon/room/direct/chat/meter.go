package chat

import "time"

// PerSecond is how many frames a far side may send in a second, and at once
// after a pause: more than anybody types, with the acknowledgements.
const PerSecond = 20

// Meter counts what a far side sends against PerSecond. The zero value is ready.
// It is for one goroutine.
type Meter struct {
	spent  float64 // of the allowance
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
	if m.spent+1 <= PerSecond {
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
