package apitype

// OpenRequest is the body of PUT /v1/session.
type OpenRequest struct {
	// AppointmentID is 1 to 128 of A-Z a-z 0-9 . _ - and not the dots alone.
	AppointmentID string `json:"appointment_id" max:"128" pattern:"^(?:[.]{3}|[.]{0,2}[A-Za-z0-9_-])[A-Za-z0-9._-]*$"`
}

// MuteRequest is the body of POST /v1/session/mute; an empty body toggles.
type MuteRequest struct {
	Muted *bool `json:"muted"`
}

// DisableVideoRequest is the body of POST /v1/session/disable-video; an empty
// body toggles.
type DisableVideoRequest struct {
	Disabled *bool `json:"disabled"`
}

// SwapCameraRequest is the body of POST /v1/session/swap-camera; an empty body
// takes the next usable camera.
type SwapCameraRequest struct {
	Camera string `json:"camera"` // as in Device.ID
}

// CommandAnswer is the answer of each command (PUT /v1/session and its
// permissions, mute, disable-video, swap-camera, chat, report-issue, end-call):
// the session after it.
type CommandAnswer struct {
	// Durable is false when the command acted but could not be written to
	// disk; only commands that narrow exposure are answered so.
	Durable bool     `json:"durable"`
	Session *Session `json:"session"`
}

// MessageRequest is the body of POST /v1/session/messages.
type MessageRequest struct {
	// Text is 1 to 2000 bytes of UTF-8 (openapi.json can only count characters),
	// not only space, without control characters but the line feed.
	Text string `json:"text" min:"1" max:"2000" pattern:"^[^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f][^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]*$"`
}

// ChatRequest is the body of POST /v1/session/chat; an empty body opens.
type ChatRequest struct {
	Open *bool `json:"open"`
}

// ReportRequest is the body of POST /v1/session/report-issue: {"text":"..."}
// hands a report in, an empty body opens the flow, {"open":false} closes it.
type ReportRequest struct {
	Text *string `json:"text" need:"no" min:"1" max:"2000" pattern:"^[^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]*[^\\s\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f][^\\x00-\\x09\\x0b-\\x1f\\x7f-\\x9f]*$"` // 1 to 2000 bytes, as in MessageRequest
	Open *bool   `json:"open" need:"no"`
}

// PermissionsRequest is the body of PUT /v1/session/permissions: "granted",
// "denied" or "dismissed" each; both are required.
type PermissionsRequest struct {
	Camera     string `json:"camera" enum:"granted,denied,dismissed"`
	Microphone string `json:"microphone" enum:"granted,denied,dismissed"`
}
