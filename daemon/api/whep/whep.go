// Package whep answers the touchscreen page's requests for views. Views speak
// WHEP (draft-ietf-wish-whep; its HTTP part is that of WHIP, RFC 9725 section
// 4): an offer is posted, the answer comes with a Location, which takes trickled
// candidates by PATCH and ends by DELETE. The connections themselves are made by
// whoever implements Views.
//
// Who may import it: daemon/api. Imports: standard library, apitype and wire.
package whep

import (
	"context"
	"net/http"
	"strings"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
)

// Views makes the touchscreen page's peer connections. Its errors are
// *apitype.Problem where the caller can do something about them (an unknown
// participant or view is 404 not_found, an unusable offer 400 bad_sdp); any
// other error is answered as 500 and logged.
type Views interface {
	// Create answers an SDP offer (RFC 8866) for a stream: "self", or "remote/"
	// and a participant's id. The id is of letters, digits, "-" and "_".
	Create(ctx context.Context, stream, offerSDP string) (id, answerSDP string, err error)
	// Patch takes a trickle ICE fragment (RFC 8840) for a view.
	Patch(id, fragment string) error
	// Delete ends a view.
	Delete(id string) error
}

// Handler answers the requests. Its methods return an error where nothing was
// written.
type Handler struct{ Views Views }

// Self makes a view of the kiosk's own picture.
func (h Handler) Self(w http.ResponseWriter, r *http.Request) error {
	return h.create(w, r, "self")
}

// Remote makes a view of the participant in the path.
func (h Handler) Remote(w http.ResponseWriter, r *http.Request) error {
	return h.create(w, r, "remote/"+r.PathValue("participant"))
}

func (h Handler) create(w http.ResponseWriter, r *http.Request, stream string) error {
	body, err := wire.ReadBody(w, r)
	if err != nil {
		return err
	}
	if err := wire.WantType(r, apitype.TypeSDP); err != nil {
		return err
	}
	if !strings.HasPrefix(string(body), "v=0") { // RFC 8866 section 5.1: the first line
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadSDP,
			"cannot read the offer: it is no session description", "send the SDP offer itself as the body")
	}
	id, answer, err := h.Views.Create(r.Context(), stream, string(body))
	if err != nil {
		return err
	}
	head := w.Header()
	head.Set("Content-Type", apitype.TypeSDP)
	head.Set("Location", apitype.RouteView+id)
	head.Set("ETag", etag(id))                        // RFC 9725 section 4.3.1: names the ICE session
	head.Set("Accept-Patch", apitype.TypeSDPFragment) // RFC 5789 section 3.1
	w.WriteHeader(http.StatusCreated)
	_, _ = w.Write([]byte(answer)) //nolint:gosec // application/sdp and nosniff: no browser runs it
	return nil
}

// Patch takes trickled candidates. If-Match may be left out; where it is
// there it has to name this view's one ICE session, and "*", the wish for an
// ICE restart, is not granted: a new view costs no more.
func (h Handler) Patch(w http.ResponseWriter, r *http.Request) error {
	body, err := wire.ReadBody(w, r)
	if err != nil {
		return err
	}
	if err := wire.WantType(r, apitype.TypeSDPFragment); err != nil {
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
	if err := h.Views.Patch(id, string(body)); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// Delete ends a view. 200 without a body is what RFC 9725 section 4.2 asks for.
func (h Handler) Delete(w http.ResponseWriter, r *http.Request) error {
	if err := h.Views.Delete(r.PathValue("id")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func etag(id string) string { return `"` + id + `"` }
