package call

import (
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/call/ladder"
	"kioskd/daemon/room"
	"kioskd/daemon/room/paced"
)

// Event is what the call reports: one of the types below. Attempt is that of the Join it belongs to.
type Event interface{ isCallEvent() }

type (
	// Joined: the room let us in; the first event of an attempt.
	Joined struct{ Attempt int }
	// PeerJoined: somebody is in the room.
	PeerJoined struct {
		Attempt     int
		Participant room.Participant
	}
	// PeerLeft: somebody is gone.
	PeerLeft struct {
		Attempt int
		ID      string
		Reason  room.Reason
	}
	// MediaArrived: the first RTP of one kind ("audio", "video") from a participant on this connection.
	MediaArrived struct {
		Attempt  int
		ID, Kind string
	}
	// MediaLost: no sign of life from a participant any more.
	MediaLost struct {
		Attempt int
		ID      string
	}
	// MediaBack: RTP comes from the participant again after a MediaLost.
	MediaBack struct {
		Attempt int
		ID      string
	}
	// MessageArrived: a participant said something in the chat; it may come again until AckMessage.
	MessageArrived struct {
		Attempt int
		ID      string // the participant's
		Message room.Message
	}
	// MessageAcked: a participant keeps the message of the outbox with this id.
	MessageAcked struct {
		Attempt     int
		ID, Message string
	}
	// RoomLost and RoomBack: the room's server; media may flow on.
	RoomLost struct{ Attempt int }
	// RoomBack follows a RoomLost.
	RoomBack struct{ Attempt int }
	// RoomClosed: the room put us out.
	RoomClosed struct {
		Attempt int
		Err     error
	}
	// EncoderFailed: an encoder of this kind is being built anew.
	EncoderFailed struct{ Kind string }
	// OneWay: media of a participant who is alive goes one way only; with ladder.Both
	// it does no more.
	OneWay struct {
		Attempt int
		ID      string
		Way     ladder.Way
	}
)

func (Joined) isCallEvent()         {}
func (PeerJoined) isCallEvent()     {}
func (PeerLeft) isCallEvent()       {}
func (MediaArrived) isCallEvent()   {}
func (MediaLost) isCallEvent()      {}
func (MediaBack) isCallEvent()      {}
func (MessageArrived) isCallEvent() {}
func (MessageAcked) isCallEvent()   {}
func (RoomLost) isCallEvent()       {}
func (RoomBack) isCallEvent()       {}
func (RoomClosed) isCallEvent()     {}
func (EncoderFailed) isCallEvent()  {}
func (OneWay) isCallEvent()         {}

// participant is what the screen can be shown of one person. It stays when its
// connection goes, so that the page's views survive a reconnection.
type participant struct {
	audio, video *relay
	// telling makes one of what the room says and what the pumps see: a packet of
	// a connection that was given up must not be told as media after its loss.
	telling sync.Mutex
	lost    atomic.Bool   // nothing comes from it, and the session knows
	gone    atomic.Bool   // it left; its place may be taken
	media   atomic.Uint64 // RTP packets of connections that were not given up
	path    path
	// flow is the way to it; nil before there is one.
	flow atomic.Pointer[paced.Flow]
	loss lossSeen // of participants.mu
}

// maxParticipants bounds the people of one call, those who left and may come
// back included.
const maxParticipants = 8

var errTooMany = errors.New("more people came than a call shows")

type participants struct {
	mu    sync.Mutex
	byID  map[string]*participant
	pumps sync.WaitGroup
}

func (p *participants) get(id string) *participant {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id]
}

// add returns id's participant. A new one may take the place of one who left.
func (p *participants) add(id string) (*participant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.byID[id]; have != nil {
		have.gone.Store(false)
		return have, nil
	}
	for old, who := range p.byID {
		if len(p.byID) >= maxParticipants && who.gone.Load() {
			delete(p.byID, old)
		}
	}
	if len(p.byID) >= maxParticipants {
		return nil, errTooMany
	}
	if p.byID == nil {
		p.byID = map[string]*participant{}
	}
	n := &participant{audio: newRelay(webrtc.RTPCodecTypeAudio, id), video: newRelay(webrtc.RTPCodecTypeVideo, id)}
	p.byID[id] = n
	return n, nil
}

// allGone marks everybody as gone: the room was left.
func (p *participants) allGone() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, who := range p.byID {
		who.gone.Store(true)
	}
}

// roomEvent turns what the provider reports into the call's own events. The
// room calls it from one goroutine, which owns the room's ladder too.
func (c *Call) roomEvent(attempt int, l *ladder.Ladder, e room.Event) {
	emit := c.opts.Events
	switch e := e.(type) {
	case room.PeerJoined:
		if _, err := c.peers.add(e.Participant.ID); err != nil {
			c.opts.Log.Warn("cannot show a participant", "error", err)
			return
		}
		emit(PeerJoined{Attempt: attempt, Participant: e.Participant})
	case room.PeerLeft:
		if p := c.peers.get(e.ID); p != nil {
			p.gone.Store(true)
			p.telling.Lock() // a pump that is telling of media comes first
			defer p.telling.Unlock()
		}
		emit(PeerLeft{Attempt: attempt, ID: e.ID, Reason: e.Reason})
	case room.TrackAdded:
		c.startPump(attempt, e)
	case room.PathLost:
		l.Lose(time.Now(), e.ID)
		c.lose(attempt, e.ID)
	case room.Signs:
		c.climb(attempt, l, e)
	case room.PathBack:
		// The far end of a fresh path has seen nothing yet. That is no receiver
		// asking, so it does not wait for its turn (see keyframeEvery). What comes
		// back on it is the pump's to see.
		c.video.newScene()
	case room.KeyframeWanted:
		c.video.keyframe()
	case room.PathMeasured:
		if p := c.peers.get(e.ID); p != nil {
			p.path.note(e)
			c.audio.expect(c.peers.soundLoss(e.ID, e.Kind, e.Lost))
		}
	case room.FlowOpened:
		if p := c.peers.get(e.ID); p != nil {
			p.flow.Store(e.Flow)
		}
	case room.MessageReceived:
		emit(MessageArrived{Attempt: attempt, ID: e.ID, Message: e.Message})
	case room.MessageAcknowledged:
		emit(MessageAcked{Attempt: attempt, ID: e.ID, Message: e.Message})
	case room.SignallingLost:
		emit(RoomLost{Attempt: attempt})
	case room.SignallingBack:
		emit(RoomBack{Attempt: attempt})
	case room.Closed:
		emit(RoomClosed{Attempt: attempt, Err: e.Err})
	}
}

// startPump relays a remote track until its connection closes.
func (c *Call) startPump(attempt int, e room.TrackAdded) {
	p := c.peers.get(e.ID)
	if p == nil {
		return
	}
	r, kind, ask := p.audio, "audio", func() {}
	if e.Track.Kind() == webrtc.RTPCodecTypeVideo {
		r, kind, ask = p.video, "video", e.Keyframe
	}
	r.attach(e.Track, ask)
	ask() // whoever watches already needs a picture to start from
	c.peers.pumps.Go(func() {
		codec, carried := "", uint8(0)
		var gaps gaps
		for first := true; ; {
			pkt, _, err := e.Track.ReadRTP()
			if err != nil {
				return // the connection closed
			}
			if first {
				if !c.tell(p, e, attempt, kind) {
					return // its connection was given up, and is being closed
				}
				first = false
			}
			if e.Live() {
				p.media.Add(1)
			}
			if gaps.ends(time.Now()) { // what was lost on the way will not be repeated in time
				p.video.requestKeyframe()
				c.video.newScene()
			}
			if codec == "" || pkt.PayloadType != carried { // a far side may change its codec at any packet
				codec, carried = strings.ToLower(e.Track.Codec().MimeType), pkt.PayloadType
			}
			as := codec
			if codec == mimeRED { // the page gets the newest block alone
				newest, _, ok := unwrapRED(pkt.Payload)
				if !ok {
					continue
				}
				pkt.Payload, as = newest, mimeOpus
			}
			r.forward(e.Track, as, pkt, time.Now())
		}
	})
}

// gaps notices that nothing came for a while. The path was dead for both ways then,
// and asking for keyframes at once is sooner than each side's own notice.
type gaps struct{ last, told time.Time }

// Bounds of a gap: video at 5 frames/s and sound that pauses are none. A far side
// that stutters costs one keyframe a second.
const (
	gapLeast = 450 * time.Millisecond
	gapTold  = time.Second
)

// ends takes the time of a packet, and says whether a gap ended with it.
func (g *gaps) ends(now time.Time) bool {
	gap := !g.last.IsZero() && now.Sub(g.last) >= gapLeast && now.Sub(g.told) >= gapTold
	g.last = now
	if gap {
		g.told = now
	}
	return gap
}

// tell says that the first packet of e's track came, which ends a loss.
// false: the track's connection was given up, and what comes of it counts no more.
func (c *Call) tell(p *participant, e room.TrackAdded, attempt int, kind string) bool {
	p.telling.Lock()
	defer p.telling.Unlock()
	if !e.Live() {
		return false
	}
	p.lost.Store(false)
	c.opts.Log.Info("first packet from the other side", "kind", kind)
	c.opts.Events(MediaArrived{Attempt: attempt, ID: e.ID, Kind: kind})
	return true
}

// lose says that a participant is not heard any more.
func (c *Call) lose(attempt int, id string) {
	if p := c.peers.get(id); p != nil {
		p.telling.Lock()
		defer p.telling.Unlock()
		if p.lost.CompareAndSwap(false, true) {
			c.opts.Events(MediaLost{Attempt: attempt, ID: id})
		}
	}
}

// regain says that media of a participant comes again.
func (c *Call) regain(attempt int, id string) {
	if p := c.peers.get(id); p != nil {
		p.telling.Lock()
		defer p.telling.Unlock()
		if p.lost.CompareAndSwap(true, false) {
			c.opts.Events(MediaBack{Attempt: attempt, ID: id})
		}
	}
}
