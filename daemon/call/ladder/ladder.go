// Package ladder is the reconnection of a call, all of it in one place: facts and
// the time go in, what to do about them comes out. Rung by rung, for each
// participant:
//
//	no sign of life for Silent       the patient is told: reconnecting
//	the network moved, or Restart    ICE is restarted on the connection there is
//	Rejoin                           with nobody else heard the room is joined anew under
//	                                 the same identity; else this connection is made anew
//	no path Answer after the offer   the connection is made anew
//	no media Answer after the path   the same
//	media one way                    a condition; the connection is made anew
//
// A sign of life is anything that comes over the path: RTP, RTCP, a STUN answer, a
// pong. While the signalling is away, or was heard no later than the path, nothing is
// torn down: it is the network that is gone, what is there may heal by itself, and
// nobody could be offered anything else.
//
// The package is pure: no I/O, no clock, no goroutine. Imports: standard library
// only. Imported by daemon/call.
package ladder

import "time"

// The rungs.
const (
	// Silent is told as a loss. With a look each 200 ms that is seen after 1.4 s at
	// the latest, which leaves the promised 2 s some room.
	Silent = 1200 * time.Millisecond
	// Proof is what a path has to show a sign of life in after the network moved.
	Proof = 300 * time.Millisecond
	// Restart is the silence after which ICE is restarted where nothing has moved.
	Restart = 3 * time.Second
	// Rejoin is the silence after which a connection is given up.
	Rejoin = 10 * time.Second
	// Answer is how long an offer may be without a path, and a path without media.
	Answer = 8 * time.Second
	// Steady is how long signs have to come before a loss is over, twice as long each
	// time it was not over after all, up to SteadyMost; Calm forgets that.
	Steady     = 300 * time.Millisecond
	SteadyMost = 2400 * time.Millisecond
	Calm       = 5 * time.Second
	// between is the longest pause within steady signs.
	between = 800 * time.Millisecond
	// OneWayFrom is the silence of media from a far side that is alive.
	OneWayFrom = 3 * time.Second
	// OneWayTo is how long no report may say that ours arrives. A receiver of sound
	// alone reports each 2.5 to 7.5 s.
	OneWayTo = 8 * time.Second
	// oneWayMost: then the connection is made anew.
	oneWayMost = 9500 * time.Millisecond
	// renewFirst is the pause after a connection was made anew in vain. Who was in
	// the call and is not heard is tried as often as that; the pause to who never
	// answered, or is heard and sends no media, doubles up to renewMost, and to who is
	// heard but says nothing of what arrives up to renewSeldom: it may be a far side
	// that never does.
	renewFirst  = 8 * time.Second
	renewMost   = 64 * time.Second
	renewSeldom = 10 * time.Minute
	// nap is the longest pause between two looks that counts in full: who slept has
	// heard nobody.
	nap = 600 * time.Millisecond
)

// Path is how far a connection to a participant has come.
type Path int

// The stages.
const (
	Offered Path = iota // no path yet
	Up                  // it led to the participant once; it may be silent now
	Over                // it failed, or was closed by the far side
)

// Peer is what is seen of one participant. The counters only ever grow; what
// counts is that they do.
type Peer struct {
	ID         string
	Connection int    // another number is another connection
	Path       Path   // of that connection
	Heard      uint64 // signs of life
	Media      uint64 // RTP from the participant
	Taken      uint64 // reports that say that our media arrives
	Waiting    bool   // an offer of ours waits for its answer
	Stranded   bool   // the path's own address has gone from this machine
}

// Facts are what is seen at one moment.
type Facts struct {
	Link       bool          // there is a link with an address and a route
	Moves      int           // links, addresses or routes have changed so often
	Signalling bool          // the room's server is heard
	Quiet      time.Duration // since it was heard last
	Joins      int           // it has let us in so often
	Peers      []Peer
}

// Action is one thing to do: one of the types below.
type Action interface{ isAction() }

type (
	// Lost: nothing comes from the participant. Told once.
	Lost struct{ ID string }
	// Back: media comes again: steadily on the connection that was lost, or at all on
	// another one.
	Back struct{ ID string }
	// Hurry: the network moved; what waits to reach the room's server need not.
	Hurry struct{}
	// RestartICE keeps the connection and looks for another path (RFC 8445, section 9).
	RestartICE struct{ ID string }
	// Renew makes the connection anew.
	Renew struct{ ID string }
	// JoinAgain leaves nobody a word and joins the room as if for the first time.
	JoinAgain struct{}
	// OneWay: media goes one way only; Both says that it does no more.
	OneWay struct {
		ID  string
		Way Way
	}
)

func (Lost) isAction()       {}
func (Back) isAction()       {}
func (Hurry) isAction()      {}
func (RestartICE) isAction() {}
func (Renew) isAction()      {}
func (JoinAgain) isAction()  {}
func (OneWay) isAction()     {}

// Way is where media goes.
type Way string

// The ways.
const (
	Both     Way = "both"
	FromUs   Way = "from_us"   // nothing comes
	FromThem Way = "from_them" // what we send does not arrive
)

// Ladder remembers what was seen and done. The zero value is ready.
type Ladder struct {
	looked   time.Time // the newest look
	cut      bool      // there was no link then
	moves    int
	movedAt  time.Time // zero: it never moved
	joins    int
	joinedAt time.Time
	again    time.Time // the last JoinAgain
	peers    map[string]*peer
}

// Look takes the facts of the moment now and says what to do about them.
func (l *Ladder) Look(now time.Time, f Facts) []Action {
	l.slept(now)
	var out []Action
	if l.moves != f.Moves {
		l.moves, l.movedAt = f.Moves, now
		out = append(out, Hurry{})
	}
	if l.joins != f.Joins {
		l.joins, l.joinedAt = f.Joins, now
	}
	unplugged := !l.cut && !f.Link
	l.cut = !f.Link
	here := map[string]bool{}
	for _, p := range f.Peers {
		here[p.ID] = true
		out = append(out, l.peer(p.ID, now).see(now, p, unplugged)...)
	}
	for id := range l.peers {
		if !here[id] {
			delete(l.peers, id)
		}
	}
	if !f.Link || !f.Signalling {
		return out
	}
	return append(out, l.repair(now, now.Add(-f.Quiet), f.Peers)...)
}

// Lose notes that a participant's connection was given up for another reason than
// the ladder's.
func (l *Ladder) Lose(now time.Time, id string) {
	p := l.peer(id, now)
	p.lost, p.steadySince = true, time.Time{}
}

// slept leaves out the time in which nobody looked.
func (l *Ladder) slept(now time.Time) {
	if pause := now.Sub(l.looked) - nap; !l.looked.IsZero() && pause > 0 {
		for _, p := range l.peers {
			p.shift(pause, now)
		}
	}
	l.looked = now
}

func (l *Ladder) peer(id string, now time.Time) *peer {
	if p := l.peers[id]; p != nil {
		return p
	}
	if l.peers == nil {
		l.peers = map[string]*peer{}
	}
	p := &peer{id: id, heardAt: now, madeAt: now, steady: Steady, patience: renewFirst, way: Both}
	l.peers[id] = p
	return p
}

// repair climbs the rungs. One thing at a time is done about a participant. heardAt is
// when the room's server was heard last.
func (l *Ladder) repair(now, heardAt time.Time, list []Peer) []Action {
	alive := false
	for _, p := range list {
		alive = alive || !l.peers[p.ID].lost && p.Path == Up
	}
	var out []Action
	for _, seen := range list {
		p := l.peers[seen.ID]
		switch p.rung(now, seen, network{heardAt: heardAt, movedAt: l.movedAt, joinedAt: l.joinedAt}) {
		case rungNone:
		case rungRestart:
			p.restartedAt = now
			out = append(out, RestartICE{p.id})
		case rungRenew:
			p.renewed(now)
			out = append(out, Renew{p.id})
		case rungRejoin:
			p.renewed(now)
			// Who has just been let in need not ask again, and what others see of
			// us must not be thrown away.
			if !alive && !l.joinedAt.After(p.heardAt) && now.Sub(l.again) >= Rejoin {
				l.again = now
				return []Action{JoinAgain{}} // it makes all connections anew
			}
			out = append(out, Renew{p.id})
		}
	}
	return out
}
