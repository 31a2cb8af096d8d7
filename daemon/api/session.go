package api

import (
	"net/http"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/convert"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/wire"
	"kioskd/daemon/session"
)

func (s *Server) getSession(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, s.sessionOf(s.hub.Current(), s.devices()))
	return nil
}

// sessionOf says what the API tells of a model.
func (s *Server) sessionOf(m session.Model, devices []apitype.Device) *apitype.Session {
	var quality map[string]float64
	if s.deps.Quality != nil && m.Running() {
		quality = s.deps.Quality()
	}
	out := convert.Session(m, s.deps.Session.Now(), devices, quality)
	if s.deps.Statistics != nil && m.Running() {
		out.Statistics = s.deps.Statistics()
	}
	return out
}

// putSession opens an appointment. The session says what an id may look like.
func (s *Server) putSession(w http.ResponseWriter, r *http.Request) error {
	const hint = `send {"appointment_id":"..."}`
	var req apitype.OpenRequest
	if err := readRequired(w, r, &req, hint); err != nil {
		return err
	}
	return s.command(w, r, session.Open{Appointment: session.PatientText(req.AppointmentID)})
}

// putPermissions takes the patient's answer. The session says what an answer is.
func (s *Server) putPermissions(w http.ResponseWriter, r *http.Request) error {
	const hint = `send {"camera":"granted","microphone":"granted"}, or denied or dismissed`
	var req apitype.PermissionsRequest
	if err := readRequired(w, r, &req, hint); err != nil {
		return err
	}
	return s.command(w, r, session.Permissions{Camera: session.Answer(req.Camera), Microphone: session.Answer(req.Microphone)})
}

func (s *Server) postMute(w http.ResponseWriter, r *http.Request) error {
	var req apitype.MuteRequest
	if _, err := wire.ReadJSON(w, r, &req, `send {"muted":true}, or an empty body to toggle`); err != nil {
		return err
	}
	return s.command(w, r, session.Mute{Set: req.Muted})
}

func (s *Server) postDisableVideo(w http.ResponseWriter, r *http.Request) error {
	var req apitype.DisableVideoRequest
	if _, err := wire.ReadJSON(w, r, &req, `send {"disabled":true}, or an empty body to toggle`); err != nil {
		return err
	}
	return s.command(w, r, session.DisableVideo{Set: req.Disabled})
}

// postSwapCamera takes the camera that the body names, or the next usable one.
func (s *Server) postSwapCamera(w http.ResponseWriter, r *http.Request) error {
	const hint = `send {"camera":"..."}, an id of GET /v1/devices, or an empty body for the next one`
	var req apitype.SwapCameraRequest
	if _, err := wire.ReadJSON(w, r, &req, hint); err != nil {
		return err
	}
	return s.command(w, r, session.SwapCamera{Camera: req.Camera})
}

func (s *Server) postEndCall(w http.ResponseWriter, r *http.Request) error {
	if _, err := wire.ReadJSON(w, r, nil, "leave the body out"); err != nil { // no body, or {}
		return err
	}
	return s.command(w, r, session.EndCall{})
}

// readRequired reads a body that may not be empty.
func readRequired(w http.ResponseWriter, r *http.Request, target any, hint string) error {
	present, err := wire.ReadJSON(w, r, target, hint)
	if err == nil && !present {
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadJSON, "cannot do this without a body: it is empty", hint)
	}
	return err
}

// command has the session do something and answers with the session after it.
func (s *Server) command(w http.ResponseWriter, r *http.Request, what session.What) error {
	result, err := s.do(r, what)
	if err != nil {
		return err
	}
	wire.WriteJSON(w, apitype.CommandAnswer{
		Durable: result.Durable,
		Session: s.sessionOf(result.Model, s.devices()),
	})
	return nil
}

// do has the session do something for whoever asks, once a key.
func (s *Server) do(r *http.Request, what session.What) (session.Result, error) {
	key, err := wire.IdempotencyKey(r)
	if err != nil {
		return session.Result{}, err
	}
	return s.deps.Session.Do(r.Context(), session.Event{By: peer.From(r.Context()).String(), What: what}, key)
}
