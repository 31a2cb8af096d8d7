package wire

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// WriteProblem writes an error answer (RFC 9457).
func WriteProblem(w http.ResponseWriter, p *apitype.Problem) {
	if p.Status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", "1")
	}
	writeAs(w, p.Status, apitype.TypeProblem, p)
}

// WriteJSON writes a good answer.
func WriteJSON(w http.ResponseWriter, v any) { writeAs(w, http.StatusOK, apitype.TypeJSON, v) }

// WriteRaw writes a good answer that is JSON already.
func WriteRaw(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", apitype.TypeJSON)
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

// WriteAs writes a good answer of another media type.
func WriteAs(w http.ResponseWriter, mediaType string, body []byte) {
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(body)
}

func writeAs(w http.ResponseWriter, status int, contentType string, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)              // a chat full of "<" would grow sixfold, above what clients read
	if err := enc.Encode(v); err != nil { // none of our types can do this
		status, contentType = http.StatusInternalServerError, apitype.TypeProblem
		body.Reset()
		body.WriteString(`{"type":"urn:kioskd:problem:internal","title":"Internal Server Error","status":500,"code":"internal"}` + "\n")
	}
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the peer is gone: nobody to tell
}

// ProblemOf turns any error into a problem. One that nobody foresaw says
// nothing of its cause to the caller.
func ProblemOf(err error) *apitype.Problem {
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
	case session.CodeBadAppointment, session.CodeBadAnswer, session.CodeMessageBad:
		return http.StatusBadRequest
	case session.CodeKeyReused, session.CodeIssueRequired:
		return http.StatusUnprocessableEntity
	case session.CodeStore, session.CodeStoreFull, session.CodeBusy, session.CodeStopping, session.CodeOutboxFull:
		return http.StatusServiceUnavailable
	}
	return http.StatusConflict
}
