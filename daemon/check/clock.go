package check

import (
	"strconv"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
)

// How far the kiosk's clock may be off the backend's, whose Date has whole seconds.
const (
	skewWarns = 10 * time.Second
	skewFails = 5 * time.Minute // certificates and the room's tokens go wrong
)

// SetClock has the clock set by the network, and kept so.
const SetClock = "timedatectl set-ntp true"

// judgeClock judges the kiosk's clock by the backend's.
func judgeClock(p backend.Probe) finding {
	if p.Err != nil || p.Date.IsZero() {
		return skip(apitype.CheckClock, "clock_unknown")
	}
	skew := p.Middle.Sub(p.Date.Add(time.Second / 2)) // the second that Date names has passed by half
	seconds := skew.Round(time.Second) / time.Second
	args := []string{"seconds", strconv.FormatInt(int64(max(seconds, -seconds)), 10)}
	fault := "clock_ahead"
	if skew < 0 {
		fault = "clock_behind"
	}
	var f finding
	switch off := skew.Abs(); {
	case off >= skewFails:
		f = fail(apitype.CheckClock, fault, SetClock, args...)
	case off >= skewWarns:
		f = warn(apitype.CheckClock, fault, SetClock, args...)
	default:
		f = pass(apitype.CheckClock)
	}
	return f.with("skew_seconds", float64(seconds))
}
