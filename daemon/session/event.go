package session

import (
	"log/slog"
	"time"
)

// Event is one thing that happened, with its time.
type Event struct {
	At   time.Time // when; the runner sets it, monotonic while it runs
	By   string    // who, for the audit: "uid=1000 gid=1000 pid=42"; empty: the kiosk itself
	What What
}

// LogValue names the event and leaves its content out.
func (e Event) LogValue() slog.Value { return slog.StringValue(e.What.Name()) }

// What is the closed set of things that can happen.
type What interface {
	// Name is a stable word for logs, the journal and the golden table.
	Name() string
	what()
}

// Commands: somebody asked for them. All of them can be refused but those that
// narrow exposure.
type (
	// Open opens an appointment. Only Appointment comes from the caller; the
	// runner fills the rest from its options.
	Open struct {
		Appointment   PatientText // 1 to 128 of A-Z a-z 0-9 . _ -
		Peer          string      // random id, the kiosk's identity in the room
		AskConsent    bool
		Limits        Limits // zero fields take DefaultLimits
		ClockDoubtful bool   // the clock is not synchronised
	}
	// Permissions is the patient's answer to the permission request.
	Permissions struct{ Camera, Microphone Answer }
	// Mute sets (or with nil toggles) the mute. Muting narrows.
	Mute struct{ Set *bool }
	// DisableVideo sets (or with nil toggles) the video's absence. Disabling narrows.
	DisableVideo struct{ Set *bool }
	// SwapCamera selects the camera with this id; empty: the next usable one.
	SwapCamera struct{ Camera string }
	// Chat opens the chat, or with Close closes it.
	Chat struct{ Close bool }
	// ReportIssue opens the issue reporting flow, or with Close closes it.
	ReportIssue struct{ Close bool }
	// EndCall ends the session. It narrows.
	EndCall struct{}
)

// Facts about the kiosk.
type (
	// DeviceReport tells what the devices allow now. It answers the effect
	// CheckDevices and comes unasked at every change.
	DeviceReport struct {
		Camera, Microphone DeviceState
		Cameras            []string // ids of the usable ones, the preferred one first
		// CameraShut and MicrophoneShut: the device in use is closed by its shutter, or
		// muted by its own button. It gives a picture of nothing, or no sound.
		CameraShut, MicrophoneShut bool
		// Renamed are cameras that have got another id, old to new: one of the same serial
		// number was plugged in beside them.
		Renamed map[string]string
	}
	// NetworkChanged tells whether a link with an address and a route is there.
	// It has to come once at the start and then at every change.
	NetworkChanged struct{ Up bool }
	// Tick tells that time has passed; the runner sends it at World.Wake.
	Tick struct{}
	// Restarted is the first event after a start that found a session.
	Restarted struct{ ClockDoubtful bool }
	// ClockSet tells the true time (the Date of a backend's answer, or a clock
	// that got synchronised). It is ignored unless the clock was doubtful.
	ClockSet struct{ Now time.Time }
	// Shutdown tells that the daemon goes down: the room hears `away`.
	Shutdown struct{}
)

// Results of the backend and the room. Attempt is the number from the effect
// that asked; the result of another attempt is ignored.
type (
	// RoomLoaded is the good end of LoadRoom.
	RoomLoaded struct {
		Attempt int
		Title   PatientText
		Room    Room
		Limits  Limits // fields <= 0 keep what was there
		Patch   Patch  // what the screen says of controls and of its refresh; its Title is nil
	}
	// RoomFailed is the bad end of LoadRoom.
	RoomFailed struct {
		Attempt   int
		Code      string // e.g. unauthorized, room_unavailable, backend_unavailable
		Retryable bool
		Title     PatientText
	}
	// Joined is the good end of JoinRoom: the room took the kiosk in.
	Joined struct{ Attempt int }
	// JoinFailed is the bad end of JoinRoom, at once or after the provider gave
	// up getting back in.
	JoinFailed struct {
		Attempt   int
		Code      string // token_refused fetches a new token; empty: room_unavailable
		Retryable bool
	}
	// RoomLost tells that the room's signalling broke; the provider tries again.
	RoomLost struct{ Attempt int }
	// RoomBack tells that the signalling is whole again.
	RoomBack struct{ Attempt int }
	// PeerJoined tells that somebody is in the room.
	PeerJoined struct {
		Attempt     int
		Participant Participant // ID, Name, Role
	}
	// PeerLeft tells that somebody left, and how.
	PeerLeft struct {
		Attempt     int
		Participant string
		How         Leaving
	}
	// MediaArrived is the first RTP of a kind from a participant.
	MediaArrived struct {
		Attempt     int
		Participant string
		Kind        Kind
	}
	// MediaLost tells that nothing comes from a participant any more.
	MediaLost struct {
		Attempt     int
		Participant string
	}
	// MediaBack tells that media of a participant flows again.
	MediaBack struct {
		Attempt     int
		Participant string
	}
)

// Leaving is how somebody leaves a room.
type Leaving string

// The ways to leave.
const (
	Bye  Leaving = "bye"  // for good, or the room says so
	Away Leaving = "away" // will be back: a restart
	Lost Leaving = "lost" // without a word
)

// Kind is a kind of media.
type Kind string

// The kinds of media.
const (
	Audio Kind = "audio"
	Video Kind = "video"
)

func (Open) Name() string           { return "open" }
func (Permissions) Name() string    { return "permissions" }
func (Mute) Name() string           { return "mute" }
func (DisableVideo) Name() string   { return "disable-video" }
func (SwapCamera) Name() string     { return "swap-camera" }
func (Chat) Name() string           { return "chat" }
func (ReportIssue) Name() string    { return "report-issue" }
func (EndCall) Name() string        { return "end-call" }
func (DeviceReport) Name() string   { return "device-report" }
func (NetworkChanged) Name() string { return "network-changed" }
func (Tick) Name() string           { return "tick" }
func (Restarted) Name() string      { return "restarted" }
func (ClockSet) Name() string       { return "clock-set" }
func (Shutdown) Name() string       { return "shutdown" }
func (RoomLoaded) Name() string     { return "room-loaded" }
func (RoomFailed) Name() string     { return "room-failed" }
func (Joined) Name() string         { return "joined" }
func (JoinFailed) Name() string     { return "join-failed" }
func (RoomLost) Name() string       { return "room-lost" }
func (RoomBack) Name() string       { return "room-back" }
func (PeerJoined) Name() string     { return "peer-joined" }
func (PeerLeft) Name() string       { return "peer-left" }
func (MediaArrived) Name() string   { return "media-arrived" }
func (MediaLost) Name() string      { return "media-lost" }
func (MediaBack) Name() string      { return "media-back" }

func (Open) what()           {}
func (Permissions) what()    {}
func (Mute) what()           {}
func (DisableVideo) what()   {}
func (SwapCamera) what()     {}
func (Chat) what()           {}
func (ReportIssue) what()    {}
func (EndCall) what()        {}
func (DeviceReport) what()   {}
func (NetworkChanged) what() {}
func (Tick) what()           {}
func (Restarted) what()      {}
func (ClockSet) what()       {}
func (Shutdown) what()       {}
func (RoomLoaded) what()     {}
func (RoomFailed) what()     {}
func (Joined) what()         {}
func (JoinFailed) what()     {}
func (RoomLost) what()       {}
func (RoomBack) what()       {}
func (PeerJoined) what()     {}
func (PeerLeft) what()       {}
func (MediaArrived) what()   {}
func (MediaLost) what()      {}
func (MediaBack) what()      {}
