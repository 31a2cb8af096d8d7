package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kioskd/cmd/clinicsim/sim"
	"kioskd/daemon/room/direct/signal"
)

// steer does one control request, which must be taken.
func (r *running) steer(t *testing.T, path, body string) {
	t.Helper()
	if got := r.do(t, http.MethodPost, path, body, "Authorization", "Bearer "+r.Control); got.status != http.StatusNoContent {
		t.Fatalf("%s %s: status %d, %s", path, body, got.status, got.body)
	}
}

// put does the kiosk's PUT and does not follow a redirect, like the kiosk.
func (r *running) put(t *testing.T, path string) reply {
	t.Helper()
	r.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return r.do(t, http.MethodPut, path, "", r.kioskHeaders()...)
}

func (r *running) patch(t *testing.T, update string) reply {
	t.Helper()
	return r.do(t, http.MethodPatch, roomPath, url.Values{"update": {update}}.Encode(),
		append(r.kioskHeaders(), "Content-Type", "application/x-www-form-urlencoded", "X-Platform", "Linux")...)
}

func (r *running) log(t *testing.T) []sim.Entry {
	t.Helper()
	var out []sim.Entry
	if err := json.Unmarshal([]byte(r.do(t, http.MethodGet, "/sim/log", "").body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestControlIsGuarded(t *testing.T) {
	clinic := start(t, sim.Config{})
	requests := []struct{ method, path, body string }{
		{http.MethodPost, "/sim/behave", `{}`},
		{http.MethodPost, "/sim/reset", ``},
		{http.MethodPost, "/sim/expire", ``},
		{http.MethodPost, "/sim/invite", `{"as":"second"}`},
		{http.MethodGet, "/sim/reports", ``},
	}
	for _, c := range requests {
		for _, header := range [][]string{nil, {"Authorization", "Bearer "}, {"Authorization", "Bearer nonsense"}, {"Authorization", "Basic " + clinic.Control}} {
			if got := clinic.do(t, c.method, c.path, c.body, header...); got.status != http.StatusUnauthorized {
				t.Errorf("%s with %v: status %d", c.path, header, got.status)
			}
		}
		for _, token := range []string{clinic.token, clinic.Control} {
			if got := clinic.do(t, c.method, c.path, c.body, "Authorization", "Bearer "+token); got.status/100 != 2 {
				t.Errorf("%s: status %d, %s", c.path, got.status, got.body)
			}
		}
	}
	if clinic.Control == clinic.token || len(clinic.Control) < 20 {
		t.Error("the control secret is no secret of its own")
	}
}

func TestOrdersAreCheckedAsAWhole(t *testing.T) {
	clinic := start(t, sim.Config{})
	for _, body := range []string{
		``, `x`, `[]`, `{"put":{}} {}`, `{"get":{}}`, `{"put":{"state":500}}`, `{"put":{"status":"500"}}`,
		`{"put":{"status":500},"patch":{"status":99}}`, `{"put":{"status":500},"room":{"timeout":-1}}`,
		`{"put":{"status":500},"room":{"what":1}}`, `{"put":{"status":500},"signal":{"loud":true}}`,
		`{"put":{"status":500,"delay_ms":-1}}`, `{"put":{"status":500,"delay_ms":600001}}`,
		`{"put":{"status":500,"delay_ms":9223372036854775807}}`, `{"room":{"expires_seconds":9223372036854775807}}`,
		`{"put":{"status":500,"times":-1}}`, `{"put":{"status":302,"location":"/x\r\nX-A: b"}}`, `{"put":{"status":201}}`,
	} {
		got := clinic.do(t, http.MethodPost, "/sim/behave", body, "Authorization", "Bearer "+clinic.Control)
		if got.status != http.StatusBadRequest || !strings.HasPrefix(got.body, "cannot ") {
			t.Errorf("%s: status %d, %s", body, got.status, got.body)
		}
	}
	if got := clinic.put(t, roomPath); got.status != http.StatusOK {
		t.Errorf("a refused order changed the backend: status %d", got.status)
	}
	huge := `{"put":{"body":"` + strings.Repeat("x", 256<<10) + `"}}`
	if got := clinic.do(t, http.MethodPost, "/sim/behave", huge, "Authorization", "Bearer "+clinic.Control); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a huge order: status %d", got.status)
	}
	if got := clinic.do(t, http.MethodPost, "/sim/invite", `{"as":"root"}`, "Authorization", "Bearer "+clinic.Control); got.status != http.StatusBadRequest {
		t.Errorf("an invitation for nobody: status %d", got.status)
	}
}

// TestAnswersAsTold: each answer once, with its published form; after it, and
// after null and a reset, the backend works again.
func TestAnswersAsTold(t *testing.T) {
	clinic := start(t, sim.Config{})
	cases := []struct {
		name, told string
		status     int
		check      func(reply) bool
	}{
		{"302", `{"status":302}`, 302, func(r reply) bool { return r.header.Get("Location") == roomPath+"/permission" }},
		{"302 elsewhere", `{"status":302,"location":"http://evil.example/x"}`, 302, func(r reply) bool { return r.header.Get("Location") == "http://evil.example/x" }},
		{"401", `{"status":401}`, 401, func(r reply) bool { return r.body == "" && r.header.Get("X-Forward") != "" }},
		{"404", `{"status":404}`, 404, func(r reply) bool { return r.body != "" }},
		{"405", `{"status":405,"error":"session_inactive","patches":{"chat":{"enabled":false}}}`, 405, func(r reply) bool {
			return strings.Contains(r.body, `"error":"session_inactive"`) && strings.Contains(r.body, `"patches":{"chat":{"enabled":false}}`) && strings.Contains(r.body, `"timestamp":"20`)
		}},
		{"405 plain", `{"status":405,"body":"no"}`, 405, func(r reply) bool { return r.body == "no" }},
		{"500", `{"status":500}`, 500, func(r reply) bool { return strings.HasPrefix(r.header.Get("Content-Type"), "text/plain") }},
		{"503 with words", `{"status":503,"body":"closed"}`, 503, func(r reply) bool { return r.body == "closed" }},
		{"200 of another kind", `{"body":"{\"x\":1}"}`, 200, func(r reply) bool { return r.body == `{"x":1}` && r.header.Get("Content-Type") == "application/json" }},
		{"no room", `{"no_room":true,"title":"Closed today","error":"closed"}`, 200, func(r reply) bool {
			return !strings.Contains(r.body, `"room":`) && strings.Contains(r.body, "Closed today") && strings.Contains(r.body, `"error":"closed"`)
		}},
		{"late", `{"delay_ms":300}`, 200, func(r reply) bool { return strings.Contains(r.body, `"room":`) }},
	}
	for _, c := range cases {
		clinic.steer(t, "/sim/behave", `{"put":`+strings.TrimSuffix(c.told, "}")+`,"times":1}}`)
		began := time.Now()
		got := clinic.put(t, roomPath)
		if got.status != c.status || !c.check(got) {
			t.Errorf("%s: status %d, %v, %s", c.name, got.status, got.header, got.body)
		}
		if c.name == "late" && time.Since(began) < 300*time.Millisecond {
			t.Errorf("a late answer came after %v", time.Since(began))
		}
		if got := clinic.put(t, roomPath); got.status != http.StatusOK || !strings.Contains(got.body, `"room":`) {
			t.Errorf("after %s: status %d", c.name, got.status)
		}
	}
	for _, undo := range []struct{ path, body string }{{"/sim/behave", `{"put":null}`}, {"/sim/reset", ""}} {
		clinic.steer(t, "/sim/behave", `{"put":{"status":302},"patch":{"status":500}}`)
		for range 3 {
			if got := clinic.put(t, roomPath); got.status != http.StatusFound {
				t.Errorf("until changed: status %d", got.status)
			}
		}
		if got := clinic.put(t, roomPath+"/permission"); got.status != http.StatusOK || !strings.Contains(got.body, `"url":"`+roomPath+`"`) {
			t.Errorf("the permission endpoint: status %d, %s", got.status, got.body)
		}
		clinic.steer(t, undo.path, undo.body)
		if got := clinic.put(t, roomPath); got.status != http.StatusOK {
			t.Errorf("after %s: status %d", undo.path, got.status)
		}
	}
	clinic.steer(t, "/sim/behave", `{"put":{"status":500,"times":2}}`)
	for i, want := range []int{500, 500, 200} {
		if got := clinic.put(t, roomPath); got.status != want {
			t.Errorf("request %d of two that fail: status %d", i, got.status)
		}
	}
}

// TestSilence: no byte comes, and the end of the clinic or of the client's
// patience ends it.
func TestSilence(t *testing.T) {
	clinic := start(t, sim.Config{})
	clinic.steer(t, "/sim/behave", `{"put":{"silent":true}}`)
	ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPut, clinic.Backend+roomPath, nil)
	if err != nil {
		t.Fatal(err)
	}
	for h := clinic.kioskHeaders(); len(h) > 0; h = h[2:] {
		req.Header.Set(h[0], h[1])
	}
	if resp, err := clinic.client.Do(req); err == nil {
		_ = resp.Body.Close()
		t.Errorf("silence answered with %d", resp.StatusCode)
	} else if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("silence ended with %v", err)
	}
	if log := clinic.log(t); len(log) != 1 || log[0].Status != 0 || log[0].Method != http.MethodPut {
		t.Errorf("the log is %+v", log)
	}
	// One more that waits when the clinic ends: start's clean-up checks that it ends in time.
	waiting := make(chan error, 1)
	go func() {
		req := req.Clone(context.WithoutCancel(ctx))
		resp, err := clinic.client.Do(req)
		if err == nil {
			err = errors.Join(errors.New("answered"), resp.Body.Close())
		} else {
			err = nil
		}
		waiting <- err
	}()
	for deadline := time.Now().Add(wait); len(clinic.log(t)) < 2; {
		if time.Now().After(deadline) {
			t.Fatal("the second request did not come")
		}
	}
	t.Cleanup(func() {
		if err := <-waiting; err != nil {
			t.Error(err)
		}
	})
	clinic.end()
}

func TestUpdates(t *testing.T) {
	clinic := start(t, sim.Config{})
	if body := clinic.put(t, roomPath).body; strings.Contains(body, `"timeout"`) || strings.Contains(body, `"update"`) {
		t.Errorf("a timer that nobody asked for: %s", body)
	}
	clinic.steer(t, "/sim/behave", `{"room":{"timeout":0.5,"patches":{"report-issue":{"visible":false}},"session_seconds":7,"wait_seconds":8,"chat":false,"report_issue":false}}`)
	var s struct {
		screen
		Timeout float64
		Update  string
	}
	if err := json.Unmarshal([]byte(clinic.put(t, roomPath).body), &s); err != nil {
		t.Fatal(err)
	}
	if s.Timeout != 0.5 || s.Update != roomPath || s.Patches["report-issue"] == nil || s.Room.SessionSeconds != 7 || s.Room.WaitSeconds != 8 || s.Room.Chat || s.Room.ReportIssue {
		t.Errorf("the screen is %+v", s)
	}
	if got := clinic.patch(t, "timeout"); got.status != 200 || strings.TrimSpace(got.body) != `{"patches":{"report-issue":{"visible":false}},"timeout":0.5,"update":"`+roomPath+`"}` {
		t.Errorf("an update: status %d, %s", got.status, got.body)
	}
	clinic.steer(t, "/sim/behave", `{"room":null,"patch":{"title":"Please wait","times":1}}`)
	if got := clinic.patch(t, "timeout"); strings.TrimSpace(got.body) != `{"patches":{"title":{"value":"Please wait"}}}` {
		t.Errorf("the last update: %s", got.body)
	}
	clinic.steer(t, "/sim/behave", `{"patch":{"status":401}}`)
	if got := clinic.patch(t, "timeout"); got.status != 401 || got.body != "" {
		t.Errorf("status %d, %q", got.status, got.body)
	}
	for _, body := range []string{"", "update=", "other=x", "update=%zz"} {
		got := clinic.do(t, http.MethodPatch, roomPath, body, append(clinic.kioskHeaders(), "Content-Type", "application/x-www-form-urlencoded")...)
		if got.status != http.StatusBadRequest {
			t.Errorf("%q: status %d", body, got.status)
		}
	}
	if e := clinic.log(t)[2]; e.Method != http.MethodPatch || e.Update != "timeout" || e.Platform != "Linux" || e.Status != 200 || e.Seq != 3 {
		t.Errorf("the log says %+v", e)
	}
}

// TestExpire: an expired token is refused, and the next PUT brings another.
func TestExpire(t *testing.T) {
	clinic := start(t, sim.Config{})
	old := clinic.openRoom(t, "A-1").Room
	if got := greeted(t, old.URL, old.Token); got != signal.Welcome {
		t.Fatalf("a fresh token got %s", got)
	}
	clinic.steer(t, "/sim/expire", "")
	if got := greeted(t, old.URL, old.Token); got != signal.Error {
		t.Errorf("an expired token got %s", got)
	}
	fresh := clinic.openRoom(t, "A-1").Room
	if fresh.Token == old.Token || greeted(t, fresh.URL, fresh.Token) != signal.Welcome {
		t.Error("the PUT brought no new token that works")
	}

	clinic.steer(t, "/sim/behave", `{"room":{"expires_seconds":1}}`)
	short := clinic.openRoom(t, "A-1").Room
	if left := time.Until(short.Expires); short.Token == fresh.Token || left > time.Second {
		t.Errorf("a token for a second lasts %v", left)
	}
	for deadline := time.Now().Add(wait); greeted(t, short.URL, short.Token) != signal.Error; {
		if time.Now().After(deadline) {
			t.Fatal("a token for a second goes on for ever")
		}
	}
}

// TestSignallingTrouble: refused, dropped, silent, and well again.
func TestSignallingTrouble(t *testing.T) {
	clinic := start(t, sim.Config{})
	room := clinic.openRoom(t, "A-1")
	k := joinKiosk(t, room, "kiosk-1")
	k.expect(signal.Welcome)
	clinic.steer(t, "/sim/behave", `{"signal":{"refuse":true}}`)
	refused(t, room.Room.URL)
	k.send(signal.Message{Type: signal.Ping})
	k.expect(signal.Pong) // who is in stays

	clinic.steer(t, "/sim/behave", `{"signal":{"drop":true}}`)
	select {
	case <-k.ended:
	case <-time.After(wait):
		t.Error("the kiosk was not dropped")
	}
	refused(t, room.Room.URL)

	clinic.steer(t, "/sim/behave", `{"signal":{"silent":true}}`)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, room.Room.URL, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }() // the other side closes it first
	hello, err := signal.Marshal(signal.Message{Type: signal.Hello, Token: room.Room.Token, Peer: "k", Role: signal.Kiosk})
	if err == nil {
		err = conn.Write(ctx, websocket.MessageText, hello)
	}
	if err != nil {
		t.Fatal(err)
	}
	came := make(chan error, 1)
	go func() {
		_, b, err := conn.Read(ctx)
		if err == nil {
			err = errors.New("it said " + string(b))
		} else {
			err = nil
		}
		came <- err
	}()
	ping, stop := context.WithTimeout(ctx, 300*time.Millisecond)
	defer stop()
	if err := conn.Ping(ping); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a silent server answered a ping: %v", err)
	}
	clinic.steer(t, "/sim/reset", "")
	if err := <-came; err != nil {
		t.Error(err)
	}
	if got := greeted(t, room.Room.URL, room.Room.Token); got != signal.Welcome {
		t.Errorf("after the reset: %s", got)
	}
}

// refused wants the WebSocket refused with 503.
func refused(t *testing.T, address string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, address, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a connection while the signalling refuses: %v", err)
	}
}

// TestBodiesAreBounded: a request over its bound is refused without being read.
func TestBodiesAreBounded(t *testing.T) {
	clinic := start(t, sim.Config{})
	got := clinic.do(t, http.MethodPut, roomPath, strings.Repeat("x", 65<<10), clinic.kioskHeaders()...)
	if got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("status %d", got.status)
	}
}
