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
	at   []time.Time
	wait time.Time // somebody waits for a turn until then
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

// hurries says that id has had its turns. do, nil for nothing, is done when it has one again.
func (r *directRoom) hurries(id string, do func()) bool {
	now := time.Now()
	one := r.turns[id]
	if one == nil {
		for other, t := range r.turns { // those whose time is over make room
			if len(t.at) == 0 || now.Sub(t.at[len(t.at)-1]) >= turnsSpan {
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
	if do != nil && now.After(one.wait) {
		time.AfterFunc(wait, func() { r.post(do) })
		one.wait = now.Add(wait)
	}
	return true
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
