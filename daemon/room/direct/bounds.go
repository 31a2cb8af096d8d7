package direct

import (
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
)

// What a far side may make us do. A browser trickles a dozen candidates an offer and
// comes back a few times a minute at worst.
const (
	candidatesMost = 64 // an offer
	turnsMost      = 3  // connections made anew at a participant's wish, in turnsSpan
	turnsSpan      = 10 * time.Second
	turnsOfAll     = 12 // of all participants together, for names cost nothing
)

// turns remembers when connections were made anew at somebody's wish.
type turns struct {
	at    []time.Time
	later func() // what is done at the next one; nil: nothing waits for it
	timer bool   // it is under way
}

// take says whether another one may be made now, and else how long it has to wait.
func (t *turns) take(now time.Time, most int) (wait time.Duration, ok bool) {
	for len(t.at) > 0 && now.Sub(t.at[0]) >= turnsSpan {
		t.at = t.at[1:]
	}
	if len(t.at) >= most {
		return turnsSpan - now.Sub(t.at[0]), false
	}
	t.at = append(t.at, now)
	return 0, true
}

// hurries says that id has had its turns. do, nil for nothing, is done when it has one
// again, instead of what waited before, unless id has left by then.
func (r *directRoom) hurries(id string, do func()) bool {
	now := time.Now()
	one := r.turns[id]
	if one == nil {
		for other, t := range r.turns { // those whose time is over make room
			if !t.timer && (len(t.at) == 0 || now.Sub(t.at[len(t.at)-1]) >= turnsSpan) {
				delete(r.turns, other)
			}
		}
		one = &turns{}
		r.turns[id] = one
	}
	wait, ok := one.take(now, turnsMost)
	if ok {
		wait, ok = r.all.take(now, turnsOfAll)
	}
	if ok {
		return false
	}
	r.log.Debug("a participant hurries, it has to wait", "for", wait)
	if do == nil {
		return true
	}
	one.later = do
	if !one.timer {
		one.timer = true
		time.AfterFunc(wait, func() {
			r.post(func() {
				do := one.later
				one.later, one.timer = nil, false
				if do != nil {
					do()
				}
			})
		})
	}
	return true
}

// forget drops what waits for a turn of somebody who has left.
func (r *directRoom) forget(id string) {
	if t := r.turns[id]; t != nil {
		t.later = nil
	}
}

// tell has run part from a participant. It does not wait: pion's locks are held. pc is
// rem's connection, which is there by the time that anything comes of it.
func (r *directRoom) tell(rem *remote, pc **webrtc.PeerConnection, what string) bool {
	select {
	case r.ops <- func() {
		if rem.pc == *pc && r.remotes[rem.who.ID] == rem {
			r.abused(rem, what)
		}
	}:
		return true
	default:
		return false
	}
}

// abused parts from a participant that does what no browser does.
func (r *directRoom) abused(rem *remote, what string) {
	r.log.Warn("a participant sends what no browser does, parting from it", "what", what)
	r.part(rem.who.ID, room.ReasonLost)
}
