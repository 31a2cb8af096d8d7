package api

import (
	"net/http"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/stream"
	"kioskd/daemon/api/wire"
)

// toneTimeout is how long the answer to the longest tone may take.
const toneTimeout = 20 * time.Second

// devices lists the devices; never nil, so that JSON has an array.
func (s *Server) devices() []apitype.Device {
	if d := s.deps.Devices(); d != nil {
		return d
	}
	return []apitype.Device{}
}

func (s *Server) getDevices(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, apitype.Devices{Devices: s.devices()})
	return nil
}

// putRole binds a device to a role.
func (s *Server) putRole(w http.ResponseWriter, r *http.Request) error {
	const hint = `send {"device":"..."}, an id of GET /v1/devices, or an empty one to take the binding away`
	var req apitype.RoleRequest
	if err := readRequired(w, r, &req, hint); err != nil {
		return err
	}
	if req.Device != "" && !identifier(req.Device) {
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadJSON, "cannot use this device: that is no device's id", hint)
	}
	if err := s.deps.Tools.SetRole(r.PathValue("role"), req.Device, peer.From(r.Context()).String()); err != nil {
		return err
	}
	wire.WriteJSON(w, apitype.Devices{Devices: s.devices()})
	return nil
}

// putControls sets controls of a camera.
func (s *Server) putControls(w http.ResponseWriter, r *http.Request) error {
	var req apitype.ControlsRequest
	if err := readRequired(w, r, &req, `send {"controls":{"zoom_absolute":100}}, 1 to 32 whole numbers by name`); err != nil {
		return err
	}
	controls, err := s.deps.Tools.SetControls(r.Context(), r.PathValue("id"), req.Controls, peer.From(r.Context()).String())
	if err != nil {
		return err
	}
	if controls == nil {
		controls = []apitype.DeviceControl{}
	}
	wire.WriteJSON(w, apitype.DeviceControls{Controls: controls})
	return nil
}

// getSnapshot takes one picture.
func (s *Server) getSnapshot(w http.ResponseWriter, r *http.Request) error {
	picture, err := s.deps.Tools.Snapshot(r.Context(), r.PathValue("id"), peer.From(r.Context()).String())
	if err != nil {
		return err
	}
	wire.WriteAs(w, apitype.TypeJPEG, picture)
	return nil
}

// getLevel tells a microphone's level until the caller hangs up, or there is a reason to
// end, which is the last event.
func (s *Server) getLevel(w http.ResponseWriter, r *http.Request) error {
	out := stream.NewPlain(w)
	err := s.deps.Tools.Level(r.Context(), r.PathValue("id"), peer.From(r.Context()).String(), func(l apitype.Level) error {
		return out.Event(apitype.EventLevel, l)
	})
	if err == nil || !out.Begun() {
		return err
	}
	_ = out.Event(apitype.EventEnded, wire.ProblemOf(err)) // it may be gone: there is nobody to tell
	return nil
}

// postTone plays a tone and answers when it is over.
func (s *Server) postTone(w http.ResponseWriter, r *http.Request) error {
	var req apitype.ToneRequest
	if _, err := wire.ReadJSON(w, r, &req, `send {"hertz":440,"seconds":2}: 50 to 8000 Hz, 1 to 10 s; or an empty body`); err != nil {
		return err
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(toneTimeout))
	if err := s.deps.Tools.Tone(r.Context(), r.PathValue("id"), req, peer.From(r.Context()).String()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
