package runner

import (
	"time"

	"kioskd/daemon/session"
)

// Bounds of the two queues. They are apart, so that clients that flood the
// commands cannot push the call's events out.
const (
	commandQueue = 64
	reportQueue  = 256
	// chatQueue is how many of the reports may be of the chat: participants that say
	// more than a slow disk stores cannot push the other events out, which nobody
	// repeats. All that one can have unacknowledged (session.MaxMessages) has a place.
	chatQueue = 128
)

// narrowWait is how long a command that may narrow exposure waits for a place in
// the queue, where another is told at once that the kiosk is busy.
const narrowWait = 2 * time.Second

// Post hands over a fact or the result of an effect. It never waits; false
// means that it was not taken: the queue is full or the runner has ended. What the
// chat brings has a bound of its own, below the queue's: it comes again.
func (r *Runner) Post(w session.What) bool {
	if w == nil {
		return false
	}
	select {
	case <-r.done:
		return false
	default:
	}
	chat := ofChat(w)
	if chat && r.chat.Add(1) > chatQueue {
		r.chat.Add(-1)
		return false
	}
	select {
	case r.reports <- w:
		return true
	default:
		if chat {
			r.chat.Add(-1)
		}
		return false
	}
}

// ofChat says whether a report is said again on the next connection where it was not
// taken: a message that got no acknowledgement is, and so is what an acknowledgement
// is for.
func ofChat(w session.What) bool {
	switch w.(type) {
	case session.MessageArrived, session.MessageAcked:
		return true
	default:
		return false
	}
}
