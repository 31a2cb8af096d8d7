package api

import (
	"context"
	"net/http"
	"slices"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/peer"
	"kioskd/daemon/api/wire"
)

// checksTimeout is how long all checks may take: the longest loopback call, and a
// backend that does not answer.
const checksTimeout = 75 * time.Second

// postChecks runs the checks and answers when they are done. Who hangs up ends them.
func (s *Server) postChecks(w http.ResponseWriter, r *http.Request) error {
	const hint = `send {"only":"media","seconds":5}: one of the checks, 1 to 30 s; or an empty body`
	var req apitype.ChecksRequest
	if _, err := wire.ReadJSON(w, r, &req, hint); err != nil {
		return err
	}
	known := append(apitype.CheckCodes(), "")
	if !slices.Contains(known, req.Only) || !slices.Contains(known, req.Without) {
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadJSON, "cannot check this: there is no such check", hint)
	}
	_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(checksTimeout))
	if r.ProtoAtLeast(1, 1) { // before that there was no 1xx (RFC 9110, section 15.2)
		w.WriteHeader(http.StatusProcessing) // somebody is here and works on it (RFC 2518, section 10.1)
	}
	ctx, cancel := context.WithTimeout(r.Context(), checksTimeout)
	defer cancel()
	got, err := s.deps.Check(ctx, req, peer.From(r.Context()).String())
	if err != nil {
		return err
	}
	wire.WriteJSON(w, got)
	return nil
}
