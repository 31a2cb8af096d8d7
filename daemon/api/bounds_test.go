package api_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

// raw sends text as it is and gives what comes back until the connection ends.
func raw(t *testing.T, k *apitest.Kiosk, text string) (answer string, took time.Duration) {
	t.Helper()
	c, err := self.Dial(deadline(t), k.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	start := time.Now()
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil && len(b) == 0 {
		t.Fatal(err)
	}
	return string(b), time.Since(start)
}

func TestRootSlowHeadIsEndedAfterTwoSeconds(t *testing.T) {
	k := start(t)
	for head, want := range map[string]string{"": "", "GET /v1/status HTTP/1.1\r\nHost: kioskd\r\n": "HTTP/1.1 408 "} {
		answer, took := raw(t, k, head)
		if !strings.HasPrefix(answer, want) || want == "" && answer != "" || took < 1500*time.Millisecond || took > 4*time.Second {
			t.Errorf("after %q: %q in %v, want %q in 2 s", head, answer, took, want)
		}
	}
}

func TestRootSlowBodyIsEndedAfterFiveSeconds(t *testing.T) {
	k := start(t)
	var wg sync.WaitGroup
	for _, c := range []struct{ request, want string }{
		{"PUT /v1/session HTTP/1.1\r\nHost: kioskd\r\nContent-Type: application/json\r\nContent-Length: 30\r\n\r\n{", "HTTP/1.1 408 "},
		{"POST /v1/nothing HTTP/1.1\r\nHost: kioskd\r\nContent-Length: 30\r\n\r\n{", "HTTP/1.1 404 "},
	} {
		wg.Go(func() {
			answer, took := raw(t, k, c.request)
			if !strings.HasPrefix(answer, c.want) || took > 8*time.Second {
				t.Errorf("got %.60q after %v, want %s within 5 s", answer, took, c.want)
			}
		})
	}
	wg.Wait()
}

func TestRootHeadOfEightKiB(t *testing.T) {
	k := start(t)
	head := func(size int) string {
		const frame = "GET /v1/health HTTP/1.1\r\nHost: kioskd\r\nConnection: close\r\nX-Pad: \r\n\r\n"
		return strings.Replace(frame, "X-Pad: ", "X-Pad: "+strings.Repeat("a", size-len(frame)), 1)
	}
	if answer, _ := raw(t, k, head(8<<10)); !strings.HasPrefix(answer, "HTTP/1.1 200 ") {
		t.Errorf("8 KiB: %.60q", answer)
	}
	if answer, _ := raw(t, k, head(8<<10+1)); !strings.HasPrefix(answer, "HTTP/1.1 431 ") {
		t.Errorf("8 KiB and one byte: %.60q", answer)
	}
}

func TestRootBodyOf64KiB(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	offer := func(size int) string {
		return apitest.Offer + strings.Repeat("a", size-len(apitest.Offer))
	}
	if r := ask(t, c, "POST", "/v1/views/self", offer(64<<10), "Content-Type", sdpType); r.status != http.StatusCreated {
		t.Errorf("64 KiB: %v", r)
	}
	r := ask(t, c, "POST", "/v1/views/self", offer(64<<10+1), "Content-Type", sdpType)
	if p := r.problem(t); r.status != http.StatusRequestEntityTooLarge || p.Code != apitype.CodeTooLarge {
		t.Errorf("one byte more: %v", r)
	}
	// The same without saying so beforehand.
	body := offer(64<<10 + 1)
	answer, _ := raw(t, k, fmt.Sprintf("POST /v1/views/self HTTP/1.1\r\nHost: kioskd\r\nContent-Type: application/sdp\r\n"+
		"Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body))
	if !strings.HasPrefix(answer, "HTTP/1.1 413 ") || !strings.Contains(answer, apitype.CodeTooLarge) {
		t.Errorf("in chunks: %.60q", answer)
	}
}

func TestRootBodiesThatAreRefused(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	for _, b := range []struct {
		method, path, contentType, body string
		status                          int
		code, hint                      string
	}{
		{"PUT", "/v1/session", jsonType, "", 400, apitype.CodeBadJSON, `send {"appointment_id":"..."}`},
		{"PUT", "/v1/session", jsonType, `{"appointment_id":"a","more":1}`, 400, apitype.CodeBadJSON, `send {"appointment_id":"..."}`},
		{"PUT", "/v1/session", jsonType, `{"appointment_id":7}`, 400, apitype.CodeBadJSON, `send {"appointment_id":"..."}`},
		{"PUT", "/v1/session", jsonType, `{"appointment_id":"a/../b"}`, 400, "bad_appointment_id", "Use 1 to 128"},
		{"PUT", "/v1/session", "application/x-www-form-urlencoded", `{"appointment_id":"a"}`, 415, apitype.CodeMediaType, "Content-Type: application/json"},
		{"PUT", "/v1/session", "text/plain", `{"appointment_id":"a"}`, 415, apitype.CodeMediaType, "Content-Type: application/json"},
		{"PUT", "/v1/session", "", `{"appointment_id":"a"}`, 415, apitype.CodeMediaType, "Content-Type: application/json"},
		{"POST", "/v1/session/mute", jsonType, `{}`, 400, apitype.CodeBadJSON, "empty body to toggle"},
		{"POST", "/v1/session/mute", jsonType, `{"muted":"yes"}`, 400, apitype.CodeBadJSON, `send {"muted":true}`},
		{"POST", "/v1/session/mute", jsonType, `{"disabled":true}`, 400, apitype.CodeBadJSON, `send {"muted":true}`},
		{"POST", "/v1/session/disable-video", jsonType, `{"disabled":true} {}`, 400, apitype.CodeBadJSON, `send {"disabled":true}`},
		{"POST", "/v1/session/end-call", jsonType, `{"now":true}`, 400, apitype.CodeBadJSON, "leave the body out"},
		{"POST", "/v1/views/self", jsonType, apitest.Offer, 415, apitype.CodeMediaType, "application/sdp"},
		{"POST", "/v1/views/self", sdpType, "", 400, apitype.CodeBadSDP, "SDP offer"},
		{"POST", "/v1/views/self", sdpType, "hello", 400, apitype.CodeBadSDP, "SDP offer"},
		{"PATCH", "/v1/views/v1", sdpType, "a=x", 415, apitype.CodeMediaType, "trickle-ice-sdpfrag"},
		{"PATCH", "/v1/views/v1", fragmentType, "", 400, apitype.CodeBadSDP, "RFC 8840"},
		{"GET", "/v1/status", jsonType, "{}", 400, apitype.CodeBadRequest, "leave the body out"},
		{"DELETE", "/v1/views/v1", jsonType, "{}", 400, apitype.CodeBadRequest, "leave the body out"},
	} {
		r := ask(t, c, b.method, b.path, b.body, "Content-Type", b.contentType)
		p := r.problem(t)
		if r.status != b.status || p.Code != b.code || !strings.Contains(p.Hint, b.hint) {
			t.Errorf("%s %s %q as %q: %d %s (%s), want %d %s (%s)", b.method, b.path, b.body, b.contentType,
				r.status, p.Code, p.Hint, b.status, b.code, b.hint)
		}
	}
	if m := k.Runner.Model(); m.Exists() {
		t.Errorf("a session came out of it: %v", m.State)
	}
}

// TestRootTechnicianGetsInWhenItIsFull: screens and a user that dials on and
// on take all places they can get; a technician is answered at once all the
// same, and what was refused was told why.
func TestRootTechnicianGetsInWhenItIsFull(t *testing.T) {
	k := start(t)
	ctx, cancel := context.WithCancel(deadline(t))
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	for i := range uint32(4) {
		for range 62 {
			c, err := apitest.User{UID: 61100 + i, GID: apitest.ScreenGID}.Dial(ctx, k.Socket)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			// A stream keeps its place; a connection without a request loses it in 2 s.
			if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: kioskd\r\n\r\n"); err != nil {
				t.Fatal(err)
			}
			if line, err := bufio.NewReader(c).ReadString('\n'); err != nil || !strings.Contains(line, "200 OK") {
				t.Fatalf("a stream began with %q, %v", line, err)
			}
		}
	}
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				if c, err := (apitest.User{UID: 61105, GID: apitest.ScreenGID}).Dial(ctx, k.Socket); err == nil {
					_, _ = io.Copy(io.Discard, c)
					_ = c.Close()
				}
			}
		})
	}
	tech := clientOf(t, k, apitest.User{UID: 61200, GID: apitest.ScreenGID, Groups: []uint32{apitest.TechnicianGID}})
	var worst time.Duration
	for range 20 {
		begin := time.Now()
		for { // the queue of the listener may be full for a moment
			r, err := tech.Get("http://kioskd/v1/health")
			if err == nil {
				_ = r.Body.Close()
				break
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
		worst = max(worst, time.Since(begin))
		tech.CloseIdleConnections()
	}
	t.Logf("the slowest of 20 answers to a technician took %v", worst)
	if worst > 2*time.Second { // the promise is 200 ms; this machine is shared
		t.Errorf("a technician waited %v", worst)
	}
	if log := k.Log.String(); !strings.Contains(log, apitype.CodeTooMany) || strings.Count(log, "control request denied") > 20 {
		t.Errorf("the denials are logged %d times, want a few", strings.Count(log, "control request denied"))
	}
}

// A listener that cannot tell who connects serves nobody.
func TestNoPeerNoService(t *testing.T) {
	k := start(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://kioskd/v1/status", nil)
	if err != nil {
		t.Fatal(err)
	}
	w := &answer{header: http.Header{}}
	k.API.ServeHTTP(w, r)
	if w.status != http.StatusForbidden {
		t.Errorf("a request without a peer got %d", w.status)
	}
}

// answer is a ResponseWriter that keeps the status.
type answer struct {
	header http.Header
	status int
}

func (a *answer) Header() http.Header         { return a.header }
func (a *answer) WriteHeader(status int)      { a.status = status }
func (a *answer) Write(p []byte) (int, error) { return len(p), nil }
