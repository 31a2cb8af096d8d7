package direct

import (
	"context"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
)

// Times and bounds of the signs of life.
const (
	lookEvery = 200 * time.Millisecond
	// quietMost is the silence of the room's server, which is asked each pingEvery,
	// after which nothing is begun that needs it.
	quietMost = 2 * time.Second
	// proveWithin is how long the connection to it may take to answer once the network
	// has moved; else it is made anew. TCP would wait for its own timer: after a second
	// without a network 0.8 s, which must be let pass, and ever longer.
	proveWithin = 1500 * time.Millisecond
	// movedFor is how long after the network moved the own addresses are looked up.
	movedFor    = 2 * time.Second
	repairsMost = 16 // waiting for run; who wants one asks again
)

// PulseLabel names the data channel on which the kiosk says Ping each pulseEvery, and
// the far side may answer Pong. It is unordered and without repetition. A far side
// that does not know it leaves it alone: that it takes the frame is a sign already.
const (
	PulseLabel = "pulse"
	Ping, Pong = "ping", "pong"
	pulseEvery = 500 * time.Millisecond
)

// life is what shows that the far end of one connection lives.
type life struct {
	pongs, reports atomic.Uint64
	pulse          *webrtc.DataChannel
	pinged         time.Time
	heard          uint64 // run's goroutine only
	seen           uint64 // what had come over the path
}

// taken counts the reports on our stream ssrc that say that more of it arrived, and
// returns the newest number that did (RFC 3550, section 6.4.1).
func (l *life) taken(reports []rtcp.ReceptionReport, ssrc webrtc.SSRC, newest uint32) uint32 {
	for _, rep := range reports {
		if rep.SSRC == uint32(ssrc) && rep.LastSequenceNumber != newest {
			newest = rep.LastSequenceNumber
			l.reports.Add(1)
		}
	}
	return newest
}

// openPulse makes the channel on a connection that has not been offered yet.
func (r *directRoom) openPulse(pc *webrtc.PeerConnection, l *life) {
	ordered, none := false, uint16(0)
	dc, err := pc.CreateDataChannel(PulseLabel, &webrtc.DataChannelInit{Ordered: &ordered, MaxRetransmits: &none})
	if err != nil {
		r.log.Warn("cannot open the channel for pings to a participant", "error", err)
		return
	}
	dc.OnMessage(func(m webrtc.DataChannelMessage) {
		if string(m.Data) == Pong {
			l.pongs.Add(1)
		}
	})
	l.pulse = dc
}

// ping asks for a sign, unless the last ping still waits to go out.
func (l *life) ping(now time.Time) {
	if l.pulse == nil || now.Sub(l.pinged) < pulseEvery || l.pulse.ReadyState() != webrtc.DataChannelStateOpen || l.pulse.BufferedAmount() > 0 {
		return
	}
	l.pinged = now
	_ = l.pulse.SendText(Ping) // it closed this instant
}

// count looks whether anything came over the path since the last time: media,
// reports, frames or answers of STUN. A path that never was has none of these, and
// pion must not be asked while it begins one (its gatherer is set without a lock).
func (l *life) count(pc *webrtc.PeerConnection, stage room.Stage) uint64 {
	seen := l.pongs.Load() + l.reports.Load()
	if t := transport(pc); stage == room.StageUp && t != nil && t.State() != webrtc.ICETransportStateClosed {
		if s, ok := t.GetSelectedCandidatePairStats(); ok {
			seen += uint64(s.PacketsReceived) + s.ResponsesReceived
		}
	}
	if seen != l.seen {
		l.seen = seen
		l.heard++
	}
	return l.heard
}

// transport is what carries all of a connection (RFC 8843: it is bundled).
func transport(pc *webrtc.PeerConnection) *webrtc.ICETransport {
	if s := pc.SCTP(); s != nil && s.Transport() != nil {
		return s.Transport().ICETransport()
	}
	return nil
}

// look pings everybody and shows what is seen of them.
func (r *directRoom) look() {
	if r.leaving || r.closed {
		return
	}
	now := time.Now()
	own := r.addresses(now)
	if own != nil && r.there() && r.local != "" && !own[r.local] {
		r.cut()
	}
	quiet := r.server.quiet()
	e := room.Signs{Signalling: r.there() && quiet < quietMost, Quiet: quiet, Joins: r.joins}
	for _, rem := range r.remotes {
		s := room.Sign{ID: rem.who.ID, Connection: rem.number, Waiting: rem.waiting}
		if rem.pc != nil {
			rem.life.ping(now)
			s.Stage, s.Heard, s.Taken = rem.stage, rem.life.count(rem.pc, rem.stage), rem.life.reports.Load()
			s.Stranded = own != nil && rem.stage == room.StageUp && stranded(rem.pc, own)
		}
		e.Peers = append(e.Peers, s)
	}
	r.params.Events(e)
}

// addresses are this machine's own, for a while after the network moved; nil: nobody
// has to know.
func (r *directRoom) addresses(now time.Time) map[string]bool {
	if r.moved.IsZero() || now.Sub(r.moved) > movedFor {
		return nil
	}
	list, err := net.InterfaceAddrs()
	if err != nil {
		r.log.Warn("cannot list this machine's addresses", "error", err)
		return nil
	}
	own := map[string]bool{}
	for _, a := range list {
		text, _, _ := strings.Cut(a.String(), "/")
		own[text] = true
	}
	return own
}

// stranded says whether the path in use begins at an address that is gone.
func stranded(pc *webrtc.PeerConnection, own map[string]bool) bool {
	t := transport(pc)
	if t == nil {
		return false
	}
	pair, err := t.GetSelectedCandidatePair()
	return err == nil && pair != nil && pair.Local != nil && pair.Local.Typ == webrtc.ICECandidateTypeHost && !own[pair.Local.Address]
}

// Repair implements room.Room.
func (r *directRoom) Repair(what room.Repair) {
	r.mail.mu.Lock()
	if len(r.mail.repairs) < repairsMost {
		r.mail.repairs = append(r.mail.repairs, what)
	}
	r.mail.mu.Unlock()
	r.mail.poke()
}

// repairs does what was asked for.
func (r *directRoom) repairs() {
	r.mail.mu.Lock()
	list := r.mail.repairs
	r.mail.repairs = nil
	r.mail.mu.Unlock()
	for _, what := range list {
		if r.leaving || r.closed {
			return
		}
		rem := r.remotes[what.ID]
		switch what.Kind {
		case room.RepairLook:
			r.moved = time.Now()
			r.look()
		case room.RepairHurry:
			r.hurry()
		case room.RepairRestart:
			r.restart(rem)
		case room.RepairRenew:
			r.renew(rem)
		case room.RepairRejoin:
			r.rejoin()
		}
	}
}

// hurry reaches for the room's server at once, where it is not heard.
func (r *directRoom) hurry() {
	if !r.there() {
		r.server.hurry()
		return
	}
	conn := r.conn
	r.wg.Go(func() {
		ctx, cancel := context.WithTimeout(r.life, proveWithin)
		defer cancel()
		if conn.Ping(ctx) != nil {
			_ = conn.CloseNow() // it is given up: how it ends tells nobody anything
			return
		}
		r.server.heard()
	})
}

// there says whether there is a connection to the room's server that was not given up.
func (r *directRoom) there() bool { return r.conn != nil && !r.given }

// cut has the connection to the room's server made anew; its reader tells run.
func (r *directRoom) cut() {
	r.given = true
	conn := r.conn
	r.wg.Go(func() { _ = conn.CloseNow() }) // it is given up: how it ends tells nobody anything
}

// restart looks for another path on rem's connection.
func (r *directRoom) restart(rem *remote) {
	switch {
	case rem == nil || rem.pc == nil || !r.there() || rem.waiting:
	case rem.unlisted: // it answers nobody
		r.part(rem.who.ID, room.ReasonLost)
	case rem.pc.SignalingState() == webrtc.SignalingStateStable:
		r.log.Info("restarting ICE with a participant")
		r.offer(rem, true)
	default:
		// The offer under way went with the old signalling. Whether it was taken
		// cannot be known; it may come twice.
		r.log.Info("offering a participant the same again")
		r.again(rem)
	}
}

// renew makes rem's connection anew.
func (r *directRoom) renew(rem *remote) {
	switch {
	case rem == nil || !r.there():
	case rem.unlisted:
		r.part(rem.who.ID, room.ReasonLost)
	default:
		r.log.Warn("a participant's connection does not work, making it anew")
		r.replace(rem)
	}
}

// rejoin gives up everything but our identity. Whoever is there is met anew by the
// welcome.
func (r *directRoom) rejoin() {
	if !r.there() {
		return
	}
	r.log.Warn("nobody is heard, joining the room anew")
	for _, rem := range r.remotes {
		r.drop(rem)
	}
	r.cut()
}

// unanswered notes that the signalling went, and with it what waited for an answer.
func (r *directRoom) unanswered() {
	for _, rem := range r.remotes {
		rem.waiting = false
	}
}
