// Package room is the border between a call and whoever carries it. A Provider
// joins a room with the kiosk's tracks; what happens there comes back as
// Events. The call knows no provider by name.
//
// Imported by daemon/call and by the providers below this folder.
package room

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/paced"
	"kioskd/daemon/room/peer"
)

// Errors a caller branches on. A provider wraps them.
var (
	// ErrRefused: the room does not let us in (token, size, version). Final until a new room is fetched.
	ErrRefused = errors.New("cannot join the room: it refused")
	// ErrNoProvider: this kiosk does not know the room's kind. Final: to ask again
	// would bring the same room.
	ErrNoProvider = errors.New("cannot join the room: this kiosk does not know its provider")
	// ErrSuperseded: somebody joined with our identity and took our place. Final:
	// to join again would throw them out in turn.
	ErrSuperseded = errors.New("another kiosk joined the room with this kiosk's identity")
	// ErrUnreachable: no answer from the room's server. Worth another try.
	ErrUnreachable = errors.New("cannot reach the room's server")
)

// Reason says why a participant left.
type Reason string

// The reasons: said goodbye, said "back soon", or just went silent.
const (
	ReasonBye  Reason = "bye"
	ReasonAway Reason = "away"
	ReasonLost Reason = "lost"
)

// Participant is somebody else in the room. Name is patient data's neighbour:
// never log it.
type Participant struct {
	ID, Name, Role string
}

// LogValue keeps the name out of logs.
func (p Participant) LogValue() slog.Value { return slog.StringValue("participant " + p.Role) }

// Params is what a provider needs to join.
type Params struct {
	URL, Token string
	// Peer is the kiosk's identity in the room: the same after a restart, so
	// that the new self supersedes the old one.
	Peer   string
	Tracks []webrtc.TrackLocal
	// Path says how connections find their way.
	Path peer.Options
	// Events receives what happens, from one goroutine at a time. It must not block.
	Events func(Event)
	Log    *slog.Logger
}

// Provider joins rooms of one kind. Join returns when the room's server has let
// us in, or with an error; ctx bounds the joining only.
type Provider interface {
	Join(ctx context.Context, p Params) (Room, error)
}

// Room is a joined room. Leave tells the others why, for at most the life of
// ctx, closes every connection and returns when its goroutines are gone.
type Room interface {
	Leave(ctx context.Context, why Reason) error
	// SetOutbox gives the chat messages that are to be delivered, oldest first,
	// instead of those of an earlier call. Each goes once over each connection
	// to a participant it is for, at once or as soon as there is one. It does not wait.
	SetOutbox(list []Message)
	// Acknowledge tells a participant that its message is kept. It does not wait.
	Acknowledge(participant, message string)
	// Repair does something about a path that may be broken. A room decides none of
	// it by itself: it shows Signs, and obeys. It does not wait, and what cannot be
	// done now (the signalling is away, somebody has left) is left out.
	Repair(r Repair)
}

// Repair is one thing to do about a path.
type Repair struct {
	Kind RepairKind
	ID   string // the participant, for RepairRestart and RepairRenew
}

// RepairKind says what to do.
type RepairKind int

// The repairs.
const (
	// RepairLook shows Signs now: the network has moved.
	RepairLook RepairKind = iota
	// RepairHurry reaches for the room's server at once, where it is not heard.
	RepairHurry
	// RepairRestart restarts ICE on the connection there is, if no offer is under way.
	RepairRestart
	// RepairRenew makes the connection anew.
	RepairRenew
	// RepairRejoin joins the room again under the same identity, which supersedes
	// the old self, and makes all connections anew.
	RepairRejoin
)

// Stage says how far a connection has come.
type Stage int

// The stages.
const (
	StageOffered Stage = iota // no path yet
	StageUp                   // it led to the participant once; it may be silent now
	StageOver                 // it failed or was closed by the far side
)

// Sign is what a room sees of one participant. Counters only grow, but are those of
// one Connection.
type Sign struct {
	ID         string
	Connection int // another number is another connection
	Stage      Stage
	Heard      uint64 // signs of life: whatever came over the path
	Taken      uint64 // reports that say that more of our media arrived
	Waiting    bool   // an offer waits for its answer
	Stranded   bool   // the path's own address has gone from this machine
}

// Message is one line of the chat. Its text is the patient's business: never log it.
type Message struct {
	ID, Text string
	At       time.Time
	To       []string // participants who should get it; empty: whoever is there
}

// LogValue keeps the text out of logs.
func (Message) LogValue() slog.Value { return slog.StringValue("chat message") }

// Event is one of the types below.
type Event interface{ isRoomEvent() }

type (
	// PeerJoined: somebody is here; media may follow.
	PeerJoined struct{ Participant Participant }
	// PeerLeft: somebody is gone.
	PeerLeft struct {
		ID     string
		Reason Reason
	}
	// TrackAdded brings a remote track. Keyframe asks its sender for a keyframe (PLI, RFC 4585 section 6.3.1).
	// Live says whether the track's connection is still the participant's: it is
	// false from before the PathLost or PeerLeft of one that was given up, though
	// packets of it may be read for a while.
	TrackAdded struct {
		ID       string
		Track    *webrtc.TrackRemote
		Keyframe func()
		Live     func() bool
	}
	// PathLost: this participant's connection was given up, and is made anew.
	PathLost struct{ ID string }
	// Signs are what the room sees of all who are in it, five times a second.
	Signs struct {
		Signalling bool          // the room's server is heard
		Quiet      time.Duration // since then
		Joins      int           // it has let us in so often
		Peers      []Sign
	}
	// PathBack: the participant's path works (first time, or again); media may follow.
	PathBack struct{ ID string }
	// KeyframeWanted: a receiver of our video asked for one.
	KeyframeWanted struct{}
	// SignallingLost and SignallingBack: the room's server went or came back. Media may well flow on.
	SignallingLost struct{}
	// SignallingBack follows a SignallingLost.
	SignallingBack struct{}
	// MessageReceived: a participant said something. It may come again until it
	// is acknowledged.
	MessageReceived struct {
		ID      string // the participant's
		Message Message
	}
	// MessageAcknowledged: a participant keeps the message with this id.
	MessageAcknowledged struct{ ID, Message string }
	// PathMeasured: what a participant reports about the "audio" or "video" it
	// gets from us (RFC 3550, section 6.4.1), at most twice a second.
	PathMeasured struct {
		ID, Kind string
		RTT      time.Duration // 0: not known yet
		Lost     float64       // share of the packets since its last report, 0 to 1
	}
	// FlowOpened: what we send to this participant leaves by this flow from now on,
	// instead of any before it.
	FlowOpened struct {
		ID   string
		Flow *paced.Flow
	}
	// Closed: the room is over for us and will not come back by itself.
	Closed struct{ Err error }
)

func (PeerJoined) isRoomEvent()          {}
func (PeerLeft) isRoomEvent()            {}
func (TrackAdded) isRoomEvent()          {}
func (PathLost) isRoomEvent()            {}
func (PathBack) isRoomEvent()            {}
func (Signs) isRoomEvent()               {}
func (KeyframeWanted) isRoomEvent()      {}
func (SignallingLost) isRoomEvent()      {}
func (SignallingBack) isRoomEvent()      {}
func (MessageReceived) isRoomEvent()     {}
func (MessageAcknowledged) isRoomEvent() {}
func (PathMeasured) isRoomEvent()        {}
func (FlowOpened) isRoomEvent()          {}
func (Closed) isRoomEvent()              {}

// Providers maps a provider's name in the room document to its Provider.
type Providers map[string]Provider

// Get returns the provider called name.
func (p Providers) Get(name string) (Provider, error) {
	if v, ok := p[name]; ok {
		return v, nil
	}
	return nil, fmt.Errorf("%w: %q, ask for an update of kioskd", ErrNoProvider, name)
}
