package backend

import (
	"fmt"
	"log/slog"

	"kioskd/daemon/backend/screen"
)

// Grant is the value of X-Camera and X-Microphone (published API, "permissions"):
// what the kiosk knows about one device and the patient's consent.
type Grant string

// The three grants the published API knows.
const (
	Granted Grant = "Granted"
	Denied  Grant = "Denied"
	Query   Grant = "Query"
)

// OpenRequest asks for the video room of one appointment.
type OpenRequest struct {
	// AppointmentID is 1 to 128 characters of [A-Za-z0-9._~-], not "." or "..".
	// It is patient data.
	AppointmentID string
	// Camera and Microphone default to Query when empty.
	Camera, Microphone Grant
}

// String hides the appointment.
func (r OpenRequest) String() string {
	return fmt.Sprintf("OpenRequest{AppointmentID:[redacted] Camera:%s Microphone:%s}", r.Camera, r.Microphone)
}

// GoString hides the appointment from %#v.
func (r OpenRequest) GoString() string { return r.String() }

// LogValue hides the appointment.
func (r OpenRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }

// RefreshRequest asks for what has changed on the screen.
type RefreshRequest struct {
	// URL is the Update of the newest Patch or Screen. It holds the appointment:
	// patient data.
	URL string
	// Camera and Microphone default to Query when empty.
	Camera, Microphone Grant
}

// String hides the address.
func (r RefreshRequest) String() string {
	return fmt.Sprintf("RefreshRequest{URL:[redacted] Camera:%s Microphone:%s}", r.Camera, r.Microphone)
}

// GoString hides the same from %#v.
func (r RefreshRequest) GoString() string { return r.String() }

// LogValue hides the same from log/slog.
func (r RefreshRequest) LogValue() slog.Value { return slog.StringValue(r.String()) }

// ReportPost is one issue report. It is patient data but for its ID.
type ReportPost struct {
	// AppointmentID is as in OpenRequest.
	AppointmentID string
	// ID is the report's own, random id, 1 to 64 of [A-Za-z0-9._-]. The backend
	// stores a repeated one once.
	ID string
	// Text is what the patient wrote, 1 to 2000 bytes of UTF-8.
	Text string
	// Bundle is a JSON document of 1 byte to 192 KiB.
	Bundle []byte
}

// String shows the id and sizes only.
func (r ReportPost) String() string {
	return fmt.Sprintf("ReportPost{ID:%q Text:%d bytes Bundle:%d bytes}", r.ID, len(r.Text), len(r.Bundle))
}

// GoString hides the same from %#v.
func (r ReportPost) GoString() string { return r.String() }

// LogValue hides the same from log/slog.
func (r ReportPost) LogValue() slog.Value { return slog.StringValue(r.String()) }

// What the backend's documents hold is read by package screen; these are its
// types under the names that callers of this package use.
type (
	// Screen is the part of the screen document that the kiosk uses; OpenRoom
	// returns one with a Room only.
	Screen = screen.Screen
	// Room is how to join the appointment's room.
	Room = screen.Room
	// ICEServer is one STUN or TURN server.
	ICEServer = screen.ICEServer
	// Participant is the other side of the call.
	Participant = screen.Participant
	// Patch is what the backend changes of its screen.
	Patch = screen.Patch
	// ControlPatch changes one control.
	ControlPatch = screen.ControlPatch
)
