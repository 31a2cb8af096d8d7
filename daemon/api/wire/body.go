// Package wire reads and writes what goes over the control API's wire: bodies
// and queries in, strictly; JSON and problems out. It knows no route and no
// session; what a body may hold stands in the tags of its apitype struct.
//
// Who may import it: daemon/api. Imports: standard library, apitype and
// session, for the codes of its refusals.
package wire

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"time"

	"kioskd/daemon/api/apitype"
)

// MaxBody is the largest body that is read, in bytes.
const MaxBody = 64 << 10

// ReadBody reads a body of at most MaxBody within the connection's read
// deadline, and then takes the deadline away, so that the handler's own work is
// not cut by it.
func ReadBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	if r.ContentLength > MaxBody {
		return nil, tooLarge()
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, MaxBody))
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

// ReadJSON reads a body that is one JSON object into target, a pointer to an
// apitype struct; nil takes no fields. It tells whether there was a body at
// all: an empty one is no error here. Problems carry the hint.
func ReadJSON(w http.ResponseWriter, r *http.Request, target any, hint string) (present bool, err error) {
	body, err := ReadBody(w, r)
	if err != nil || len(body) == 0 {
		return false, err
	}
	if err := WantType(r, apitype.TypeJSON); err != nil {
		return true, err
	}
	return true, withHint(Decode(body, target), hint)
}

// WantType refuses another Content-Type. A page in a browser can send a form
// or plain text anywhere without asking, JSON it cannot.
func WantType(r *http.Request, want string) error {
	got, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err == nil && got == want && len(r.Header.Values("Content-Type")) == 1 {
		return nil
	}
	return apitype.NewProblem(http.StatusUnsupportedMediaType, apitype.CodeMediaType,
		"cannot read this kind of body", "send it with the header Content-Type: "+want)
}

// IdempotencyKey reads the header: at most one, 1 to 128 visible ASCII
// characters (draft-ietf-httpapi-idempotency-key-header). None is "".
func IdempotencyKey(r *http.Request) (string, error) {
	values := r.Header.Values(apitype.IdempotencyHeader)
	if len(values) == 0 {
		return "", nil
	}
	ok := len(values) == 1 && len(values[0]) >= 1 && len(values[0]) <= 128
	for _, c := range []byte(values[0]) {
		ok = ok && c > ' ' && c < 0x7f
	}
	if !ok {
		return "", apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadRequest,
			"cannot use this "+apitype.IdempotencyHeader, "send one of 1 to 128 visible ASCII characters")
	}
	return values[0], nil
}

// NoBody refuses a body where the method has none, so that a connection can be
// used again without reading what nobody wants.
func NoBody(r *http.Request) error {
	if (r.Method == http.MethodGet || r.Method == http.MethodDelete) && r.ContentLength != 0 {
		return apitype.NewProblem(http.StatusBadRequest, apitype.CodeBadRequest,
			"cannot take a body with "+r.Method, "leave the body out")
	}
	return nil
}

func tooLarge() *apitype.Problem {
	return apitype.NewProblem(http.StatusRequestEntityTooLarge, apitype.CodeTooLarge,
		"cannot take a body of more than 64 KiB", "send less")
}

// withHint puts a route's hint on a problem that has none.
func withHint(err error, hint string) error {
	if p := (*apitype.Problem)(nil); errors.As(err, &p) && p.Hint == "" {
		p.Hint = hint
	}
	return err
}
