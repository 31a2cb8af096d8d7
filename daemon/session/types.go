package session

import (
	"fmt"
	"log/slog"
	"time"
)

// Version is the number in Model.Version that this code writes and reads.
const Version = 1

// ForgetAfter is how long a finished session is shown before it becomes null.
const ForgetAfter = 60 * time.Second

// MaxParticipants bounds the list: a room that announces more is ignored, so
// that a hostile room cannot make the model, and with it every commit, grow.
const MaxParticipants = 8

// State is a session's state; the words are the contract of the screen.
type State string

// The seven states, and None: there is no session ("session": null).
const (
	None               State = ""
	WaitingPermissions State = "waiting_permissions"
	Waiting            State = "waiting"
	Active             State = "active"
	Reconnecting       State = "reconnecting"
	Ended              State = "ended"
	Timeout            State = "timeout"
	Error              State = "error"
)

// Phase says how far a session in state `waiting` has come ("step" in JSON).
type Phase string

// The phases of `waiting`, in their order.
const (
	Loading           Phase = "loading"     // devices, network and the backend's PUT
	Joining           Phase = "joining"     // the room
	AwaitsParticipant Phase = "participant" // the other side's first media
)

// Error codes that the session itself gives. RoomFailed and JoinFailed bring
// their own, e.g. unauthorized, appointment_unknown or backend_unavailable.
const (
	CodeCameraPermission     = "camera_permission_required"
	CodeMicrophonePermission = "microphone_permission_required"
	CodeNetwork              = "network_unavailable"
	CodeRoom                 = "room_unavailable"
	CodeBackend              = "backend_unavailable"
	CodeUnauthorized         = "unauthorized"
	// CodeTokenRefused in JoinFailed means: fetch a new token by the PUT. It is
	// never shown as a session's error.
	CodeTokenRefused = "token_refused"
)

// PatientText is text that names or belongs to a patient: an appointment's id,
// a name, a title, a room's token. Every way of printing it gives [redacted];
// only JSON (the control API, the sealed store) carries it.
type PatientText string

const redacted = "[redacted]"

// String hides the text.
func (PatientText) String() string { return redacted }

// GoString hides the text from %#v.
func (PatientText) GoString() string { return redacted }

// Format hides the text from every verb of fmt, %q, %x and %d included.
func (PatientText) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(redacted)) }

// LogValue hides the text from log/slog.
func (PatientText) LogValue() slog.Value { return slog.StringValue(redacted) }

// Plain returns the text itself, for the wire and for nothing else.
func (p PatientText) Plain() string { return string(p) }

// Answer is the patient's answer to the permission request.
type Answer string

// The answers; Unanswered is the zero value.
const (
	Unanswered Answer = ""
	Granted    Answer = "granted"
	Denied     Answer = "denied"
	Dismissed  Answer = "dismissed"
)

// Consent is the patient's consent for this appointment. Where the
// configuration does not ask (Asked false), an unanswered one blocks nothing.
type Consent struct {
	Asked      bool   `json:"asked"`
	Camera     Answer `json:"camera,omitempty"`
	Microphone Answer `json:"microphone,omitempty"`
}

// DeviceState is what a kind of device allows at the moment.
type DeviceState string

// The states of a kind of device; DeviceUnknown is the zero value.
const (
	DeviceUnknown      DeviceState = ""
	DeviceOK           DeviceState = "ok"
	DeviceMissing      DeviceState = "missing"       // none is plugged in
	DeviceNoPermission DeviceState = "no_permission" // open gives EACCES or EPERM
	DeviceShuttered    DeviceState = "shuttered"     // privacy shutter or hardware mute
)

// Link is what is known of the kiosk's network.
type Link string

// The states of the link; LinkUnknown is the zero value.
const (
	LinkUnknown Link = ""
	LinkUp      Link = "up" // a link with an address and a route
	LinkDown    Link = "down"
)

// Facts are what is known of the world outside the session. They are not
// stored: after a restart they are asked again.
type Facts struct {
	Network    Link
	Camera     DeviceState
	Microphone DeviceState
	Cameras    []string // ids of the usable cameras, the preferred one first
	// CameraShut and MicrophoneShut: the hardware of the device in use takes away what
	// it gives, see DeviceReport.
	CameraShut, MicrophoneShut bool
}

// Camera is the patient's choice of camera.
type Camera struct {
	ID string `json:"id,omitempty"` // stable id of the device; empty: none was ever there
}

// Presence says how a participant is reached.
type Presence string

// The presences; Here is the zero value.
const (
	Here   Presence = ""
	Silent Presence = "silent" // in the room, but its media stopped
	Gone   Presence = "gone"   // lost, or away, without a bye
)

// Participant is somebody else in the room.
type Participant struct {
	ID       string      `json:"id"`
	Name     PatientText `json:"name,omitempty"`
	Role     string      `json:"role,omitempty"`
	Audio    bool        `json:"audio"` // RTP of this kind has arrived
	Video    bool        `json:"video"`
	Presence Presence    `json:"presence,omitempty"`
	// GivenUp: silent for so long that the reconnection was given up. The room
	// still names it, and its media is welcome when it comes.
	GivenUp bool `json:"given_up,omitempty"`
}

// Live says whether media of the participant flows.
func (p Participant) Live() bool { return p.Presence == Here && (p.Audio || p.Video) }

// ICEServer is one entry of the room's ice_servers (W3C WebRTC, RTCIceServer).
type ICEServer struct {
	URLs       []string    `json:"urls"`
	Username   PatientText `json:"username,omitempty"`
	Credential PatientText `json:"credential,omitempty"`
}

// Room is where the appointment meets, as the backend's PUT described it.
type Room struct {
	Provider    string      `json:"provider"`
	URL         PatientText `json:"url"` // may carry the appointment's id
	Token       PatientText `json:"token"`
	Expires     time.Time   `json:"expires,omitzero"` // zero: never
	ICEServers  []ICEServer `json:"ice_servers,omitempty"`
	Participant Participant `json:"participant"` // who is expected; its ID is empty
	Chat        bool        `json:"chat"`
	ReportIssue bool        `json:"report_issue"`
}

// LogValue keeps tokens and names out of logs.
func (r Room) LogValue() slog.Value { return slog.StringValue("room of provider " + r.Provider) }

// Limits bound a session. How they are counted stands in limits.go; a value
// <= 0 in a RoomLoaded keeps the one from Open, one over MaxLimit is cut to it.
type Limits struct {
	Wait      time.Duration `json:"wait"`
	Session   time.Duration `json:"session"`
	Reconnect time.Duration `json:"reconnect"`
}

// MaxLimit is the longest limit that is believed.
const MaxLimit = 24 * time.Hour

// valid says whether every limit is one.
func (l Limits) valid() bool {
	for _, d := range []time.Duration{l.Wait, l.Session, l.Reconnect} {
		if d <= 0 || d > MaxLimit {
			return false
		}
	}
	return true
}

// or takes the fields that are set, and base's for the others.
func (l Limits) or(base Limits) Limits {
	pick := func(d, base time.Duration) time.Duration {
		if d <= 0 {
			return base
		}
		return min(d, MaxLimit)
	}
	return Limits{pick(l.Wait, base.Wait), pick(l.Session, base.Session), pick(l.Reconnect, base.Reconnect)}
}

// DefaultLimits are used where Open brings none.
func DefaultLimits() Limits {
	return Limits{Wait: 15 * time.Minute, Session: 30 * time.Minute, Reconnect: 2 * time.Minute}
}

// Failure is why a session is in state `error`. A retryable one keeps the
// appointment and goes by itself when its cause goes; another is final.
type Failure struct {
	Code      string      `json:"code,omitempty"`
	Retryable bool        `json:"retryable,omitempty"`
	Title     PatientText `json:"title,omitempty"` // the backend's own words, if any
}

// Output is one word of the contract on the event stream, as JSON
// {"audio":"updated"}.
type Output struct {
	Key   string
	Value string
}

// MarshalJSON gives the one-member object.
func (o Output) MarshalJSON() ([]byte, error) {
	return fmt.Appendf(nil, "{%q:%q}", o.Key, o.Value), nil
}

// String gives key=value.
func (o Output) String() string { return o.Key + "=" + o.Value }

// Refusal is a command that was not done: a stable code, a sentence and a hint.
type Refusal struct {
	Code    string
	Message string // starts with "cannot"
	Hint    string
}

// Error is the sentence.
func (r *Refusal) Error() string { return r.Message }

// Codes of refusals.
const (
	CodeSessionInProgress = "session_in_progress"
	CodeNoSession         = "no_session"
	CodeSessionOver       = "session_over"
	CodeBadAppointment    = "bad_appointment_id"
	CodeBadAnswer         = "bad_answer"
	CodeCameraMissing     = "camera_missing"
	CodeMicrophoneMissing = "microphone_missing"
	CodeCameraUnsupported = "camera_unsupported"
	CodeCameraUnknown     = "camera_unknown"
	CodeChatUnsupported   = "chat_unsupported"
	CodeIssueUnsupported  = "report_issue_unsupported"
	CodeIssueRequired     = "issue_required"
	CodeMessageBad        = "bad_message"
	CodeChatFull          = "chat_full"
	CodeOutboxFull        = "outbox_full"       // given by the runner
	CodeStore             = "store_unavailable" // given by the runner
	CodeStoreFull         = "store_full"        // given by the runner
	CodeBusy              = "busy"              // given by the runner
	CodeStopping          = "stopping"          // given by the runner
	CodeKeyReused         = "idempotency_key_reused"
)

// Result is the answer to a command that was done.
type Result struct {
	Model   Model
	Durable bool // it would survive a power cut
	Changed bool // false: it was so already, or the key was seen before
}

// Snapshot is what watchers get after each change.
type Snapshot struct {
	Model   Model
	Outputs []Output
	Seq     uint64 // 1, 2, 3 ... since the runner's start
	Durable bool   // false: the store did not take it; a condition should say so
}
