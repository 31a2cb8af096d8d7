package main

import (
	"fmt"
	"time"

	"kioskd/systemd/promise"
)

// limit is a promise's figure, and what an emulated processor is given for it.
type limit struct{ promised, allowed time.Duration }

// of sets a measured time beside it: "after 706 ms (promised 1000, allowed here 4000)".
func (l limit) of(d time.Duration) string {
	return fmt.Sprintf("after %s (promised %d, allowed here %d)", promise.MS(d), l.promised.Milliseconds(), l.allowed.Milliseconds())
}
