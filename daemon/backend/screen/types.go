package screen

import (
	"fmt"
	"log/slog"
	"time"
)

// Screen is the part of the screen document that the kiosk uses.
type Screen struct {
	// Title is shown to the patient; at most 500 characters. Patient data.
	Title string
	// Room is how to join; nil where the document has none.
	Room *Room
	// Patch is what the document's own patches, update and timeout say. Where it
	// has a title, it is Title's.
	Patch Patch
	// Date is the backend's clock in the answer's Date header (RFC 9110, section
	// 6.6.1); zero where the header is absent or unreadable. Parse leaves it
	// zero: it is no part of the document.
	Date time.Time
}

// String hides everything but the room's provider.
func (s Screen) String() string {
	if s.Room == nil {
		return "Screen{Title:[redacted] Room:none}"
	}
	return "Screen{Title:[redacted] Room:" + s.Room.String() + "}"
}

// GoString hides the same from %#v.
func (s Screen) GoString() string { return s.String() }

// LogValue hides the same from log/slog.
func (s Screen) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Room is how to join the appointment's room.
type Room struct {
	// Provider is one of direct, whip, janus, livekit.
	Provider string
	// URL is wss, or ws to a loopback host; its host is the backend's own or an
	// allowed one.
	URL string
	// Token proves the kiosk to the room. Secret; 1 to 4096 bytes.
	Token string
	// Expires is when Token stops working.
	Expires time.Time
	// ICEServers holds at most 16 entries; may be empty.
	ICEServers []ICEServer
	// Participant is who is expected in the room.
	Participant Participant
	// SessionSeconds and WaitSeconds are 1 to 86400.
	SessionSeconds, WaitSeconds int
	// Chat and ReportIssue say what the room supports.
	Chat, ReportIssue bool
}

// String shows the provider only.
func (r Room) String() string { return "Room{Provider:" + r.Provider + " [redacted]}" }

// GoString hides the same from %#v.
func (r Room) GoString() string { return r.String() }

// LogValue hides the same from log/slog.
func (r Room) LogValue() slog.Value { return slog.StringValue(r.String()) }

// ICEServer is one STUN or TURN server (RFC 7064, RFC 7065).
type ICEServer struct {
	// URLs are 1 to 8 addresses with scheme stun, stuns, turn or turns.
	URLs []string
	// Username and Credential are required for turn and turns. Secret.
	Username, Credential string
}

// String hides the user name and the credential.
func (s ICEServer) String() string { return fmt.Sprintf("ICEServer{URLs:%q [redacted]}", s.URLs) }

// GoString hides the same from %#v.
func (s ICEServer) GoString() string { return s.String() }

// LogValue hides the same from log/slog.
func (s ICEServer) LogValue() slog.Value { return slog.StringValue(s.String()) }

// Participant is the other side of the call.
type Participant struct {
	// Name is at most 200 characters. Patient data.
	Name string
	// Role is a word such as "clinician", at most 64 characters.
	Role string
}

// String hides the name.
func (p Participant) String() string { return "Participant{Name:[redacted] Role:" + p.Role + "}" }

// GoString hides the same from %#v.
func (p Participant) GoString() string { return p.String() }

// LogValue hides the same from log/slog.
func (p Participant) LogValue() slog.Value { return slog.StringValue(p.String()) }
