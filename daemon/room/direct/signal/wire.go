package signal

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// ErrTooBig is wrapped by the errors of Parse and Marshal for messages over MaxMessage.
var ErrTooBig = errors.New("message over 64 KiB")

// wire is the JSON object. Pointers tell an absent field from an empty one;
// Candidate stays raw, because null means something there and absence does not.
type wire struct {
	Type      Type            `json:"type"`
	Token     string          `json:"token,omitempty"`
	Peer      string          `json:"peer,omitempty"`
	Name      *string         `json:"name,omitempty"`
	Role      Role            `json:"role,omitempty"`
	Peers     *[]Peer         `json:"peers,omitempty"`
	From      string          `json:"from,omitempty"`
	To        string          `json:"to,omitempty"`
	SDP       string          `json:"sdp,omitempty"`
	Restart   bool            `json:"restart,omitempty"`
	Candidate json.RawMessage `json:"candidate,omitempty"`
	Reason    Reason          `json:"reason,omitempty"`
	Code      string          `json:"code,omitempty"`
	Detail    string          `json:"detail,omitempty"`
}

// Parse reads one message. b is the whole text message, at most MaxMessage
// bytes of UTF-8. It is strict about the fields that the type needs and about
// their sizes, and ignores fields that it does not know or that belong to
// another type. Errors name the field, never its content.
func Parse(b []byte) (Message, error) {
	if len(b) > MaxMessage {
		return Message{}, fmt.Errorf("cannot read signal message: %w", ErrTooBig)
	}
	if !utf8.Valid(b) {
		return Message{}, errors.New("cannot read signal message: not UTF-8")
	}
	var w wire
	if err := json.Unmarshal(b, &w); err != nil {
		// The library's text may quote what it read: keep the kind, drop the words.
		return Message{}, errors.New("cannot read signal message: not a JSON object of the expected shape")
	}
	m, err := w.message()
	if err != nil {
		return Message{}, fmt.Errorf("cannot read signal message: %w", err)
	}
	return m, nil
}

// Marshal writes one message. It refuses what Parse would refuse, so that a
// mistake shows at its author and not at the other side.
func Marshal(m Message) ([]byte, error) {
	if err := m.check(); err != nil {
		return nil, fmt.Errorf("cannot write signal message: %w", err)
	}
	w := wire{
		Type: m.Type, Token: m.Token, Peer: m.Peer, Role: m.Role, From: m.From, To: m.To,
		SDP: m.SDP, Restart: m.Restart, Reason: m.Reason, Code: m.Code, Detail: m.Detail,
	}
	switch m.Type {
	case Hello, PeerJoined:
		w.Name = &m.Name
	case Welcome:
		peers := m.Peers
		if peers == nil {
			peers = []Peer{}
		}
		w.Peers = &peers
	case Trickle:
		raw, err := encode(m.Candidate) // nil becomes null
		if err != nil {
			return nil, fmt.Errorf("cannot write signal message: %w", err)
		}
		w.Candidate = raw
	default: // every field has been copied
	}
	b, err := encode(w)
	if err != nil {
		return nil, fmt.Errorf("cannot write signal message: %w", err)
	}
	if len(b) > MaxMessage {
		return nil, fmt.Errorf("cannot write signal message: %w", ErrTooBig)
	}
	return b, nil
}

// encode is json.Marshal without the HTML escapes, which would make SDP grow.
func encode(v any) ([]byte, error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(buf.Bytes(), []byte("\n")), nil
}

// message picks the fields of w's type and checks them.
func (w wire) message() (Message, error) {
	m := Message{Type: w.Type}
	switch w.Type {
	case Hello:
		m.Token, m.Peer, m.Name, m.Role = w.Token, w.Peer, deref(w.Name), w.Role
	case Welcome:
		if w.Peers == nil {
			return Message{}, missing(w.Type, "peers")
		}
		m.Peer, m.Peers = w.Peer, *w.Peers
	case PeerJoined:
		m.From, m.Name, m.Role = w.From, deref(w.Name), w.Role
	case PeerLeft:
		m.From, m.Reason = w.From, w.Reason
	case Offer:
		m.From, m.To, m.SDP, m.Restart = w.From, w.To, w.SDP, w.Restart
	case Answer:
		m.From, m.To, m.SDP = w.From, w.To, w.SDP
	case Trickle:
		m.From, m.To = w.From, w.To
		c, err := parseCandidate(w.Candidate)
		if err != nil {
			return Message{}, err
		}
		m.Candidate = c
	case Error:
		m.Code, m.Detail = w.Code, w.Detail
	default: // no fields, or an unknown type, which check refuses
	}
	return m, m.check()
}

func parseCandidate(raw json.RawMessage) (*Candidate, error) {
	if len(raw) == 0 {
		return nil, missing(Trickle, "candidate")
	}
	if string(raw) == "null" {
		return nil, nil
	}
	// The string inside must be there: an empty object is a mistake, not an end.
	var c struct {
		Candidate *string `json:"candidate"`
		SDPMid    *string `json:"sdpMid"`
		Index     *uint16 `json:"sdpMLineIndex"`
		Ufrag     *string `json:"usernameFragment"`
	}
	if err := json.Unmarshal(raw, &c); err != nil || c.Candidate == nil {
		return nil, missing(Trickle, "candidate.candidate")
	}
	return &Candidate{Candidate: *c.Candidate, SDPMid: c.SDPMid, SDPMLineIndex: c.Index, UsernameFragment: c.Ufrag}, nil
}

// check holds the rules of each type, for both directions.
func (m Message) check() error {
	switch m.Type {
	case Hello:
		return firstError(sized(m.Type, "token", m.Token, 1, maxToken), id(m.Type, "peer", m.Peer), named(m.Type, m.Name, m.Role))
	case Welcome:
		return m.checkWelcome()
	case PeerJoined:
		return firstError(id(m.Type, "from", m.From), named(m.Type, m.Name, m.Role))
	case PeerLeft:
		if m.Reason != ReasonBye && m.Reason != ReasonLost && m.Reason != ReasonAway {
			return fmt.Errorf("%s: reason is none of bye, lost, away", m.Type)
		}
		return id(m.Type, "from", m.From)
	case Offer, Answer:
		return firstError(m.checkRelay(), sized(m.Type, "sdp", m.SDP, 1, maxSDP))
	case Trickle:
		return firstError(m.checkRelay(), m.Candidate.check())
	case Error:
		return firstError(sized(m.Type, "code", m.Code, 1, maxCode), sized(m.Type, "detail", m.Detail, 0, maxDetail))
	case Away, Bye, Ping, Pong:
		return nil
	case "":
		return errors.New("type is missing")
	default:
		return errors.New("type is unknown")
	}
}

func (m Message) checkWelcome() error {
	if len(m.Peers) > maxPeers {
		return fmt.Errorf("%s: over %d peers", m.Type, maxPeers)
	}
	for _, p := range m.Peers {
		if err := firstError(id(m.Type, "peers.peer", p.Peer), named(m.Type, p.Name, p.Role)); err != nil {
			return err
		}
	}
	return id(m.Type, "peer", m.Peer)
}

// checkRelay wants exactly one of to (from a client) and from (from a server).
func (m Message) checkRelay() error {
	if m.To != "" && m.From != "" {
		return fmt.Errorf("%s: both to and from", m.Type)
	}
	if m.From != "" {
		return id(m.Type, "from", m.From)
	}
	return id(m.Type, "to", m.To)
}

func (c *Candidate) check() error {
	if c == nil {
		return nil
	}
	if strings.ContainsAny(c.Candidate, "\r\n") {
		return errors.New("candidate: a line break inside") // it would smuggle lines into somebody's SDP
	}
	return firstError(
		sized(Trickle, "candidate.candidate", c.Candidate, 0, maxCandidate),
		sized(Trickle, "candidate.sdpMid", deref(c.SDPMid), 0, maxMid),
		sized(Trickle, "candidate.usernameFragment", deref(c.UsernameFragment), 0, maxUfrag))
}

// id checks a peer id: it is a key and may appear in logs, so it is plain ASCII.
func id(t Type, field, s string) error {
	if err := sized(t, field, s, 1, maxID); err != nil {
		return err
	}
	for _, r := range s {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r) {
			continue
		}
		return fmt.Errorf("%s: %s has other characters than A-Z a-z 0-9 . _ -", t, field)
	}
	return nil
}

func named(t Type, name string, role Role) error {
	if role != Kiosk && role != Clinician && role != Interpreter {
		return fmt.Errorf("%s: role is none of kiosk, clinician, interpreter", t)
	}
	return sized(t, "name", name, 0, maxName)
}

func sized(t Type, field, s string, least, most int) error {
	switch {
	case len(s) < least:
		return missing(t, field)
	case len(s) > most:
		return fmt.Errorf("%s: %s is over %d bytes", t, field, most)
	case !utf8.ValidString(s):
		return fmt.Errorf("%s: %s is not UTF-8", t, field)
	}
	return nil
}

func missing(t Type, field string) error { return fmt.Errorf("%s: %s is missing", t, field) }

func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

func deref(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}
