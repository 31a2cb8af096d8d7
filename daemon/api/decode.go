package api

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"kioskd/daemon/api/apitype"
)

// readBody reads a body of at most 64 KiB within the body's deadline, and then
// takes the deadline away, so that the handler's own work is not cut by it.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > maxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	if err != nil {
		if m := (*http.MaxBytesError)(nil); errors.As(err, &m) {
			return nil, tooLarge()
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return nil, apitype.NewProblem(http.StatusRequestTimeout, apitype.CodeSlow,
				"cannot wait any longer for the body", "send it within 5 seconds")
		}
		return nil, apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadRequest,
			"cannot read the body", "send as many bytes as Content-Length says")
	}
	_ = http.NewResponseController(w).SetReadDeadline(time.Time{})
	return body, nil
}

// readJSON reads a body that is one JSON object with just these fields into
// their targets. It tells whether there was a body at all: an empty one is no
// error here.
func readJSON(w http.ResponseWriter, r *http.Request, fields map[string]any) (present bool, err error) {
	body, err := readBody(w, r)
	if err != nil || len(body) == 0 {
		return false, err
	}
	if err := wantType(r, apitype.TypeJSON); err != nil {
		return true, err
	}
	return true, decodeObject(body, fields)
}

// wantType refuses another Content-Type. A page in a browser can send a form
// or plain text anywhere without asking, JSON it cannot.
func wantType(r *http.Request, want string) error {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && got == want {
		return nil
	}
	return apitype.NewProblem(http.StatusUnsupportedMediaType, apitype.CodeMediaType,
		"cannot read this kind of body", "send it with the header Content-Type: "+want)
}

// decodeObject decodes one JSON object strictly (RFC 8259): every field is
// there once, spelled exactly, of its type and not null; no other field; no
// text after it. encoding/json alone lets case, doubles and nulls pass.
func decodeObject(body []byte, fields map[string]any) error {
	dec := json.NewDecoder(bytes.NewReader(body))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return badJSON("cannot read the body: it is no JSON object")
	}
	seen := map[string]bool{}
	for dec.More() {
		t, err := dec.Token()
		name, isName := t.(string)
		if err != nil || !isName {
			return badJSON("cannot read the body: it is no JSON object")
		}
		target, known := fields[name]
		switch {
		case !known: // the name is the caller's text: it is not repeated
			return badJSON("cannot read the body: it has a field that this route does not take")
		case seen[name]:
			return badJSON(fmt.Sprintf("cannot read the body: %q is there twice", name))
		}
		seen[name] = true
		var raw json.RawMessage
		if dec.Decode(&raw) != nil {
			return badJSON("cannot read the body: it is no JSON object")
		}
		if string(raw) == "null" || json.Unmarshal(raw, target) != nil {
			return badJSON(fmt.Sprintf("cannot read the body: %q has the wrong type", name))
		}
	}
	if _, err := dec.Token(); err != nil {
		return badJSON("cannot read the body: it is no JSON object")
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return badJSON("cannot read the body: there is text after the JSON object")
	}
	for name := range fields {
		if !seen[name] {
			return badJSON(fmt.Sprintf("cannot read the body: %q is missing", name))
		}
	}
	return nil
}

func badJSON(detail string) error {
	return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadJSON, detail, "")
}

// withHint puts a route's hint on a problem that has none.
func withHint(err error, hint string) error {
	if p := (*apitype.Problem)(nil); errors.As(err, &p) && p.Hint == "" {
		p.Hint = hint
	}
	return err
}
