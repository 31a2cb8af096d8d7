package api

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// writeProblem writes an error answer (RFC 9457).
func writeProblem(w http.ResponseWriter, p *apitype.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeAs(w, p.Status, apitype.TypeProblem, p)
}

// writeJSON writes a good answer.
func writeJSON(w http.ResponseWriter, v any) { writeAs(w, http.StatusOK, apitype.TypeJSON, v) }

func writeAs(w http.ResponseWriter, status int, contentType string, v any) {
	body, err := json.Marshal(v)
	if err != nil { // none of our types can do this
		status, contentType = http.StatusInternalServerError, apitype.TypeProblem
		body = []byte(`{"type":"urn:kioskd:problem:internal","title":"Internal Server Error","status":500,"code":"internal"}`)
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(append(body, '\n')) // the peer is gone: nobody to tell
}

// fail answers with the problem that err is or stands for. Where a body may be
// left unread the connection ends with the answer.
func (s *Server) fail(w http.ResponseWriter, r *http.Request, err error) {
	p := problemOf(err)
	if p.Code == apitype.CodeInternal {
		s.deps.Log.Error("cannot answer a control request", "method", r.Method, "error", err)
	}
	if r.ContentLength != 0 {
		w.Header().Set("Connection", "close")
	}
	writeProblem(w, p)
}

// problemOf turns any error into a problem. One that nobody foresaw says
// nothing of its cause to the caller.
func problemOf(err error) *apitype.Problem {
	if p := (*apitype.Problem)(nil); errors.As(err, &p) {
		if p.Status < 400 || p.Status > 599 {
			return apitype.NewProblem(http.StatusInternalServerError, p.Code, p.Detail, p.Hint)
		}
		return p
	}
	if r := (*session.Refusal)(nil); errors.As(err, &r) {
		return apitype.NewProblem(refusalStatus(r.Code), r.Code, r.Message, r.Hint)
	}
	if m := (*http.MaxBytesError)(nil); errors.As(err, &m) {
		return tooLarge()
	}
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return apitype.NewProblem(http.StatusGatewayTimeout, apitype.CodeSlow,
			"cannot answer in time: the daemon is busy", "look at GET "+apitype.RouteSession+" and try again")
	}
	return apitype.NewProblem(http.StatusInternalServerError, apitype.CodeInternal,
		"cannot do this: something inside the daemon failed", "see journalctl -u kioskd")
}

// refusalStatus gives the HTTP status of a session's refusal: the state forbids
// it (409), unless the request itself or the daemon is the reason.
func refusalStatus(code string) int {
	switch code {
	case session.CodeBadAppointment, session.CodeBadAnswer:
		return http.StatusBadRequest
	case session.CodeKeyReused:
		return http.StatusUnprocessableEntity
	case session.CodeStore, session.CodeBusy, session.CodeStopping:
		return http.StatusServiceUnavailable
	}
	return http.StatusConflict
}

func tooLarge() *apitype.Problem {
	return apitype.NewProblem(http.StatusRequestEntityTooLarge, apitype.CodeTooLarge,
		"cannot take a body of more than 64 KiB", "send less")
}
