// Package signal is the language of the direct room: the messages that a kiosk,
// a clinician's page and the signalling server exchange while they set up a
// WebRTC call. One WebSocket carries them, one JSON object in one text message
// (RFC 6455 section 5.6), at most MaxMessage bytes each.
//
// The order of things:
//
//	client -> server  hello            first, within HelloTimeout
//	server -> client  welcome          who is in the room already
//	server -> client  peer-joined      somebody came, or came again
//	kiosk  -> peer    offer            the kiosk always offers
//	peer   -> kiosk   answer
//	both ways         candidate        trickled (RFC 8838), after the offer or answer
//	                                   that they belong to; null ends them
//	client -> server  away | bye       leaving for a moment | for good
//	server -> client  peer-left        with the reason bye, lost or away
//	server -> client  error            with a stable code
//	both ways         ping, pong       optional keepalive
//
// A client writes the receiver of an offer, answer or candidate into `to`; the
// server replaces it with the sender in `from`. The same peer id with the same
// token supersedes the older connection, which gets the error CodeSuperseded
// and is closed; the others see a fresh peer-joined and no peer-left.
//
// The package owns the form of the messages and nothing else: no socket, no
// goroutine, no clock. Imports: standard library only. The room's client
// (daemon/room/direct) and the servers that speak to it import it.
package signal

import (
	"log/slog"
	"time"
)

// Bounds of the protocol.
const (
	// MaxMessage is the greatest size of one message on the wire, in bytes.
	// Give it to the WebSocket's read limit.
	MaxMessage = 64 << 10
	// HelloTimeout is how long a server waits for the hello of a new connection.
	HelloTimeout = 5 * time.Second

	maxToken     = 1024
	maxID        = 64
	maxName      = 128
	maxSDP       = 30 << 10 // JSON escapes can at most double it: always below MaxMessage
	maxCandidate = 2 << 10
	maxMid       = 64
	maxUfrag     = 256 // RFC 8839 section 5.4: ice-ufrag is at most 256 characters
	maxPeers     = 32
	maxCode      = 64
	maxDetail    = 512
)

// Type says what a message is.
type Type string

// The types. See the package's comment for who sends which.
const (
	Hello      Type = "hello"
	Welcome    Type = "welcome"
	PeerJoined Type = "peer-joined"
	PeerLeft   Type = "peer-left"
	Offer      Type = "offer"
	Answer     Type = "answer"
	Trickle    Type = "candidate"
	Away       Type = "away"
	Bye        Type = "bye"
	Error      Type = "error"
	Ping       Type = "ping"
	Pong       Type = "pong"
)

// Role is what a peer is in the appointment.
type Role string

// The roles.
const (
	Kiosk       Role = "kiosk"
	Clinician   Role = "clinician"
	Interpreter Role = "interpreter"
)

// Reason says why a peer left.
type Reason string

// The reasons of a peer-left.
const (
	// ReasonBye: it said bye; it does not mean to come back.
	ReasonBye Reason = "bye"
	// ReasonLost: its connection ended without a word.
	ReasonLost Reason = "lost"
	// ReasonAway: it said away; it restarts and comes back.
	ReasonAway Reason = "away"
)

// Codes of an error message. A client shows the detail and branches on the code.
const (
	// CodeSuperseded: the same peer has joined with another connection. Do not rejoin.
	CodeSuperseded = "superseded"
	// CodeUnauthorized: the token opens no room, or no longer.
	CodeUnauthorized = "unauthorized"
	// CodeHelloTimeout: no hello came within HelloTimeout.
	CodeHelloTimeout = "hello_timeout"
	// CodeBadMessage: the message was not understood. The server closes.
	CodeBadMessage = "bad_message"
	// CodeNotAllowed: this peer may not send this type, e.g. an offer that is not the kiosk's.
	CodeNotAllowed = "not_allowed"
	// CodeNoPeer: the receiver is not in the room. The connection stays open.
	CodeNoPeer = "no_such_peer"
	// CodeTooSlow: the client did not read its messages in time. The server closes.
	CodeTooSlow = "too_slow"
	// CodeRoomFull: the room holds as many peers as it may.
	CodeRoomFull = "room_full"
)

// Peer is one member of a room.
type Peer struct {
	Peer string `json:"peer"` // stable id of the client, 1 to 64 of [A-Za-z0-9._-]
	Name string `json:"name"` // for people, up to 128 bytes, may be empty
	Role Role   `json:"role"`
}

// Candidate is one trickled ICE candidate, in the form of RTCIceCandidateInit
// (W3C WebRTC section 4.8.1.1), which browsers and pion both read and write.
type Candidate struct {
	Candidate        string  `json:"candidate"` // candidate-attribute of RFC 8839 section 5.1; "" ends one generation
	SDPMid           *string `json:"sdpMid"`
	SDPMLineIndex    *uint16 `json:"sdpMLineIndex"`
	UsernameFragment *string `json:"usernameFragment"`
}

// Message is one message. Which fields count depends on Type; the others are
// zero. Printing or logging a Message shows only its type, because tokens,
// names and addresses are nobody's business in a log.
type Message struct {
	Type Type

	Token string // hello: opens the room
	Peer  string // hello: the client's stable id; welcome: the same, echoed
	Name  string // hello, peer-joined: for people
	Role  Role   // hello, peer-joined
	Peers []Peer // welcome: who else is there, never nil after Parse

	From string // peer-joined, peer-left; offer, answer, candidate as the server sends them
	To   string // offer, answer, candidate as a client sends them

	SDP       string     // offer, answer: the session description (RFC 8866)
	Restart   bool       // offer: this one restarts ICE on the connection there is
	Candidate *Candidate // candidate: nil means that no more will come

	Reason Reason // peer-left
	Code   string // error: stable, one of Code...
	Detail string // error: a sentence for people, may be empty
}

// FromClient tells whether a client may send m to a server.
func (m Message) FromClient() bool {
	switch m.Type {
	case Hello, Away, Bye, Ping, Pong:
		return true
	case Offer, Answer, Trickle:
		return m.To != ""
	default:
		return false
	}
}

// FromServer tells whether a server may send m to a client.
func (m Message) FromServer() bool {
	switch m.Type {
	case Welcome, PeerJoined, PeerLeft, Error, Ping, Pong:
		return true
	case Offer, Answer, Trickle:
		return m.From != ""
	default:
		return false
	}
}

// String returns the type alone, so that no log shows what m carries.
func (m Message) String() string { return "signal message " + string(m.Type) }

// GoString is String, for %#v.
func (m Message) GoString() string { return m.String() }

// LogValue is String, for log/slog.
func (m Message) LogValue() slog.Value { return slog.StringValue(m.String()) }
