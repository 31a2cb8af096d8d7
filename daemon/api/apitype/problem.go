package apitype

import "net/http"

// Problem is an error answer (RFC 9457, application/problem+json). Code is
// stable and is what a program branches on; Detail is a sentence and Hint says
// what to do. Neither carries patient data.
type Problem struct {
	Type   string `json:"type"`   // "urn:kioskd:problem:<code>" (RFC 9457 section 3.1.1)
	Title  string `json:"title"`  // the status in words
	Status int    `json:"status"` // HTTP status code
	Code   string `json:"code"`
	Detail string `json:"detail,omitempty"`
	Hint   string `json:"hint,omitempty"`
}

// Codes of problems that the API itself makes. The session adds its own
// refusals (session_in_progress, no_session, camera_missing ...).
const (
	CodeBadRequest      = "bad_request"             // 400: malformed head or identifier
	CodeBadJSON         = "bad_json"                // 400: the body is not the JSON object the route takes
	CodeBadSDP          = "bad_sdp"                 // 400: the offer or the fragment cannot be used
	CodeForbidden       = "forbidden"               // 403: the role is too low
	CodeForbiddenOrigin = "forbidden_origin"        // 403: the request looks like a browser's
	CodeNotFound        = "not_found"               // 404: no such path, view or participant
	CodeMethod          = "method_not_allowed"      // 405
	CodeStaleView       = "stale_view"              // 412: If-Match names another ICE session
	CodeTooLarge        = "body_too_large"          // 413
	CodeMediaType       = "unsupported_media_type"  // 415
	CodeBadSettings     = "bad_settings"            // 422: the settings' file is refused, or cannot be read again
	CodeNoICERestart    = "ice_restart_unsupported" // 422: make a new view instead
	CodeInternal        = "internal"                // 500
	CodeTooMany         = "too_many_connections"    // 503
	CodeStopping        = "stopping"                // 503: the daemon is going down
	CodeSafeMode        = "safe_mode"               // 503: only what tells is answered, see the condition of that name
	CodeSlow            = "deadline_exceeded"       // 504: no answer in time
	CodeLagging         = "lagging"                 // in the event of that name

	CodeSessionActive  = "session_active"  // 409: a technician's tool while there is a session
	CodeDeviceUnknown  = "device_unknown"  // 404: no such device, or not of that kind
	CodeDeviceMissing  = "device_missing"  // 409: known, and not plugged in
	CodeDeviceInUse    = "device_in_use"   // 409: another technician's tool uses it
	CodeDeviceFailed   = "device_failed"   // 502: it is there and does not work
	CodeControlUnknown = "control_unknown" // 422
	CodeControlValue   = "bad_control"     // 422: off the control's range or step, or not to be set now
	CodeCheckRunning   = "check_running"   // 409: another check runs
	CodeRoleUnknown    = "role_unknown"    // 404
	CodeRoleKind       = "role_kind"       // 422: a camera as microphone, or the other way
)

// ProblemTypePrefix is put before the code in Problem.Type.
const ProblemTypePrefix = "urn:kioskd:problem:"

// NewProblem makes a problem with type and title filled in.
func NewProblem(status int, code, detail, hint string) *Problem {
	return &Problem{
		Type: ProblemTypePrefix + code, Title: http.StatusText(status),
		Status: status, Code: code, Detail: detail, Hint: hint,
	}
}

// Error makes a Problem an error: the sentence, then the hint.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	if p.Hint != "" {
		text += ": " + p.Hint
	}
	return text
}
