// Package apitype holds the JSON types of the control API: what the daemon
// answers on its Unix socket and what it accepts there. It owns the words of
// the contract (states, steps, output names, problem codes) and nothing else.
//
// The tags of a field are its contract too, and openapi.json is made of them:
// `enum` are the allowed words, `pattern`, `min` and `max` bound a text (ECMA-262
// regular expression, characters), a number or the members of a map. `need:"no"` and
// `need:"may"` let a request's field be missing; of a body that has only fields of the
// first kind exactly one is there.
//
// Anyone may import it: the API itself, its Go client, kioskctl, kioskscreen
// and tests. Imports: standard library only.
package apitype

import "time"

// Routes of the control API (HTTP/1.1 over the Unix socket). RouteReport,
// RouteView and RouteViewRemote take one more path element.
const (
	RouteStatus       = "/v1/status"
	RouteEvents       = "/v1/events"
	RouteSession      = "/v1/session"
	RouteMute         = "/v1/session/mute"
	RouteDisableVideo = "/v1/session/disable-video"
	RouteSwapCamera   = "/v1/session/swap-camera"
	RouteEndCall      = "/v1/session/end-call"
	RoutePermissions  = "/v1/session/permissions"
	RouteChat         = "/v1/session/chat"
	RouteMessages     = "/v1/session/messages"
	RouteReportIssue  = "/v1/session/report-issue"
	RouteReports      = "/v1/reports"
	RouteReport       = "/v1/reports/" // + report id
	RouteAudit        = "/v1/audit"
	RouteConfig       = "/v1/config"
	RouteReload       = "/v1/reload"
	RouteOpenAPI      = "/v1/openapi.json"
	RouteChecks       = "/v1/checks"
	RouteMetrics      = "/v1/metrics"
	RouteHealth       = "/v1/health"
	RouteDevices      = "/v1/devices"
	RouteDevice       = "/v1/devices/"       // + device id + "/controls", "/snapshot", "/level" or "/tone"
	RouteRole         = "/v1/devices/roles/" // + role
	RouteViewSelf     = "/v1/views/self"
	RouteViewRemote   = "/v1/views/remote/" // + participant id
	RouteView         = "/v1/views/"        // + view id
)

// Media types of requests and answers.
const (
	TypeJSON        = "application/json"
	TypeProblem     = "application/problem+json"        // RFC 9457
	TypeEventStream = "text/event-stream"               // WHATWG HTML, server-sent events
	TypeSDP         = "application/sdp"                 // RFC 8866
	TypeSDPFragment = "application/trickle-ice-sdpfrag" // RFC 8840
	TypeJPEG        = "image/jpeg"
	TypeMetrics     = "text/plain; version=0.0.4; charset=utf-8" // Prometheus, exposition formats
)

// IdempotencyHeader names the request header whose value makes a repeated
// command act once (kept 10 minutes by the daemon).
const IdempotencyHeader = "Idempotency-Key"

// The session's states, to the letter of the screen's contract. No session is
// a null Session, not a state.
const (
	StateWaitingPermissions = "waiting_permissions"
	StateWaiting            = "waiting"
	StateActive             = "active"
	StateReconnecting       = "reconnecting"
	StateEnded              = "ended"
	StateTimeout            = "timeout"
	StateError              = "error"
)

// Steps of the state waiting.
const (
	StepLoading     = "loading"     // the backend is asked for the room
	StepJoining     = "joining"     // the room is being joined
	StepParticipant = "participant" // nobody else sends media yet
)

// Version says which daemon answers.
type Version struct {
	Version string `json:"version"`          // "0.1.0", "devel"
	Commit  string `json:"commit,omitempty"` // abbreviated, where known
}

// Status is the answer of GET /v1/status and the data of the events snapshot
// and change.
type Status struct {
	Session    *Session    `json:"session"` // null: no session
	Devices    []Device    `json:"devices"`
	Conditions []Condition `json:"conditions"`
	// Technician is set while a technician uses a device; the screen says so.
	Technician *Technician `json:"technician,omitempty"`
	// Language is that of the daemon's texts ([screen] language), and of a screen that
	// was told no other: en, de, es.
	Language string  `json:"language,omitempty"`
	Version  Version `json:"version"`
}

// Session is the answer of GET /v1/session (null where there is none) and part
// of Status and of the answer to each command.
type Session struct {
	AppointmentID string `json:"appointment_id,omitempty"` // gone after the end
	State         string `json:"state" enum:"waiting_permissions,waiting,active,reconnecting,ended,timeout,error"`
	Step          string `json:"step,omitempty" enum:"loading,joining,participant"` // only in waiting
	Title         string `json:"title,omitempty"`                                   // the backend's words, shown to the patient
	Error         *Error `json:"error,omitempty"`                                   // in state error, or why it ended
	// TimerSeconds counts from the first active, in whole seconds. It stands
	// still before and after. While State is active or reconnecting a client
	// counts on by itself from the moment it read this.
	TimerSeconds int           `json:"timer_seconds"`
	TimerRunning bool          `json:"timer_running"`
	OpenedAt     *time.Time    `json:"opened_at,omitempty"`  // wall clock, UTC
	StartedAt    *time.Time    `json:"started_at,omitempty"` // first active; absent before
	EndedAt      *time.Time    `json:"ended_at,omitempty"`
	Limits       Limits        `json:"limits"`
	Participants []Participant `json:"participants"` // never null; the kiosk itself is not in it
	Audio        Audio         `json:"audio"`
	Video        Video         `json:"video"`
	Camera       Camera        `json:"camera"`
	Chat         Chat          `json:"chat"`
	Report       IssueReport   `json:"report"`
	Consent      Consent       `json:"consent"`
	// Quality holds figures of the call by name, such as "rtt_ms",
	// "loss_percent", "sent_kbps", "received_kbps", "frames_sent". Empty
	// where nothing is measured. Figures may come and go.
	Quality map[string]float64 `json:"quality"`
	// Statistics are the same in full; nil where no call runs.
	Statistics *Statistics `json:"statistics,omitempty"`
	Controls   []Control   `json:"controls"` // in the screen's order
}

// Final tells whether the session is over: it becomes null soon and no
// command acts on it any more.
func (s *Session) Final() bool {
	return s != nil && (s.State == StateEnded || s.State == StateTimeout ||
		(s.State == StateError && s.Error != nil && !s.Error.Retryable))
}

// Error says why a session is in the state error, or what ended it.
type Error struct {
	Code      string `json:"code"`              // "network_unavailable", stable
	Retryable bool   `json:"retryable"`         // true: the appointment is kept and retried
	Message   string `json:"message,omitempty"` // one sentence for people
	Title     string `json:"title,omitempty"`   // the backend's own words, where it gave some
}

// Limits are the session's time limits in seconds; 0 means not known yet.
type Limits struct {
	WaitSeconds      int `json:"wait_seconds"`
	SessionSeconds   int `json:"session_seconds"`
	ReconnectSeconds int `json:"reconnect_seconds"`
}

// Participant is somebody else in the room.
type Participant struct {
	ID    string `json:"id"` // as in RouteViewRemote
	Name  string `json:"name,omitempty"`
	Role  string `json:"role,omitempty"` // "clinician"
	Audio bool   `json:"audio"`          // media of that kind has arrived
	Video bool   `json:"video"`
	// Presence is "here", "silent" (in the room, but no media comes) or "gone"
	// (lost, or away for a moment, without a bye).
	Presence string `json:"presence" enum:"here,silent,gone"`
}

// Audio is the patient's choice about the microphone.
type Audio struct {
	Muted bool `json:"muted"`
	// Hardware: the microphone is muted by its own button. It only ever takes away; the
	// choice stays what it is.
	Hardware bool `json:"hardware,omitempty"`
}

// Video is the patient's choice about the camera.
type Video struct {
	Disabled bool `json:"disabled"`
	// Hardware: the camera's privacy shutter is closed.
	Hardware bool `json:"hardware,omitempty"`
}

// Camera is the camera in use. Supported tells whether it can be swapped.
type Camera struct {
	ID        string `json:"id,omitempty"`   // as in Device.ID
	Name      string `json:"name,omitempty"` // as in Device.Name
	Supported bool   `json:"supported"`
}

// Control is one entry of the screen, as the backend's document lists it.
type Control struct {
	Level     int    `json:"level"`
	Reference string `json:"reference"` // "mute", "disable-video", "end-call" ...
	Type      string `json:"type" enum:"Button,Link,Spacer"`
	Value     string `json:"value"`     // the label; it changes when toggled
	Placement string `json:"placement"` // "~" or empty
	Visible   bool   `json:"visible"`
	Enabled   bool   `json:"enabled"`
}

// Kinds of Device.
const (
	KindCamera     = "camera"
	KindMicrophone = "microphone"
	KindSpeaker    = "speaker"
)

// States of a Device. Each but DeviceOK comes with a sentence and a hint.
const (
	DeviceOK           = "ok"
	DeviceMissing      = "missing"       // bound to a role, or configured, and not plugged in
	DeviceNoPermission = "no_permission" // EACCES: a group or a udev rule is missing
	DeviceBusy         = "busy"          // another program uses it
	DeviceShuttered    = "shuttered"     // privacy shutter closed, or muted by its own button
	DeviceHung         = "hung"          // it is there and answers no more
	DeviceNoBandwidth  = "no_bandwidth"  // the USB bus has no room for its stream (ENOSPC)
	DeviceError        = "error"
)

// Roles a device can be bound to. A camera can be face, document or exam.
const (
	RoleFace       = "face"
	RoleDocument   = "document"
	RoleExam       = "exam"
	RoleMicrophone = "microphone"
	RoleSpeaker    = "speaker"
)

// Device is one camera, microphone or speaker of the kiosk.
type Device struct {
	// ID names it for good: by product and serial number, by its port where it has
	// none or shares it with another. It outlives plugs, restarts and renumbering.
	ID      string   `json:"id"`
	Kind    string   `json:"kind" enum:"camera,microphone,speaker"`
	Name    string   `json:"name"`
	Where   string   `json:"where,omitempty"` // where it is plugged in: "USB port 1-2.4"
	Path    string   `json:"path,omitempty"`  // what it is called now: "/dev/video0", "plughw:CARD=C920,DEV=0"
	Present bool     `json:"present"`
	InUse   bool     `json:"in_use"`                                            // we hold it open right now
	UsedBy  string   `json:"used_by,omitempty" enum:"session,technician,check"` // for whom
	State   string   `json:"state,omitempty" enum:"ok,missing,no_permission,busy,shuttered,hung,no_bandwidth,error"`
	Message string   `json:"message,omitempty"` // where State is not ok: one sentence
	Hint    string   `json:"hint,omitempty"`    // and what to do
	Formats []string `json:"formats,omitempty"` // "MJPG 1280x720@30"
	Role    string   `json:"role,omitempty" enum:"face,document,exam,microphone,speaker"`
	// Controls are a camera's that can be set here, as the last look found them.
	Controls []DeviceControl `json:"controls,omitempty"`
}

// DeviceControl is one V4L2 control of a camera.
type DeviceControl struct {
	Name    string `json:"name"`  // as v4l2-ctl spells it: "exposure_time_absolute"
	Label   string `json:"label"` // the driver's words: "Exposure Time, Absolute"
	Type    string `json:"type" enum:"integer,boolean,menu"`
	Min     int32  `json:"min"`
	Max     int32  `json:"max"`
	Step    int32  `json:"step"`
	Default int32  `json:"default"`
	Value   int32  `json:"value"`
	// Menu names the values of a menu that can be set.
	Menu []MenuEntry `json:"menu,omitempty"`
	// Enabled is false while another control rules it out, such as the exposure time
	// while exposure is automatic.
	Enabled bool `json:"enabled"`
	// Kept: Value was set through this API and is set again whenever the camera comes.
	Kept bool `json:"kept,omitempty"`
}

// MenuEntry is one choice of a menu control.
type MenuEntry struct {
	Value int32  `json:"value"`
	Name  string `json:"name"`
}

// Devices is the answer of GET /v1/devices and of PUT /v1/devices/roles/{role}.
type Devices struct {
	Devices []Device `json:"devices"` // never null
}

// RoleRequest is the body of PUT /v1/devices/roles/{role}.
type RoleRequest struct {
	// Device is the id to bind, as in Device.ID; empty takes the binding away.
	Device string `json:"device" max:"128" pattern:"^[A-Za-z0-9._-]*$"`
}

// ControlsRequest is the body of PUT /v1/devices/{id}/controls: values by name, all
// of which are set and kept, or none.
type ControlsRequest struct {
	Controls map[string]int32 `json:"controls" min:"1" max:"32"`
}

// DeviceControls is the answer of PUT /v1/devices/{id}/controls.
type DeviceControls struct {
	Controls []DeviceControl `json:"controls"` // never null; all of the camera's
}

// ToneRequest is the body of POST /v1/devices/{id}/tone; an empty body plays 440 Hz for
// two seconds.
type ToneRequest struct {
	Hertz   int `json:"hertz" need:"may" min:"50" max:"8000"` // left out: 440
	Seconds int `json:"seconds" need:"may" min:"1" max:"10"`  // left out: 2
}

// Level is the data of the event level of GET /v1/devices/{id}/level, ten times a second.
type Level struct {
	Peak float64   `json:"peak"` // the loudest sample of the last 100 ms, 0 to 1
	RMS  float64   `json:"rms"`  // 0 to 1; a full-scale sine has 0.707
	At   time.Time `json:"at"`
}

// Names of the events of GET /v1/devices/{id}/level.
const (
	EventLevel = "level"
	// EventEnded is the last one, where it is not the client that hangs up; its data is a
	// Problem: session_active, device_failed, stopping.
	EventEnded = "ended"
)

// Technician says that a device is used by a technician right now, for the screen.
type Technician struct {
	Device string    `json:"device"` // its id
	Kind   string    `json:"kind" enum:"camera,microphone,speaker"`
	What   string    `json:"what" enum:"snapshot,level,tone"`
	Since  time.Time `json:"since"` // UTC
}

// Severities of a Condition, from bad to mild.
const (
	SeverityError   = "error"   // the call suffers or cannot be made
	SeverityWarning = "warning" // somebody should look at it
	SeverityInfo    = "info"
)

// Condition is something that is wrong right now and lasts until its cause
// goes. It carries no patient data.
type Condition struct {
	Code     string    `json:"code"`  // "camera_missing", stable
	Since    time.Time `json:"since"` // UTC
	Severity string    `json:"severity" enum:"error,warning,info"`
	Message  string    `json:"message"`
	Hint     string    `json:"hint,omitempty"` // what to do
}

// Health is the answer of GET /v1/health.
type Health struct {
	OK         bool        `json:"ok"` // no condition of severity error
	Conditions []Condition `json:"conditions"`
}
