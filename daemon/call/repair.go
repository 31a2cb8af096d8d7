package call

import (
	"sync"
	"sync/atomic"
	"time"

	"kioskd/daemon/call/ladder"
	"kioskd/daemon/room"
)

// repair carries what is seen of the paths to the ladder, and what it says back to
// the room.
type repair struct {
	unplugged atomic.Bool  // there is no link; until somebody says so there is one
	moves     atomic.Int64 // links, addresses or routes have changed so often

	mu   sync.Mutex
	room room.Room // nil: none, or not yet
}

// enter takes the room that was joined.
func (r *repair) enter(now room.Room) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.room = now
}

func (r *repair) leave() { r.enter(nil) }

// order asks the room for a repair.
func (r *repair) order(what room.Repair) {
	r.mu.Lock()
	now := r.room
	r.mu.Unlock()
	if now != nil {
		now.Repair(what)
	}
}

// NetworkMoved tells that links, addresses or routes have changed, and whether there
// is a link with an address and a route now.
func (c *Call) NetworkMoved(up bool) {
	c.repair.unplugged.Store(!up)
	c.repair.moves.Add(1)
	c.repair.order(room.Repair{Kind: room.RepairLook})
}

// climb lets the ladder of a joined room look, and does what it says. It runs in the
// goroutine that reports the room's events.
func (c *Call) climb(attempt int, l *ladder.Ladder, s room.Signs) {
	f := ladder.Facts{
		Link: !c.repair.unplugged.Load(), Moves: int(c.repair.moves.Load()), Signalling: s.Signalling, Quiet: s.Quiet, Joins: s.Joins,
	}
	for _, p := range s.Peers {
		seen := ladder.Peer{
			ID: p.ID, Connection: p.Connection, Path: pathOf(p.Stage), Heard: p.Heard, Taken: p.Taken,
			Waiting: p.Waiting, Stranded: p.Stranded,
		}
		if who := c.peers.get(p.ID); who != nil {
			seen.Media = who.media.Load()
		}
		f.Peers = append(f.Peers, seen)
	}
	for _, a := range l.Look(time.Now(), f) {
		c.obey(attempt, a)
	}
}

func (c *Call) obey(attempt int, a ladder.Action) {
	switch a := a.(type) {
	case ladder.Lost:
		c.lose(attempt, a.ID)
	case ladder.Back:
		c.regain(attempt, a.ID)
	case ladder.OneWay:
		c.opts.Log.Warn("media goes", "way", string(a.Way))
		c.opts.Events(OneWay{Attempt: attempt, ID: a.ID, Way: a.Way})
	case ladder.Hurry:
		c.repair.order(room.Repair{Kind: room.RepairHurry})
	case ladder.RestartICE:
		c.repair.order(room.Repair{Kind: room.RepairRestart, ID: a.ID})
	case ladder.Renew:
		c.repair.order(room.Repair{Kind: room.RepairRenew, ID: a.ID})
	case ladder.JoinAgain:
		c.repair.order(room.Repair{Kind: room.RepairRejoin})
	}
}

func pathOf(s room.Stage) ladder.Path {
	switch s {
	case room.StageUp:
		return ladder.Up
	case room.StageOver:
		return ladder.Over
	default:
		return ladder.Offered
	}
}
