package api

import (
	"net/http"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/session"
)

func (s *Server) getSession(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, s.sessionOf(s.hub.Current(), time.Now(), s.devices()))
	return nil
}

// putSession opens an appointment. The session says what an id may look like.
func (s *Server) putSession(w http.ResponseWriter, r *http.Request) error {
	const hint = `send {"appointment_id":"..."}`
	var req apitype.OpenRequest
	present, err := readJSON(w, r, map[string]any{"appointment_id": &req.AppointmentID})
	if err == nil && !present {
		err = badJSON("cannot open an appointment without its id: the body is empty")
	}
	if err != nil {
		return withHint(err, hint)
	}
	return s.command(w, r, session.Open{Appointment: session.PatientText(req.AppointmentID)})
}

func (s *Server) postMute(w http.ResponseWriter, r *http.Request) error {
	set, err := readToggle(w, r, "muted")
	if err != nil {
		return err
	}
	return s.command(w, r, session.Mute{Set: set})
}

func (s *Server) postDisableVideo(w http.ResponseWriter, r *http.Request) error {
	set, err := readToggle(w, r, "disabled")
	if err != nil {
		return err
	}
	return s.command(w, r, session.DisableVideo{Set: set})
}

// postSwapCamera takes the camera that the body names, or the next usable one.
func (s *Server) postSwapCamera(w http.ResponseWriter, r *http.Request) error {
	var camera string
	if _, err := readJSON(w, r, map[string]any{"camera": &camera}); err != nil {
		return withHint(err, `send {"camera":"..."}, an id of GET /v1/devices, or an empty body for the next one`)
	}
	return s.command(w, r, session.SwapCamera{Camera: camera})
}

func (s *Server) postEndCall(w http.ResponseWriter, r *http.Request) error {
	if _, err := readJSON(w, r, nil); err != nil { // no body, or {}
		return withHint(err, "leave the body out")
	}
	return s.command(w, r, session.EndCall{})
}

// readToggle reads a body with one boolean; an empty body is nil: toggle.
func readToggle(w http.ResponseWriter, r *http.Request, field string) (*bool, error) {
	var set bool
	present, err := readJSON(w, r, map[string]any{field: &set})
	if err != nil {
		return nil, withHint(err, `send {"`+field+`":true}, or an empty body to toggle`)
	}
	if !present {
		return nil, nil
	}
	return &set, nil
}

// command has the session do something and answers with the session after it.
func (s *Server) command(w http.ResponseWriter, r *http.Request, what session.What) error {
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	result, err := s.deps.Session.Do(r.Context(), session.Event{By: peer.From(r.Context()).String(), What: what}, key)
	if err != nil {
		return err
	}
	writeJSON(w, apitype.CommandAnswer{
		Durable: result.Durable,
		Session: s.sessionOf(result.Model, time.Now(), s.devices()),
	})
	return nil
}

// idempotencyKey reads the header: at most one, 1 to 128 visible ASCII
// characters (draft-ietf-httpapi-idempotency-key-header).
func idempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values(apitype.IdempotencyHeader)
	if len(values) == 0 {
		return "", nil
	}
	ok := len(values) == 1 && len(values[0]) >= 1 && len(values[0]) <= 128
	for _, c := range []byte(values[0]) {
		ok = ok && c > ' ' && c < 0x7f
	}
	if !ok {
		return "", apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadRequest,
			"cannot use this "+apitype.IdempotencyHeader, "send one of 1 to 128 visible ASCII characters")
	}
	return values[0], nil
}
