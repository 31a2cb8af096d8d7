package wire_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/wire"
	"kioskd/daemon/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestNumber(t *testing.T) {
	for _, c := range []struct {
		query string
		want  int // 0: refused
	}{
		{"", 100},
		{"limit=1", 1},
		{"limit=1000", 1000},
		{"limit=0", 0},
		{"limit=1001", 0},
		{"limit=-1", 0},
		{"limit=+1", 0},
		{"limit=01", 0},
		{"limit=1.0", 0},
		{"limit=", 0},
		{"limit", 0},
		{"limit=1&limit=1", 0},
		{"limit=1&more=1", 0},
		{"more=1", 0},
		{"&", 0},
		{"limit=1;more", 0},
		{"%zz", 0},
		{"limit=99999999999999999999", 0},
	} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/audit", nil)
		r.URL.RawQuery = c.query
		n, err := wire.Number(r, "limit", 1, 1000, 100)
		if (err != nil) != (c.want == 0) || n != c.want {
			t.Errorf("query %q: %d, %v; want %d", c.query, n, err, c.want)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/v1/audit?", nil)
	if _, err := wire.Number(r, "limit", 1, 1000, 100); err == nil {
		t.Error("a question mark alone is taken")
	}
}

func TestNoQuery(t *testing.T) {
	for target, ok := range map[string]bool{"/v1/status": true, "/v1/status?": false, "/v1/status?a=canary": false} {
		err := wire.NoQuery(httptest.NewRequestWithContext(t.Context(), "GET", target, nil))
		if (err == nil) != ok || err != nil && strings.Contains(err.Error(), "canary") {
			t.Errorf("%s: %v", target, err)
		}
	}
}

// FuzzNumber: what is taken is in its bounds and is written in one way only.
func FuzzNumber(f *testing.F) {
	for _, s := range []string{"limit=5", "limit=%35", "limit=5&limit=6", ";", "\x00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: "GET", URL: &url.URL{RawQuery: query}}
		if n, err := wire.Number(r, "limit", 1, 1000, 100); err == nil && (n < 1 || n > 1000) {
			t.Errorf("%q gives %d", query, n)
		}
	})
}

func TestIdempotencyKey(t *testing.T) {
	for _, c := range []struct {
		values []string
		ok     bool
	}{
		{nil, true},
		{[]string{"a"}, true},
		{[]string{strings.Repeat("k", 128)}, true},
		{[]string{""}, false},
		{[]string{"a b"}, false},
		{[]string{"a", "a"}, false},
		{[]string{strings.Repeat("k", 129)}, false},
		{[]string{"é"}, false},
	} {
		r := &http.Request{Header: http.Header{apitype.IdempotencyHeader: c.values}}
		if got, err := wire.IdempotencyKey(r); (err == nil) != c.ok || c.ok && len(c.values) > 0 && got != c.values[0] {
			t.Errorf("%q: %q, %v", c.values, got, err)
		}
	}
}

// Every refusal of the session has its status, and a new code is a 409.
func TestProblemOf(t *testing.T) {
	refusal := func(code string) error {
		return fmt.Errorf("wrapped: %w", &session.Refusal{Code: code, Message: "cannot", Hint: "hint"})
	}
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{refusal(session.CodeNoSession), 409, "no_session"},
		{refusal(session.CodeChatUnsupported), 409, "chat_unsupported"},
		{refusal(session.CodeIssueUnsupported), 409, "report_issue_unsupported"},
		{refusal(session.CodeCameraUnsupported), 409, "camera_unsupported"},
		{refusal("of_tomorrow"), 409, "of_tomorrow"},
		{refusal(session.CodeBadAppointment), 400, "bad_appointment_id"},
		{refusal(session.CodeBadAnswer), 400, "bad_answer"},
		{refusal(session.CodeMessageBad), 400, "bad_message"},
		{refusal(session.CodeIssueRequired), 422, "issue_required"},
		{refusal(session.CodeKeyReused), 422, "idempotency_key_reused"},
		{refusal(session.CodeStore), 503, "store_unavailable"},
		{refusal(session.CodeStoreFull), 503, "store_full"},
		{refusal(session.CodeOutboxFull), 503, "outbox_full"},
		{refusal(session.CodeBusy), 503, "busy"},
		{refusal(session.CodeStopping), 503, "stopping"},
		{apitype.NewProblem(404, apitype.CodeNotFound, "cannot", ""), 404, apitype.CodeNotFound},
		{apitype.NewProblem(200, "odd", "cannot", ""), 500, "odd"},
		{context.DeadlineExceeded, 504, apitype.CodeSlow},
		{&http.MaxBytesError{}, 413, apitype.CodeTooLarge},
		{errors.New("secret"), 500, apitype.CodeInternal},
	} {
		p := wire.ProblemOf(c.err)
		if p.Status != c.status || p.Code != c.code || strings.Contains(p.Error(), "secret") {
			t.Errorf("%v: %d %s, want %d %s", c.err, p.Status, p.Code, c.status, c.code)
		}
	}
}

func TestWriteRawAndProblem(t *testing.T) {
	w := httptest.NewRecorder()
	wire.WriteRaw(w, []byte(`{"a":1}`))
	if w.Code != 200 || w.Header().Get("Content-Type") != apitype.TypeJSON || !bytes.Equal(w.Body.Bytes(), []byte(`{"a":1}`)) {
		t.Errorf("raw: %d %v %s", w.Code, w.Header(), w.Body)
	}
	w = httptest.NewRecorder()
	wire.WriteProblem(w, apitype.NewProblem(503, apitype.CodeStopping, "cannot", ""))
	if w.Code != 503 || w.Header().Get("Retry-After") == "" || w.Header().Get("Content-Type") != apitype.TypeProblem {
		t.Errorf("problem: %d %v", w.Code, w.Header())
	}
	w = httptest.NewRecorder()
	wire.WriteJSON(w, func() {})
	if w.Code != 500 || !strings.Contains(w.Body.String(), `"code":"internal"`) {
		t.Errorf("what cannot be encoded: %d %s", w.Code, w.Body)
	}
}

func TestWantTypeAndNoBody(t *testing.T) {
	for _, c := range []struct {
		types []string
		ok    bool
	}{
		{[]string{"application/json"}, true},
		{[]string{"application/json; charset=utf-8"}, true},
		{nil, false},
		{[]string{"text/plain"}, false},
		{[]string{"application/json", "text/plain"}, false},
		{[]string{";"}, false},
	} {
		r := &http.Request{Header: http.Header{"Content-Type": c.types}}
		if err := wire.WantType(r, apitype.TypeJSON); (err == nil) != c.ok {
			t.Errorf("%q: %v", c.types, err)
		}
	}
	for _, c := range []struct {
		method string
		length int64
		ok     bool
	}{{"GET", 0, true}, {"GET", 1, false}, {"GET", -1, false}, {"DELETE", 1, false}, {"POST", 1, true}} {
		if err := wire.NoBody(&http.Request{Method: c.method, ContentLength: c.length}); (err == nil) != c.ok {
			t.Errorf("%s with %d: %v", c.method, c.length, err)
		}
	}
}
