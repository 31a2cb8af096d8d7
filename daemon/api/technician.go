package api

import (
	"net/http"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/wire"
)

// Bounds of GET /v1/audit?limit=N, in entries.
const (
	maxAudit     = 1000
	defaultAudit = 100
)

func (s *Server) getAudit(w http.ResponseWriter, r *http.Request) error {
	limit, err := wire.Number(r, "limit", 1, maxAudit, defaultAudit)
	if err != nil {
		return err
	}
	audit, err := s.deps.Audit(limit)
	if err != nil {
		return err
	}
	if audit.Entries == nil {
		audit.Entries = []apitype.AuditEntry{}
	}
	wire.WriteJSON(w, audit)
	return nil
}

// getConfig gives the settings as they are in force.
func (s *Server) getConfig(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteJSON(w, s.deps.Config())
	return nil
}

// postReload has the settings read anew.
func (s *Server) postReload(w http.ResponseWriter, r *http.Request) error {
	answer, err := s.deps.Reload(peer.From(r.Context()).String())
	if err != nil {
		return err
	}
	wire.WriteJSON(w, answer)
	return nil
}

// getOpenAPI gives the description that was made of the route table.
func (s *Server) getOpenAPI(w http.ResponseWriter, _ *http.Request) error {
	wire.WriteRaw(w, s.document)
	return nil
}
