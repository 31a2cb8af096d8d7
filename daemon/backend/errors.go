package backend

import (
	"errors"
	"time"
)

// Codes of this package's errors: stable words for the session's `error` output
// and for the API's problems. A *StateError carries the backend's own code.
const (
	// CodeUnauthorized: the backend refused the kiosk's token (401), or there is
	// no token to send. Asking again with the same token is a loop.
	CodeUnauthorized = "unauthorized"
	// CodeRoomUnavailable: the screen came without a room.
	CodeRoomUnavailable = "room_unavailable"
	// CodeAppointmentUnknown: the backend knows no such appointment (404), or
	// the id cannot be one.
	CodeAppointmentUnknown = "appointment_unknown"
	// CodePrerequisiteMissing: the answer of a PATCH or a POST leads to another
	// screen (302); OpenRoom follows there, the others do not.
	CodePrerequisiteMissing = "prerequisite_missing"
	// CodeReportRefused: the backend will never take this report, or it cannot
	// be one.
	CodeReportRefused = "report_refused"
	// CodeBackendUnavailable: the backend answered late, wrongly or with 5xx.
	CodeBackendUnavailable = "backend_unavailable"
	// CodeNetworkUnavailable: no connection to the backend could be made.
	CodeNetworkUnavailable = "network_unavailable"
)

// CodeStateForbidden is the code of a StateError whose body names none.
const CodeStateForbidden = "state_forbidden"

// Sentinels for errors.Is; every *Error with the same code matches.
var (
	ErrUnauthorized        = errors.New("backend: unauthorized")
	ErrRoomUnavailable     = errors.New("backend: room unavailable")
	ErrAppointmentUnknown  = errors.New("backend: appointment unknown")
	ErrPrerequisiteMissing = errors.New("backend: prerequisite missing")
	ErrReportRefused       = errors.New("backend: report refused")
	ErrUnavailable         = errors.New("backend: unavailable")
	ErrNetwork             = errors.New("backend: network unavailable")
)

// Error is what this package returns for every failure but a refusal by state.
// Its text holds no appointment, name, title, address or token.
type Error struct {
	// Code is one of the Code constants.
	Code string
	// Retryable is true where the same request may work later.
	Retryable bool
	// AfterRenewal is true where the same request may work once the kiosk's
	// token is another one; Retryable is false then. What was to be sent is worth
	// keeping, but not worth asking for in a loop.
	AfterRenewal bool
	// RetryAfter is how long the backend asks to wait (RFC 9110, section
	// 10.2.3), at most 1 h; 0 where it does not say or Retryable is false.
	RetryAfter time.Duration
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

// GoString hides the title from %#v.
func (e *Error) GoString() string { return "backend.Error{" + e.Error() + "}" }

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
	case CodePrerequisiteMissing:
		return target == ErrPrerequisiteMissing
	case CodeReportRefused:
		return target == ErrReportRefused
	case CodeBackendUnavailable:
		return target == ErrUnavailable
	case CodeNetworkUnavailable:
		return target == ErrNetwork
	default:
		return false
	}
}

// StateError is the backend's 405: the appointment's state forbids what was
// asked for.
type StateError struct {
	// Code is the `error` of the body, [a-z][a-z0-9_]{0,63}; CodeStateForbidden
	// where the body names none.
	Code string
	// Patch is what changes on the screen, for the caller to apply; its Title is
	// for the patient to read. Empty where the body has none or a wrong one.
	Patch Patch
	// Date is the answer's Date header, zero where there was none.
	Date time.Time

	task string // "" is OpenRoom's
}

// Error names the code.
func (e *StateError) Error() string {
	return "cannot " + or(e.task, taskOpen) + ": the appointment's state forbids it (" + e.Code + ")"
}

// GoString hides the patch from %#v.
func (e *StateError) GoString() string { return "backend.StateError{" + e.Error() + "}" }

// Code is the stable code of an error of this package; CodeBackendUnavailable
// for an error of another kind, "" for nil.
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

// DateOf is the Date header of the answer that err tells of; zero: it had none, or
// there was no answer.
func DateOf(err error) time.Time {
	var own *Error
	var state *StateError
	switch {
	case errors.As(err, &own):
		return own.Date
	case errors.As(err, &state):
		return state.Date
	}
	return time.Time{}
}

// Retryable tells whether the same request may work later. A StateError is not:
// the appointment's state changes on the backend, not by asking.
func Retryable(err error) bool {
	var own *Error
	return errors.As(err, &own) && own.Retryable
}

// RetryAfter is how long the backend asks to wait before the same request, at
// most 1 h; 0 where it does not say.
func RetryAfter(err error) time.Duration {
	var own *Error
	if errors.As(err, &own) {
		return own.RetryAfter
	}
	return 0
}

// Permanent tells whether the same request will never work: not later, and not
// with another token. What was to be sent can be given up.
func Permanent(err error) bool {
	var own *Error
	var state *StateError
	switch {
	case errors.As(err, &own):
		return !own.Retryable && !own.AfterRenewal
	default:
		return errors.As(err, &state)
	}
}

// Title is what the answer behind the error wants the patient to read: the title
// of a screen without a room, or of a 405's patches; "" where it says nothing.
// Patient data.
func Title(err error) string {
	var own *Error
	var state *StateError
	switch {
	case errors.As(err, &own):
		return own.Title
	case errors.As(err, &state) && state.Patch.Title != nil:
		return *state.Patch.Title
	default:
		return ""
	}
}
