package host

import (
	"golang.org/x/sys/unix"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/check"
)

// synchronised asks the kernel whether somebody keeps its clock right.
func (h *Host) synchronised() apitype.Check {
	var t unix.Timex
	state, err := unix.Adjtimex(&t) // modes 0: it only reads
	return judgeSynchronised(state, t.Status, err)
}

// judgeSynchronised judges the answer of adjtimex(2).
func judgeSynchronised(state int, status int32, err error) apitype.Check {
	const code = "synchronised"
	switch {
	case err != nil:
		return skip(code, "clock_unknown", "The kernel does not say whether its clock is kept right.")
	case state == unix.TIME_ERROR || status&unix.STA_UNSYNC != 0:
		return warn(code, "clock_unsynchronised", "Nothing keeps the clock right.",
			"A clock that drifts makes certificates and appointments go wrong.", check.SetClock)
	}
	return pass(code, "The clock is kept right by the network.")
}
