package api

import (
	"net/http"
	"strings"

	"kioskd/daemon/api/apitype"
)

// Views speak WHEP (draft-ietf-wish-whep; its HTTP part is that of WHIP, RFC
// 9725 section 4): an offer is posted, the answer comes with a Location, which
// takes trickled candidates by PATCH and ends by DELETE.

func (s *Server) postViewSelf(w http.ResponseWriter, r *http.Request) error {
	return s.createView(w, r, "self")
}

func (s *Server) postViewRemote(w http.ResponseWriter, r *http.Request) error {
	return s.createView(w, r, "remote/"+r.PathValue("participant"))
}

func (s *Server) createView(w http.ResponseWriter, r *http.Request, stream string) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if err := wantType(r, apitype.TypeSDP); err != nil {
		return err
	}
	if !strings.HasPrefix(string(body), "v=0") { // RFC 8866 section 5.1: the first line
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadSDP,
			"cannot read the offer: it is no session description", "send the SDP offer itself as the body")
	}
	id, answer, err := s.deps.Views.Create(r.Context(), stream, string(body))
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("Content-Type", apitype.TypeSDP)
	h.Set("Location", apitype.RouteView+id)
	h.Set("ETag", etag(id))                        // RFC 9725 section 4.3.1: names the ICE session
	h.Set("Accept-Patch", apitype.TypeSDPFragment) // RFC 5789 section 3.1
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(answer)) //nolint:gosec // application/sdp and nosniff: no browser runs it
	return nil
}

// patchView takes trickled candidates. If-Match may be left out; where it is
// there it has to name this view's one ICE session, and "*", the wish for an
// ICE restart, is not granted: a new view costs no more.
func (s *Server) patchView(w http.ResponseWriter, r *http.Request) error {
	body, err := readBody(w, r)
	if err != nil {
		return err
	}
	if err := wantType(r, apitype.TypeSDPFragment); err != nil {
		return err
	}
	id := r.PathValue("id")
	switch r.Header.Get("If-Match") {
	case "", etag(id):
	case "*", `"*"`:
		return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeNoICERestart,
			"cannot restart ICE of a view", "delete the view and make a new one")
	default:
		return apitype.NewProblem(http.StatusPreconditionFailed, apitype.CodeStaleView,
			"cannot add candidates to another ICE session", "send the ETag that came with the answer")
	}
	if len(body) == 0 {
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadSDP,
			"cannot read the fragment: it is empty", "send the candidates as RFC 8840 has it")
	}
	if err := s.deps.Views.Patch(id, string(body)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// deleteView ends a view. 200 without a body is what RFC 9725 section 4.2 asks for.
func (s *Server) deleteView(w http.ResponseWriter, r *http.Request) error {
	if err := s.deps.Views.Delete(r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func etag(id string) string { return `"` + id + `"` }
