package direct

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

// remote is one other participant and the connection to it. Its fields belong
// to run's goroutine; the closures that pion calls carry the connection they
// belong to and are ignored once it has been replaced.
type remote struct {
	who        room.Participant
	pc         *webrtc.PeerConnection
	pending    []webrtc.ICECandidateInit // trickled before the answer
	offered    string                    // the newest offer as it was sent
	answered   bool
	connected  bool
	restarting bool                       // the offer under way restarts ICE
	waiting    bool                       // it went over the signalling that there is
	state      webrtc.PeerConnectionState // the last one seen
	unlisted   bool                       // a welcome did not name it; it stays while its media flows
	readers    *sync.WaitGroup            // RTCP readers of pc
	line       *line                      // the chat on pc; nil where it cannot be
	candidates int                        // that came since the last offer
	over       *atomic.Bool               // pc was given up; read by who reads its tracks
	number     int                        // of pc among all the room's connections
	stage      room.Stage                 // of pc
	life       *life                      // signs of it on pc
}

// pendingBound is more candidates than a machine has.
const pendingBound = 64

// greetAll meets those who are in the room. After a redial it also parts from
// those who are not there any more.
func (r *directRoom) greetAll(peers []signal.Peer) {
	here := map[string]bool{}
	for _, p := range peers {
		here[p.Peer] = true
		if have := r.remotes[p.Peer]; have != nil && have.pc != nil && have.stage == room.StageUp {
			have.unlisted = false
			continue // the signalling's absence is nobody's business; a path that is silent is repaired
		}
		r.meet(room.Participant{ID: p.Peer, Name: p.Name, Role: string(p.Role)})
	}
	for id := range r.turns {
		if !here[id] { // it left while nobody told us
			r.forget(id)
		}
	}
	for id, rem := range r.remotes {
		switch {
		case here[id]:
		case rem.connected && rem.pc != nil: // its own signalling may be a moment behind ours
			rem.unlisted = true
		default:
			r.part(id, room.ReasonLost)
		}
	}
}

func (r *directRoom) message(m signal.Message) {
	switch m.Type {
	case signal.PeerJoined:
		meet := func() { r.meet(room.Participant{ID: m.From, Name: m.Name, Role: string(m.Role)}) }
		if !r.hurries(m.From, meet) {
			meet()
		}
	case signal.PeerLeft:
		r.part(m.From, room.Reason(m.Reason))
	case signal.Answer:
		r.answer(m)
	case signal.Trickle:
		r.candidate(m)
	case signal.Ping:
		r.send(signal.Message{Type: signal.Pong})
	case signal.Error:
		switch m.Code {
		case signal.CodeSuperseded:
			r.refused(room.ErrSuperseded)
		case signal.CodeUnauthorized, signal.CodeRoomFull:
			r.bar(errors.Join(room.ErrRefused, errors.New(m.Code)))
		default:
			r.log.Warn("the room reports an error", "code", m.Code)
		}
	default:
		r.log.Warn("the room sent a message that is not for us", "type", string(m.Type))
	}
}

// meet starts a connection to somebody, instead of any there was.
func (r *directRoom) meet(who room.Participant) {
	if r.leaving || r.closed || who.Role == string(signal.Kiosk) || who.ID == r.params.Peer {
		return
	}
	if old := r.remotes[who.ID]; old != nil {
		r.drop(old)
	} else if len(r.remotes) >= maxPeers {
		r.log.Warn("cannot take another participant: the room is full for us", "most", maxPeers)
		return
	}
	rem := &remote{who: who}
	r.remotes[who.ID] = rem
	r.params.Events(room.PeerJoined{Participant: who})
	r.connect(rem)
}

func (r *directRoom) part(id string, why room.Reason) {
	r.forget(id)
	rem := r.remotes[id]
	if rem == nil {
		return
	}
	delete(r.remotes, id)
	r.close(rem)
	r.params.Events(room.PeerLeft{ID: id, Reason: why})
}

// connect makes a fresh connection to rem and offers it.
func (r *directRoom) connect(rem *remote) {
	r.log.Debug("connecting to a participant")
	var pc *webrtc.PeerConnection
	path := r.params.Path
	path.Abuse = func(what string) bool { return r.tell(rem, &pc, what) }
	made, flow, err := peer.NewPaced(path)
	if err != nil {
		r.log.Error("cannot connect to a participant", "error", err)
		return
	}
	r.made++
	pc = made
	rem.pc, rem.pending, rem.answered, rem.connected, rem.state = pc, nil, false, false, webrtc.PeerConnectionStateNew
	rem.readers, rem.over, rem.number, rem.stage, rem.life = &sync.WaitGroup{}, &atomic.Bool{}, r.made, room.StageOffered, &life{}
	r.watch(rem, pc)
	for _, t := range r.params.Tracks {
		sender, err := pc.AddTrack(t)
		if err != nil {
			r.log.Error("cannot send a track", "kind", t.Kind().String(), "error", err)
			continue
		}
		signs := rem.life
		rem.readers.Go(func() { r.readRTCP(rem, pc, sender, signs) })
	}
	if flow != nil {
		r.params.Events(room.FlowOpened{ID: rem.who.ID, Flow: flow})
	}
	rem.line = r.openLine(rem, pc)
	r.openPulse(pc, rem.life)
	r.offer(rem, false)
}

// mine hands do to run, which drops it if pc is not rem's connection any more.
func (r *directRoom) mine(rem *remote, pc *webrtc.PeerConnection, do func()) {
	r.post(func() {
		if rem.pc == pc && r.remotes[rem.who.ID] == rem {
			do()
		}
	})
}

// watch routes pc's callbacks to run, as long as pc is rem's connection.
func (r *directRoom) watch(rem *remote, pc *webrtc.PeerConnection) {
	mine := func(do func()) { r.mine(rem, pc, do) }
	over := rem.over
	live := func() bool { return !over.Load() }
	pc.OnICECandidate(func(c *webrtc.ICECandidate) {
		m := signal.Message{Type: signal.Trickle, To: rem.who.ID}
		if c != nil {
			j := c.ToJSON()
			m.Candidate = &signal.Candidate{
				Candidate: j.Candidate, SDPMid: j.SDPMid, SDPMLineIndex: j.SDPMLineIndex, UsernameFragment: j.UsernameFragment,
			}
		}
		mine(func() {
			if m.Candidate == nil || !strings.Contains(rem.offered, m.Candidate.Candidate) { // else the offer had it
				r.send(m)
			}
		})
	})
	// Pion calls each handler in a goroutine of its own: the order is lost on the
	// way, so only the present state counts.
	pc.OnConnectionStateChange(func(webrtc.PeerConnectionState) {
		mine(func() {
			if s := pc.ConnectionState(); s != rem.state {
				rem.state = s
				r.pathChanged(rem, s)
			}
		})
	})
	pc.OnTrack(func(t *webrtc.TrackRemote, receiver *webrtc.RTPReceiver) {
		// The interceptors see only what is read: without its sender reports the
		// far side could not tell the round trip from our reception reports.
		mine(func() { rem.readers.Go(func() { drainRTCP(receiver) }) })
		ask := func() {
			// A closed connection needs no keyframe.
			_ = pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}})
		}
		mine(func() { r.params.Events(room.TrackAdded{ID: rem.who.ID, Track: t, Keyframe: ask, Live: live}) })
	})
}

// pathChanged notes what pion says of a path. What to do about one that is silent
// or over is the call's to say, see Repair.
func (r *directRoom) pathChanged(rem *remote, s webrtc.PeerConnectionState) {
	switch s {
	case webrtc.PeerConnectionStateConnected:
		rem.connected, rem.stage = true, room.StageUp
		r.params.Events(room.PathBack{ID: rem.who.ID})
		r.params.Events(room.KeyframeWanted{})
	case webrtc.PeerConnectionStateDisconnected:
		rem.connected = false
	case webrtc.PeerConnectionStateFailed, webrtc.PeerConnectionStateClosed: // closed: by the far side's DTLS
		rem.connected, rem.stage = false, room.StageOver
		if r.barred != nil {
			r.bar(r.barred)
			return
		}
		r.look()
	default: // new, connecting: nothing to say
	}
}

func (r *directRoom) replace(rem *remote) {
	r.drop(rem)
	r.connect(rem)
}

// drop closes a connection that is to be made anew, and says that its path is gone.
func (r *directRoom) drop(rem *remote) {
	r.close(rem)
	r.params.Events(room.PathLost{ID: rem.who.ID})
}

// gatherWait is how long an offer waits for its candidates. Those of the machine's
// own addresses are there in a few milliseconds, and a far side that has them with
// the offer begins its checks with its answer.
const gatherWait = 30 * time.Millisecond

// offer sends an offer; restart keeps the connection and asks for new ICE
// credentials (RFC 8445, section 9).
func (r *directRoom) offer(rem *remote, restart bool) {
	var gathered <-chan struct{}
	o, err := rem.pc.CreateOffer(&webrtc.OfferOptions{ICERestart: restart}) // a restart begins to gather here
	if err == nil {
		gathered = webrtc.GatheringCompletePromise(rem.pc)
		err = rem.pc.SetLocalDescription(o)
	}
	if err != nil {
		r.log.Error("cannot make an offer", "restart", restart, "error", err)
		return
	}
	rem.answered, rem.restarting, rem.waiting, rem.candidates = false, restart, r.conn != nil, 0
	wait := time.NewTimer(gatherWait)
	defer wait.Stop()
	select {
	case <-gathered:
	case <-wait.C:
	case <-r.life.Done():
	}
	rem.offered = o.SDP
	if d := rem.pc.LocalDescription(); d != nil {
		rem.offered = d.SDP // with the candidates that are there by now
	}
	r.send(signal.Message{Type: signal.Offer, To: rem.who.ID, SDP: rem.offered, Restart: restart})
	r.log.Debug("offered a connection", "restart", restart)
}

// again offers what was offered before, with the candidates that came since.
func (r *directRoom) again(rem *remote) {
	if d := rem.pc.LocalDescription(); d != nil {
		rem.offered = d.SDP
	}
	rem.waiting = true
	r.send(signal.Message{Type: signal.Offer, To: rem.who.ID, SDP: rem.offered, Restart: rem.restarting})
}

func (r *directRoom) answer(m signal.Message) {
	rem := r.remotes[m.From]
	if rem == nil || rem.pc == nil || rem.pc.SignalingState() != webrtc.SignalingStateHaveLocalOffer {
		return // an answer to an offer that has been replaced
	}
	before := ""
	if d := rem.pc.CurrentRemoteDescription(); d != nil {
		before = d.SDP
	}
	if err := rem.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: m.SDP}); err != nil {
		// Its text may quote SDP with addresses in it.
		r.log.Warn("cannot use a participant's answer")
		rem.waiting = false // the offer may be made again
		return
	}
	if rem.restarting && !sameIdentity(before, m.SDP) {
		// The page has lost its end of the connection and answered with a new one:
		// DTLS would not be done again on this one.
		if !r.hurries(rem.who.ID, nil) {
			r.replace(rem)
			return
		}
		// Not now: that it is over is seen, and RepairRenew makes it anew.
		rem.waiting, rem.restarting, rem.stage = false, false, room.StageOver
		return
	}
	r.log.Debug("a participant answered")
	rem.answered, rem.restarting, rem.waiting = true, false, false
	for _, c := range rem.pending {
		r.addCandidate(rem, c)
	}
	rem.pending = nil
}

// sameIdentity tells whether two descriptions carry the same DTLS fingerprint
// (RFC 8122, section 5), that is, the same far end.
func sameIdentity(a, b string) bool { return a != "" && fingerprint(a) == fingerprint(b) }

func fingerprint(sdp string) string {
	for line := range strings.Lines(sdp) {
		if f, ok := strings.CutPrefix(line, "a=fingerprint:"); ok {
			return strings.ToLower(strings.TrimSpace(f))
		}
	}
	return ""
}

func (r *directRoom) candidate(m signal.Message) {
	rem := r.remotes[m.From]
	if rem == nil || rem.pc == nil || m.Candidate == nil {
		return
	}
	c := webrtc.ICECandidateInit{
		Candidate: m.Candidate.Candidate, SDPMid: m.Candidate.SDPMid,
		SDPMLineIndex: m.Candidate.SDPMLineIndex, UsernameFragment: m.Candidate.UsernameFragment,
	}
	if rem.candidates++; rem.candidates > candidatesMost {
		return
	}
	switch {
	case rem.answered:
		r.addCandidate(rem, c)
	case len(rem.pending) < pendingBound:
		rem.pending = append(rem.pending, c)
	}
}

func (r *directRoom) addCandidate(rem *remote, c webrtc.ICECandidateInit) {
	if err := rem.pc.AddICECandidate(c); err != nil {
		r.log.Debug("cannot use a candidate") // one of several: an mDNS name, an old generation
	}
}

// close ends rem's connection without waiting here: its callbacks may be
// waiting for run. The room's wg counts the closing.
func (r *directRoom) close(rem *remote) {
	if rem.pc == nil {
		return
	}
	pc, readers := rem.pc, rem.readers
	rem.over.Store(true)
	r.closeLine(rem.line)
	rem.pc, rem.line, rem.connected, rem.waiting = nil, nil, false, false
	r.wg.Go(func() {
		if err := pc.GracefulClose(); err != nil {
			r.log.Debug("a connection did not close cleanly", "error", err)
		}
		readers.Wait()
	})
}

func (r *directRoom) closeRemotes() {
	for _, rem := range r.remotes {
		r.close(rem)
	}
}
