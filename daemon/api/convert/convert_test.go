package convert_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/api/convert"
	"kioskd/daemon/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var at = time.Date(2026, 11, 22, 10, 0, 0, 0, time.FixedZone("", 3600))

// model is a session with everything in it.
func model() session.Model {
	return session.Model{
		Appointment: "A-1", Peer: "secret-peer", State: session.Active, Title: "Dr A", OpenedAt: at, ActiveSince: at,
		Consent: session.Consent{Asked: true, Camera: session.Granted, Microphone: session.Dismissed},
		Camera:  session.Camera{ID: "usb-1"}, ChatOpen: true, Unread: 1, ReportOpen: true, ReportID: "r1", ReportSent: true,
		Messages: []session.Message{
			{ID: "1", Text: "secret one", At: at, Delivered: true},
			{ID: "2", From: "p1", Name: "Dr A", Text: "secret two", At: at},
			{ID: "3", Text: "secret three", At: at, Waiting: []string{"p1"}},
			{ID: "4", Text: "secret one", At: at},
		},
		Participants: []session.Participant{{ID: "p1", Name: "Dr A", Role: "clinician", Audio: true}, {ID: "p2", Presence: session.Gone}},
		Room:         &session.Room{URL: "wss://secret", Token: "secret-token"},
		Limits:       session.Limits{Wait: time.Minute, Session: time.Hour, Reconnect: 2 * time.Second},
	}
}

func TestSession(t *testing.T) {
	s := convert.Session(model(), at.Add(90*time.Second), []apitype.Device{{ID: "usb-1", Kind: "camera", Name: "Face"}}, map[string]float64{"rtt_ms": 2})
	for name, ok := range map[string]bool{
		"times":        s.TimerSeconds == 90 && s.TimerRunning && s.OpenedAt.Location() == time.UTC && s.EndedAt == nil,
		"chat":         s.Chat == apitype.Chat{Open: true, Total: 4, Unread: 1, Delivered: 1},
		"report":       s.Report == apitype.IssueReport{Open: true, Submitted: "r1", Sent: true},
		"consent":      s.Consent == apitype.Consent{Asked: true, Camera: "granted", Microphone: "dismissed"},
		"limits":       s.Limits == apitype.Limits{WaitSeconds: 60, SessionSeconds: 3600, ReconnectSeconds: 2},
		"camera":       s.Camera == apitype.Camera{ID: "usb-1", Name: "Face"},
		"quality":      s.Quality["rtt_ms"] == 2,
		"participants": len(s.Participants) == 2 && s.Participants[0].Presence == "here" && s.Participants[1].Presence == "gone",
	} {
		if !ok {
			t.Errorf("%s are not right: %+v", name, s)
		}
	}
	b, err := json.Marshal(s)
	if err != nil || strings.Contains(string(b), "secret") {
		t.Errorf("room, token, identity or the chat's words are out: %s, %v", b, err)
	}
	if convert.Session(session.Model{}, at, nil, nil) != nil {
		t.Error("no session is one")
	}
	m := model()
	m.State, m.EndedAt = session.Ended, at.Add(time.Minute)
	if s := convert.Session(m, at.Add(time.Hour), nil, map[string]float64{"rtt_ms": 2}); s.TimerRunning || s.TimerSeconds != 60 || len(s.Quality) != 0 {
		t.Errorf("ended, it is %+v", s)
	}
}

// The hardware's word stands beside the choice, while there is a session to speak of.
func TestHardware(t *testing.T) {
	m := model()
	m.Muted, m.Facts.CameraShut, m.Facts.MicrophoneShut = true, true, true
	if s := convert.Session(m, at, nil, nil); s.Audio != (apitype.Audio{Muted: true, Hardware: true}) || s.Video != (apitype.Video{Hardware: true}) {
		t.Errorf("it is %+v, %+v", s.Audio, s.Video)
	}
	m.State, m.EndedAt = session.Ended, at
	if s := convert.Session(m, at, nil, nil); s.Audio.Hardware || s.Video.Hardware {
		t.Errorf("ended, it is %+v, %+v", s.Audio, s.Video)
	}
}

func TestErrors(t *testing.T) {
	seen := map[string]bool{}
	for _, code := range []string{
		session.CodeCameraPermission, session.CodeMicrophonePermission, session.CodeNetwork, session.CodeRoom,
		session.CodeBackend, "unauthorized", "anything_else",
	} {
		m := model()
		m.State, m.Error = session.Error, session.Failure{Code: code, Retryable: true}
		e := convert.Session(m, at, nil, nil).Error
		if e == nil || e.Code != code || !e.Retryable || !strings.HasSuffix(e.Message, ".") || seen[e.Message] {
			t.Errorf("%s: %+v", code, e)
		}
		seen[e.Message] = true
		m.Error.Title = "The clinic's own words"
		if e := convert.Session(m, at, nil, nil).Error; e.Message != "The clinic's own words" {
			t.Errorf("%s: the backend's words are lost: %+v", code, e)
		}
	}
}

func TestMessages(t *testing.T) {
	list := convert.Messages(model()).Messages
	want := []apitype.Message{
		{ID: "1", From: "patient", Text: "secret one", At: at.UTC(), Delivered: true},
		{ID: "2", From: "participant", Participant: "p1", Name: "Dr A", Text: "secret two", At: at.UTC(), Delivered: true},
		{ID: "3", From: "patient", Text: "secret three", At: at.UTC()},
		{ID: "4", From: "patient", Text: "secret one", At: at.UTC()},
	}
	for i, m := range list {
		if i >= len(want) || m != want[i] {
			t.Errorf("message %d is %+v", i, m)
		}
	}
	if b, err := json.Marshal(convert.Messages(session.Model{})); err != nil || string(b) != `{"messages":[]}` {
		t.Errorf("none are %s, %v", b, err)
	}
}

func TestSent(t *testing.T) {
	for _, c := range []struct{ id, text, want string }{
		{"1", "whatever", "1"},
		{"new", "secret one", "4"}, // the newest with that text
		{"2", "secret two", ""},    // somebody else's
		{"new", "never said", ""},
	} {
		if m, ok := convert.Sent(model(), c.id, c.text); ok != (c.want != "") || m.ID != c.want {
			t.Errorf("%s %q: %+v, %v", c.id, c.text, m, ok)
		}
	}
}
