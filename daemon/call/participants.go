package call

import (
	"sync"
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
	"kioskd/daemon/room/peer"
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
	// MediaBack: the participant's path works again after a MediaLost.
	MediaBack struct {
		Attempt int
		ID      string
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
)

func (Joined) isCallEvent()        {}
func (PeerJoined) isCallEvent()    {}
func (PeerLeft) isCallEvent()      {}
func (MediaArrived) isCallEvent()  {}
func (MediaLost) isCallEvent()     {}
func (MediaBack) isCallEvent()     {}
func (RoomLost) isCallEvent()      {}
func (RoomBack) isCallEvent()      {}
func (RoomClosed) isCallEvent()    {}
func (EncoderFailed) isCallEvent() {}

// participant is what the screen can be shown of one person. It stays when its
// connection goes, so that the page's views survive a reconnection.
type participant struct {
	audio, video *relay
	lost         bool
}

// maxParticipants bounds the relays of one attempt, people who came and went included.
const maxParticipants = 8

type participants struct {
	mu    sync.Mutex
	byID  map[string]*participant
	pumps sync.WaitGroup
}

// reset makes room where too many have come and gone. Who is known stays: the
// page's views of them go on when they are met again.
func (p *participants) reset() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.byID == nil || len(p.byID) >= maxParticipants {
		p.byID = map[string]*participant{}
	}
}

func (p *participants) get(id string) *participant {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.byID[id]
}

// add returns id's participant, making it when it is new and there is room for it.
func (p *participants) add(id string) (*participant, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if have := p.byID[id]; have != nil {
		return have, nil
	}
	if len(p.byID) >= maxParticipants {
		return nil, errTooMany
	}
	a, err := newRelay(peer.AudioCodec(), id, "audio")
	if err != nil {
		return nil, err
	}
	v, err := newRelay(peer.VideoCodec(), id, "video")
	if err != nil {
		return nil, err
	}
	n := &participant{audio: a, video: v}
	p.byID[id] = n
	return n, nil
}

// setLost notes whether a participant's path is lost and reports whether that is news.
func (p *participants) setLost(id string, lost bool) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	have := p.byID[id]
	if have == nil || have.lost == lost {
		return false
	}
	have.lost = lost
	return true
}

// roomEvent turns what the provider reports into the call's own events. The
// room calls it from one goroutine.
func (c *Call) roomEvent(attempt int, e room.Event) {
	emit := c.opts.Events
	switch e := e.(type) {
	case room.PeerJoined:
		if _, err := c.peers.add(e.Participant.ID); err != nil {
			c.opts.Log.Warn("cannot show a participant", "error", err)
			return
		}
		emit(PeerJoined{Attempt: attempt, Participant: e.Participant})
	case room.PeerLeft:
		emit(PeerLeft{Attempt: attempt, ID: e.ID, Reason: e.Reason})
	case room.TrackAdded:
		c.startPump(attempt, e)
	case room.PathLost:
		if c.peers.setLost(e.ID, true) {
			emit(MediaLost{Attempt: attempt, ID: e.ID})
		}
	case room.PathBack:
		if c.peers.setLost(e.ID, false) {
			emit(MediaBack{Attempt: attempt, ID: e.ID})
		}
	case room.KeyframeWanted:
		c.video.keyframe()
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
		for first := true; ; {
			pkt, _, err := e.Track.ReadRTP()
			if err != nil {
				return // the connection closed
			}
			if first {
				first = false
				c.opts.Events(MediaArrived{Attempt: attempt, ID: e.ID, Kind: kind})
			}
			r.forward(e.Track, pkt, time.Now())
		}
	})
}
