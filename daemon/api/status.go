package api

import (
	"net/http"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
	"kioskd/daemon/session"
)

// statusOf builds the whole status for a model.
func (s *Server) statusOf(m session.Model) apitype.Status {
	devices := s.devices()
	return apitype.Status{
		Session: s.sessionOf(m, devices), Devices: devices,
		Conditions: s.deps.Health.List(), Technician: s.deps.Tools.Technician(), Language: s.deps.Language, Version: s.deps.Version,
	}
}

func (s *Server) getStatus(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, s.statusOf(s.hub.Current()))
	return nil
}
