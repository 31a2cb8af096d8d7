package session

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Model is everything the kiosk knows of its one session. The zero value is no
// session. It is a value: Step never changes the one it was given.
//
// Times are UTC, by the wall clock as it was at the opening: who sets it later moves
// none of them (see runner). All limits are counted from the times stored here.
type Model struct {
	Version     int         `json:"version"`
	Appointment PatientText `json:"appointment,omitempty"`
	Peer        string      `json:"peer,omitempty"` // the kiosk's identity in the room; random, stable for the session
	State       State       `json:"state,omitempty"`
	Phase       Phase       `json:"step,omitempty"`
	Error       Failure     `json:"error,omitzero"` // set in state error only
	Title       PatientText `json:"title,omitempty"`

	Consent    Consent `json:"consent"`
	Muted      bool    `json:"muted"`
	VideoOff   bool    `json:"video_off"`
	Camera     Camera  `json:"camera"`
	ChatOpen   bool    `json:"chat_open"`
	ReportOpen bool    `json:"report_open"`

	// Messages are the chat, oldest first. Unread counts those that came while
	// it was closed, Forgotten those that had to make room.
	Messages  []Message `json:"messages,omitempty"`
	Unread    int       `json:"unread,omitempty"`
	Forgotten int       `json:"forgotten,omitempty"`
	// ReportID is the newest report that was handed in; ReportSent: the backend has it.
	ReportID   string `json:"report_id,omitempty"`
	ReportSent bool   `json:"report_sent,omitempty"`
	// Unauthorized: the backend refused the kiosk's token in the running session.
	// It goes on without the backend; a room that is loaded takes it back.
	Unauthorized bool `json:"unauthorized,omitempty"`
	// Offers is what the newest room offers; it stays while a new room is fetched.
	Offers Offers `json:"offers,omitzero"`
	Screen Screen `json:"screen,omitzero"`
	// Seen are the Idempotency-Keys of the session's newest commands, hashed with
	// SeenSalt. The runner keeps them here; Step only carries them on.
	Seen     []SeenKey `json:"seen,omitempty"`
	SeenSalt []byte    `json:"seen_salt,omitempty"`

	Participants []Participant `json:"participants,omitempty"`
	Room         *Room         `json:"room,omitempty"`
	Limits       Limits        `json:"limits"`

	OpenedAt      time.Time `json:"opened_at,omitzero"`
	WaitSince     time.Time `json:"wait_since,omitzero"`     // nobody is there since
	InterruptedAt time.Time `json:"interrupted_at,omitzero"` // reconnecting since
	ActiveSince   time.Time `json:"active_since,omitzero"`   // first active; the timer's zero
	EndedAt       time.Time `json:"ended_at,omitzero"`       // set in final states only
	LastAt        time.Time `json:"last_at,omitzero"`        // the newest event seen
	DoubtfulSince time.Time `json:"doubtful_since,omitzero"` // clock not synchronised since
	// Boot and Uptime tell LastAt on the one clock that nobody sets: which boot of the
	// machine it was, and how long after it. The runner keeps them here.
	Boot   string        `json:"boot,omitempty"`
	Uptime time.Duration `json:"uptime,omitempty"`

	Started  bool `json:"started"`  // {"session":"started"} was given
	Admitted bool `json:"admitted"` // the devices' permission was seen once
	Known    bool `json:"known"`    // the room was joined once

	Attempt int     `json:"attempt"`        // number of the newest try to load and join
	Tries   int     `json:"tries"`          // failures in a row, for the back-off
	Cause   Failure `json:"cause,omitzero"` // failure that a success takes away

	Facts    Facts     `json:"-"`
	Trying   bool      `json:"-"` // attempt number Attempt is wanted
	Joined   bool      `json:"-"`
	RoomLost bool      `json:"-"` // joined, but its signalling is interrupted
	Checking bool      `json:"-"` // check number Checks of the devices is wanted
	Checks   int       `json:"-"`
	RetryAt  time.Time `json:"-"` // when the next try begins
	Stopping bool      `json:"-"` // the daemon is going down

	Refreshing   bool `json:"-"` // refresh number Refreshes of the screen is wanted
	Refreshes    int  `json:"-"`
	RefreshTries int  `json:"-"` // failures in a row, for the back-off
}

// Offers is what a session's room can do beside the call itself.
type Offers struct {
	Chat        bool `json:"chat"`
	ReportIssue bool `json:"report_issue"`
}

// Bounds of Model.Seen: entries, and bytes of a hash; bytes of Model.Boot, a UUID.
const (
	MaxSeen = 64
	maxHash = 32
	maxBoot = 64
)

// SeenKey is an Idempotency-Key that a command of this session came with.
type SeenKey struct {
	Key   []byte    `json:"key"`   // hash of the key
	Print []byte    `json:"print"` // hash of the command
	At    time.Time `json:"at"`
}

// LogValue tells the state and nothing of the patient.
func (m Model) LogValue() slog.Value {
	return slog.GroupValue(slog.String("state", string(m.State)), slog.String("step", string(m.Phase)),
		slog.String("error", m.Error.Code), slog.Int("attempt", m.Attempt))
}

// Format tells what LogValue tells. Without it a wrong verb would make fmt follow
// the pointer to the room and print it raw, past PatientText's own Format.
func (m Model) Format(f fmt.State, _ rune) { _, _ = fmt.Fprint(f, m.LogValue().String()) }

// Clone returns a copy that shares no memory with m.
func (m Model) Clone() Model {
	m.Participants = slices.Clone(m.Participants)
	m.Facts.Cameras = slices.Clone(m.Facts.Cameras)
	m.Messages = cloneMessages(m.Messages)
	m.Screen.Hidden, m.Screen.Disabled = slices.Clone(m.Screen.Hidden), slices.Clone(m.Screen.Disabled)
	m.Seen, m.SeenSalt = slices.Clone(m.Seen), slices.Clone(m.SeenSalt)
	if m.Room != nil {
		m.Room = m.Room.clone()
	}
	return m
}

func (r *Room) clone() *Room {
	c := *r
	c.ICEServers = slices.Clone(r.ICEServers)
	for i := range c.ICEServers {
		c.ICEServers[i].URLs = slices.Clone(c.ICEServers[i].URLs)
	}
	return &c
}

// Exists says whether there is a session, a finished one included.
func (m Model) Exists() bool { return m.State != None }

// Final says whether the session is over: ended, timeout, or an error that is
// not retryable.
func (m Model) Final() bool {
	return m.State == Ended || m.State == Timeout || m.State == Error && !m.Error.Retryable
}

// Running says whether there is a session that is not over.
func (m Model) Running() bool { return m.Exists() && !m.Final() }

// CameraSupported says whether the camera can be swapped: two are usable.
func (m Model) CameraSupported() bool { return len(m.Facts.Cameras) >= 2 }

// SendsVideo says whether the patient's picture may go out: the choice and the
// hardware's word together. The hardware only takes away; the choice stays.
func (m Model) SendsVideo() bool { return !m.VideoOff && !m.Facts.CameraShut }

// SendsAudio says whether the patient's sound may go out.
func (m Model) SendsAudio() bool { return !m.Muted && !m.Facts.MicrophoneShut }

// TimerSeconds is the session timer in whole seconds: it starts at the first
// `active` and runs until the final state. It is 0 before that.
func (m Model) TimerSeconds(now time.Time) int {
	if m.ActiveSince.IsZero() {
		return 0
	}
	if !m.EndedAt.IsZero() {
		now = m.EndedAt
	}
	return max(0, int(now.Sub(m.ActiveSince)/time.Second))
}

// Encode gives the model's stored form. Facts are left out.
func (m Model) Encode() ([]byte, error) {
	m.Version = Version
	b, err := json.Marshal(m)
	if err != nil {
		return nil, fmt.Errorf("cannot encode the session: %w", err)
	}
	return b, nil
}

// Decode reads what Encode wrote. A model of another version, or with a state
// or a bound that this code does not know, is an error; the text of the error
// holds nothing of the content.
func Decode(b []byte) (Model, error) {
	var m Model
	if err := json.Unmarshal(b, &m); err != nil {
		return Model{}, fmt.Errorf("cannot decode the stored session: it is not the JSON of a session (%d bytes)", len(b))
	}
	if m.Version != Version {
		return Model{}, fmt.Errorf("cannot decode the stored session: version %d is not %d", m.Version, Version)
	}
	if err := m.check(); err != nil {
		return Model{}, err
	}
	return m, nil
}

// check refuses what no Step can have written, so that a file that was changed
// by something else cannot bring the machine into a state it does not know.
func (m Model) check() error {
	switch m.State {
	case WaitingPermissions, Waiting, Active, Reconnecting, Ended, Timeout, Error:
	default:
		return errors.New("cannot decode the stored session: its state is unknown")
	}
	switch {
	case len(m.Participants) > MaxParticipants:
		return fmt.Errorf("cannot decode the stored session: %d participants are over %d", len(m.Participants), MaxParticipants)
	case m.Running() && (m.OpenedAt.IsZero() || !m.Limits.valid()):
		return errors.New("cannot decode the stored session: it has no opening time or no limits")
	case !m.Running() && m.EndedAt.IsZero():
		return errors.New("cannot decode the stored session: it is over without a time")
	case m.Cause.Code != "" && !m.Cause.Retryable:
		return errors.New("cannot decode the stored session: it goes on after a final error")
	case m.Running() && checkAppointment(m.Appointment) != nil:
		return errors.New("cannot decode the stored session: it has no appointment")
	case len(m.Messages) > MaxMessages || slices.ContainsFunc(m.Messages, func(c Message) bool { return !c.valid() }):
		return errors.New("cannot decode the stored session: its chat is over a bound")
	case !m.Screen.valid():
		return errors.New("cannot decode the stored session: its screen is over a bound")
	case len(m.Boot) > maxBoot:
		return errors.New("cannot decode the stored session: its boot is over a bound")
	case len(m.Seen) > MaxSeen || len(m.SeenSalt) > maxHash || slices.ContainsFunc(m.Seen, func(s SeenKey) bool { return len(s.Key)+len(s.Print) > 2*maxHash }):
		return errors.New("cannot decode the stored session: its memory of keys is over a bound")
	}
	return nil
}
