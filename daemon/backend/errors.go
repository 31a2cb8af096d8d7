package backend

import (
	"errors"
	"time"
)

// Codes of this package's errors: stable words for the session's `error` output
// and for the API's problems. A *StateError carries the backend's own code.
const (
	// CodeUnauthorized: the backend refused the kiosk's token (401), or there is
	// no token to send. Final: asking again with the same token is a loop.
	CodeUnauthorized = "unauthorized"
	// CodeRoomUnavailable: the screen came without a room.
	CodeRoomUnavailable = "room_unavailable"
	// CodeAppointmentUnknown: the backend knows no such appointment (404), or
	// the id cannot be one.
	CodeAppointmentUnknown = "appointment_unknown"
	// CodeBackendUnavailable: the backend answered late, wrongly or with 5xx.
	CodeBackendUnavailable = "backend_unavailable"
	// CodeNetworkUnavailable: no connection to the backend could be made.
	CodeNetworkUnavailable = "network_unavailable"
)

// Sentinels for errors.Is; every error of this package with the same code
// matches.
var (
	ErrUnauthorized       = errors.New("backend: unauthorized")
	ErrRoomUnavailable    = errors.New("backend: room unavailable")
	ErrAppointmentUnknown = errors.New("backend: appointment unknown")
	ErrUnavailable        = errors.New("backend: unavailable")
	ErrNetwork            = errors.New("backend: network unavailable")
)

// Error is what OpenRoom returns for every failure but a refusal by state. Its
// text holds no appointment, name, title or token.
type Error struct {
	// Code is one of the Code constants.
	Code string
	// Retryable is true where the same request may work later.
	Retryable bool
	// Status is the HTTP status of the answer, 0 where there was none.
	Status int
	// Title is the screen's title with CodeRoomUnavailable, to be shown to the
	// patient. It is not part of Error's text.
	Title string
	// Date is the answer's Date header, zero where there was none.
	Date time.Time

	text  string
	cause error
}

// Error says what could not be done and why.
func (e *Error) Error() string {
	if e.cause != nil {
		return e.text + ": " + e.cause.Error()
	}
	return e.text
}

// Unwrap gives the cause.
func (e *Error) Unwrap() error { return e.cause }

// Is matches the sentinel of the same code.
func (e *Error) Is(target error) bool {
	switch e.Code {
	case CodeUnauthorized:
		return target == ErrUnauthorized
	case CodeRoomUnavailable:
		return target == ErrRoomUnavailable
	case CodeAppointmentUnknown:
		return target == ErrAppointmentUnknown
	case CodeBackendUnavailable:
		return target == ErrUnavailable
	case CodeNetworkUnavailable:
		return target == ErrNetwork
	default:
		return false
	}
}

// StateError is the backend's 405: the appointment's state forbids the room.
type StateError struct {
	// Code is the `error` of the body, [a-z0-9_]{1,64}; "state_forbidden" where
	// the body names none.
	Code string
	// Date is the answer's Date header, zero where there was none.
	Date time.Time
}

// CodeStateForbidden is the code of a StateError whose body names none.
const CodeStateForbidden = "state_forbidden"

// Error names the code.
func (e *StateError) Error() string {
	return "cannot open the video room: the appointment's state forbids it (" + e.Code + ")"
}

// Code is the stable code of an error of OpenRoom; CodeBackendUnavailable for an
// error of another kind, "" for nil.
func Code(err error) string {
	var own *Error
	var state *StateError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &own):
		return own.Code
	case errors.As(err, &state):
		return state.Code
	default:
		return CodeBackendUnavailable
	}
}

// Retryable tells whether the same request may work later. A StateError is not:
// the appointment's state changes on the backend, not by asking.
func Retryable(err error) bool {
	var own *Error
	return errors.As(err, &own) && own.Retryable
}
