package api

import (
	"net/http"

	"kioskd/daemon/api/apitype"
)

// devices lists the devices; never nil, so that JSON has an array.
func (s *Server) devices() []apitype.Device {
	if d := s.deps.Devices(); d != nil {
		return d
	}
	return []apitype.Device{}
}

func (s *Server) getDevices(w http.ResponseWriter, _ *http.Request) error {
	writeJSON(w, apitype.Devices{Devices: s.devices()})
	return nil
}
