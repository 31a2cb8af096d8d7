package ladder

import "time"

// peer is what is remembered of one participant.
type peer struct {
	id          string
	connection  int
	up          bool // this connection led to the participant
	known       bool // some connection did
	heard       uint64
	media       uint64
	taken       uint64
	anyMedia    bool      // on this connection
	first       bool      // of it was seen just now
	met         bool      // media came on some connection
	reports     bool      // it said of some connection that ours arrives
	madeAt      time.Time // this connection
	upAt        time.Time
	heardAt     time.Time
	mediaAt     time.Time
	takenAt     time.Time
	restartedAt time.Time

	lost        bool
	steadySince time.Time     // signs come again since then; zero: they do not
	steadyMedia uint64        // what had come by then
	steady      time.Duration // how long they have to
	backAt      time.Time     // the last loss was over
	way         Way

	renewAfter time.Time     // not before
	patience   time.Duration // after the next time
}

// shift moves the times of the newest signs by a pause in which nobody looked, up
// to now.
func (p *peer) shift(by time.Duration, now time.Time) {
	for _, t := range []*time.Time{&p.madeAt, &p.upAt, &p.heardAt, &p.mediaAt, &p.takenAt} {
		if *t = t.Add(by); t.After(now) {
			*t = now
		}
	}
}

// see takes what is seen of the participant and says what is to be told of it.
func (p *peer) see(now time.Time, s Peer, unplugged bool) []Action {
	if p.connection != s.Connection {
		p.connection, p.up, p.anyMedia = s.Connection, false, false
		p.madeAt, p.restartedAt, p.steadySince = now, time.Time{}, time.Time{}
		p.heard, p.media, p.taken = s.Heard, s.Media, s.Taken
	}
	if s.Path == Up && !p.up {
		p.up, p.known = true, true
		p.upAt, p.heardAt, p.mediaAt, p.takenAt = now, now, now, now
	}
	p.first = false
	fresh := p.count(now, s)
	var out []Action
	if !p.lost && p.known && p.up && (now.Sub(p.heardAt) >= Silent || s.Path == Over || unplugged) {
		if now.Sub(p.backAt) < Calm {
			p.steady = min(2*p.steady, SteadyMost)
		} else {
			p.steady = Steady
		}
		p.lost, p.steadySince = true, time.Time{}
		out = append(out, Lost{p.id})
	}
	if p.lost && s.Path == Up && p.returns(now, fresh) {
		p.lost, p.backAt = false, now
		out = append(out, Back{p.id})
	}
	if w := p.ways(now, s); w != p.way {
		p.way = w
		out = append(out, OneWay{p.id, w})
	}
	if p.way == Both && !p.lost && p.anyMedia && now.Sub(p.upAt) >= Rejoin {
		p.renewAfter, p.patience = time.Time{}, renewFirst // all is well
	}
	return out
}

// count notes which counters have moved, and says whether there was a sign of life.
func (p *peer) count(now time.Time, s Peer) bool {
	fresh := false
	if s.Media != p.media {
		p.media, p.mediaAt, fresh = s.Media, now, true
		p.first = !p.anyMedia
		p.anyMedia, p.met = true, true
	}
	if s.Taken != p.taken {
		p.taken, p.takenAt, p.reports, fresh = s.Taken, now, true, true
	}
	if s.Heard != p.heard {
		p.heard, fresh = s.Heard, true
	}
	if fresh {
		p.heardAt = now
	}
	return fresh
}

// returns says whether a lost participant is back: signs came for long enough
// without a gap, and media among them. The first media of a connection will do: it
// had to prove itself to get there.
func (p *peer) returns(now time.Time, fresh bool) bool {
	switch {
	case now.Sub(p.heardAt) > between:
		p.steadySince = time.Time{}
	case fresh && p.steadySince.IsZero():
		p.steadySince, p.steadyMedia = now, p.media
	}
	return p.first || fresh && now.Sub(p.steadySince) >= p.steady && p.media != p.steadyMedia
}

// ways says which ways media goes. Of who is lost nothing is known, unless signs come
// over a new connection.
func (p *peer) ways(now time.Time, s Peer) Way {
	within := OneWayFrom
	if !p.anyMedia {
		within = Answer
	}
	switch {
	case p.lost && (p.anyMedia || now.Sub(p.heardAt) >= Silent) || !p.up || s.Path != Up:
		return Both
	case now.Sub(p.mediaAt) >= within:
		return FromUs
	case now.Sub(p.takenAt) >= OneWayTo:
		return FromThem
	}
	return Both
}

type rung int

const (
	rungNone rung = iota
	rungRestart
	rungRenew
	rungRejoin
)

// network is what is known of all but the paths: when the room's server was heard last
// and let us in, and when something moved.
type network struct{ heardAt, movedAt, joinedAt time.Time }

// rung says what has to be done now, with a link and with the signalling there.
func (p *peer) rung(now time.Time, s Peer, n network) rung {
	quiet := now.Sub(p.heardAt)
	may := !now.Before(p.renewAfter)
	switch {
	case s.Path == Over:
		return pick(may, rungRenew)
	case !p.up:
		return pick(may && now.Sub(p.madeAt) >= Answer, rungRenew)
	case quiet > 0 && !n.heardAt.After(p.heardAt): // the path is no worse than the network
		return rungNone
	case quiet >= Rejoin:
		return pick(may, rungRejoin)
	case s.Waiting: // one at a time
		return rungNone
	case p.wantsRestart(now, quiet, s.Stranded, n):
		return rungRestart
	case p.lost && p.anyMedia: // one that never brought media is as good as a path without
		return rungNone
	case now.Sub(p.mediaAt) >= Answer, p.reports && now.Sub(p.takenAt) >= oneWayMost:
		return pick(may, rungRenew)
	}
	return rungNone
}

func pick(may bool, r rung) rung {
	if may {
		return r
	}
	return rungNone
}

// wantsRestart: at once where the network moved, or the signalling came back, and
// the path has shown no sign of life since; else after a while.
func (p *peer) wantsRestart(now time.Time, quiet time.Duration, stranded bool, n network) bool {
	if stranded && p.restartedAt.Before(p.heardAt) {
		return true
	}
	if now.Sub(n.movedAt) < Proof {
		return false // what there is may be whole
	}
	if n.movedAt.After(p.heardAt) && n.movedAt.After(p.restartedAt) {
		return true
	}
	if p.lost && n.joinedAt.After(p.heardAt) && n.joinedAt.After(p.restartedAt) {
		return true
	}
	return p.lost && quiet >= Restart && now.Sub(p.restartedAt) >= Restart
}

// renewed notes that the connection is being made anew, and how long that has to
// be left to work.
func (p *peer) renewed(now time.Time) {
	most := renewMost
	switch {
	case p.lost && p.met && (!p.up || now.Sub(p.heardAt) >= Silent): // who is heard may get ours
		most = renewFirst
	case p.way == FromThem:
		most = renewSeldom
	}
	p.patience = min(p.patience, most)
	p.renewAfter = now.Add(p.patience)
	p.patience = min(2*p.patience, most)
}
