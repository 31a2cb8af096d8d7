package api

import (
	"net/http"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
)

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
