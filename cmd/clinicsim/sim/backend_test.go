package sim_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kioskd/cmd/clinicsim/sim"
	"kioskd/daemon/room/direct/signal"
)

const roomPath = "/api/v3/appointments/A-1/video-room"

func TestScreenDocument(t *testing.T) {
	clinic := start(t, sim.Config{SessionSeconds: 60, WaitSeconds: 30, Name: "Dr. Żak"})
	s := clinic.openRoom(t, "A-1")
	if s.Title == "" || s.Type != "Video" || s.Locale != "en" || s.URL != roomPath || s.Patches == nil || len(s.Patches) != 0 {
		t.Errorf("screen %+v", s)
	}
	var references []string
	for _, e := range s.Elements {
		references = append(references, e.Reference)
		if e.Level != 1 {
			t.Errorf("%s is on level %d", e.Reference, e.Level)
		}
		if (e.Placement == "~") == (e.Reference == "start-call") {
			t.Errorf("%s is placed at %q", e.Reference, e.Placement)
		}
	}
	want := []string{"start-call", "end-call", "report-issue", "spacer", "swap-camera", "disable-video", "mute"}
	if !slices.Equal(references, want) {
		t.Errorf("references %v, want %v", references, want)
	}
	if e := s.Elements[0]; e.Type != "Button" || e.Value != "Start call" || e.Visible == nil || *e.Visible || !e.Autostart {
		t.Errorf("start-call is %+v", e)
	}
	if e := s.Elements[6]; e.Type != "Link" || e.Value != "[Mute]" {
		t.Errorf("mute is %+v", e)
	}
	r := s.Room
	wantURL := "ws" + strings.TrimPrefix(clinic.Backend, "http") + "/signal"
	if r.Provider != "direct" || r.URL != wantURL || len(r.Token) < 20 || r.ICEServers == nil || !r.Chat || !r.ReportIssue {
		t.Errorf("room of provider %q at %q", r.Provider, r.URL)
	}
	if left := time.Until(r.Expires); left < time.Hour-time.Minute || left > 3*time.Hour {
		t.Errorf("the token expires in %v", left)
	}
	if r.Participant.Name != "Dr. Żak" || r.Participant.Role != "clinician" || r.SessionSeconds != 60 || r.WaitSeconds != 30 {
		t.Errorf("room %+v", r.Participant)
	}
}

func TestRoomTokens(t *testing.T) {
	clinic := start(t, sim.Config{})
	first, again, other := clinic.openRoom(t, "A-1"), clinic.openRoom(t, "A-1"), clinic.openRoom(t, "A-2")
	if first.Room.Token != again.Room.Token {
		t.Error("the same appointment got another token: a kiosk that comes back would not supersede itself")
	}
	if first.Room.Token == other.Room.Token {
		t.Error("two appointments share a token")
	}
	for _, token := range []string{"", "x", clinic.token} {
		if token != "" && greeted(t, first.Room.URL, token) != signal.Error {
			t.Errorf("a token that is no room's was let in")
		}
	}
	if got := greeted(t, first.Room.URL, first.Room.Token); got != signal.Welcome {
		t.Errorf("the room's own token got %s", got)
	}
}

// greeted says hello with the token and gives the type of the answer.
func greeted(t *testing.T, url, token string) signal.Type {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.CloseNow() }() // the answer is all we want
	hello, err := signal.Marshal(signal.Message{Type: signal.Hello, Token: token, Peer: "k", Role: signal.Kiosk})
	if err != nil {
		t.Fatal(err)
	}
	if err := conn.Write(ctx, websocket.MessageText, hello); err != nil {
		t.Fatal(err)
	}
	_, b, err := conn.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	m, err := signal.Parse(b)
	if err != nil {
		t.Fatal(err)
	}
	return m.Type
}

func TestBackendRefuses(t *testing.T) {
	clinic := start(t, sim.Config{})
	with := func(name, value string) []string { return append(clinic.kioskHeaders(), name, value) }
	cases := []struct {
		name, method, path string
		header             []string
		status             int
	}{
		{"no token", http.MethodPut, roomPath, nil, 401},
		{"wrong token", http.MethodPut, roomPath, with("Authorization", "Bearer nonsense"), 401},
		{"wrong scheme", http.MethodPut, roomPath, with("Authorization", "Basic "+clinic.token), 401},
		{"wrong token, wrong method", http.MethodGet, roomPath, nil, 401},
		{"GET", http.MethodGet, roomPath, clinic.kioskHeaders(), 405},
		{"POST", http.MethodPost, roomPath, clinic.kioskHeaders(), 405},
		{"a report with PUT", http.MethodPut, roomPath + "/issue/report", clinic.kioskHeaders(), 405},
		{"a permission with POST", http.MethodPost, roomPath + "/permission", clinic.kioskHeaders(), 405},
		{"a report without token", http.MethodPost, roomPath + "/issue/report", nil, 401},
		{"a permission without camera", http.MethodPut, roomPath + "/permission", with("X-Camera", ""), 400},
		{"unknown camera", http.MethodPut, roomPath, with("X-Camera", "granted"), 400},
		{"no microphone", http.MethodPut, roomPath, with("X-Microphone", ""), 400},
		{"no device", http.MethodPut, roomPath, with("X-Device", ""), 400},
		{"strange id", http.MethodPut, "/api/v3/appointments/a%20b/video-room", clinic.kioskHeaders(), 404},
		{"a path as id", http.MethodPut, "/api/v3/appointments/..%2Fx/video-room", clinic.kioskHeaders(), 404},
		{"long id", http.MethodPut, "/api/v3/appointments/" + strings.Repeat("a", 129) + "/video-room", clinic.kioskHeaders(), 404},
		{"unknown endpoint", http.MethodPut, "/api/v3/appointments/A-1/nothing", clinic.kioskHeaders(), 404},
	}
	for _, c := range cases {
		got := clinic.do(t, c.method, c.path, "", c.header...)
		if got.status != c.status {
			t.Errorf("%s: status %d, want %d", c.name, got.status, c.status)
		}
		switch got.status {
		case http.StatusUnauthorized:
			if got.body != "" || got.header.Get("X-Forward") == "" {
				t.Errorf("%s: body %q, X-Forward %q", c.name, got.body, got.header.Get("X-Forward"))
			}
		case http.StatusMethodNotAllowed:
			var body struct {
				Error     string
				Timestamp time.Time
			}
			if err := json.Unmarshal([]byte(got.body), &body); err != nil || body.Error == "" || body.Timestamp.IsZero() {
				t.Errorf("%s: body %q (%v)", c.name, got.body, err)
			}
		}
	}
}

func TestAppointmentsAreBounded(t *testing.T) {
	clinic := start(t, sim.Config{})
	for i := range 256 {
		clinic.openRoom(t, fmt.Sprint("A-", i))
	}
	path := "/api/v3/appointments/one-more/video-room"
	if got := clinic.do(t, http.MethodPut, path, "", clinic.kioskHeaders()...); got.status != http.StatusInternalServerError {
		t.Errorf("the 257th: status %d", got.status)
	}
	clinic.openRoom(t, "A-0")
}

func TestLogAndRoomForTests(t *testing.T) {
	clinic := start(t, sim.Config{})
	if got := clinic.do(t, http.MethodGet, "/sim/log", ""); strings.TrimSpace(got.body) != "[]" {
		t.Errorf("a fresh log is %s", got.body)
	}
	opened := clinic.openRoom(t, "A-1")
	clinic.do(t, http.MethodPut, roomPath, "", "X-Camera", "Denied", "X-Microphone", "Query")
	var entries []sim.Entry
	if err := json.Unmarshal([]byte(clinic.do(t, http.MethodGet, "/sim/log", "").body), &entries); err != nil {
		t.Fatal(err)
	}
	for i := range entries {
		if time.Since(entries[i].Time) > wait {
			t.Errorf("entry %d is from %v", i, entries[i].Time)
		}
		entries[i].Time = time.Time{}
	}
	want := []sim.Entry{
		{Seq: 1, Method: http.MethodPut, Path: roomPath, Camera: "Granted", Microphone: "Granted", Device: "Desktop", Status: 200},
		{Seq: 2, Method: http.MethodPut, Path: roomPath, Camera: "Denied", Microphone: "Query", Status: 401},
	}
	if !reflect.DeepEqual(entries, want) {
		t.Errorf("log %+v, want %+v", entries, want)
	}
	k := joinKiosk(t, opened, "kiosk-1")
	k.expect(signal.Welcome)
	if got := strings.TrimSpace(clinic.do(t, http.MethodGet, "/sim/room", "").body); got != `{"peers":[{"room":"A-1","peer":"kiosk-1","role":"kiosk"}]}` {
		t.Errorf("room %s", got)
	}
}
