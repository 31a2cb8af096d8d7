package daemon

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/call"
)

// views fits the call's views to what the control API asks for.
type views struct{ call *call.Call }

// Create answers an offer for "self" or "remote/<participant>".
func (v views) Create(ctx context.Context, stream, offerSDP string) (id, answerSDP string, err error) {
	participant, remote := strings.CutPrefix(stream, "remote/")
	switch {
	case stream == "self":
		participant = call.Self
	case !remote || participant == call.Self: // nobody is called so; the own picture is not what was asked for
		return "", "", problemOf(call.ErrNoStream)
	}
	id, answerSDP, err = v.call.CreateView(ctx, participant, offerSDP)
	return id, answerSDP, problemOf(err)
}

// Patch takes a trickle ICE fragment.
func (v views) Patch(id, fragment string) error { return problemOf(v.call.PatchView(id, fragment)) }

// Delete ends a view.
func (v views) Delete(id string) error { return problemOf(v.call.DeleteView(id)) }

// problemOf gives the call's errors the status and the stable code of the API.
func problemOf(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, call.ErrNoView), errors.Is(err, call.ErrNoStream):
		return apitype.NewProblem(http.StatusNotFound, apitype.CodeNotFound, err.Error(), "read the session again and make a view of a participant that is in it")
	case errors.Is(err, call.ErrBadOffer):
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadSDP, err.Error(), "send an SDP offer with VP8 and Opus")
	case errors.Is(err, call.ErrTooManyView):
		return apitype.NewProblem(http.StatusServiceUnavailable, "too_many_views", err.Error(), "delete a view that is not shown any more")
	default:
		return err
	}
}
