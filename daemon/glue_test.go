package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"kioskd/configs/words"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
	"kioskd/daemon/call"
	"kioskd/daemon/room"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
	"kioskd/store"
)

func TestEventOfTheCallForTheSession(t *testing.T) {
	refused := fmt.Errorf("x: %w", room.ErrRefused)
	for _, c := range []struct {
		from call.Event
		want session.What // nil: the session need not know
	}{
		{call.Joined{Attempt: 1}, session.Joined{Attempt: 1}},
		{
			call.PeerJoined{Attempt: 2, Participant: room.Participant{ID: "p", Name: "n", Role: "clinician"}},
			session.PeerJoined{Attempt: 2, Participant: session.Participant{ID: "p", Name: "n", Role: "clinician"}},
		},
		{call.PeerLeft{Attempt: 3, ID: "p", Reason: room.ReasonBye}, session.PeerLeft{Attempt: 3, Participant: "p", How: session.Bye}},
		{call.PeerLeft{Attempt: 3, ID: "p", Reason: room.ReasonAway}, session.PeerLeft{Attempt: 3, Participant: "p", How: session.Away}},
		{call.PeerLeft{Attempt: 3, ID: "p", Reason: room.ReasonLost}, session.PeerLeft{Attempt: 3, Participant: "p", How: session.Lost}},
		{call.PeerLeft{Attempt: 3, ID: "p", Reason: "odd"}, session.PeerLeft{Attempt: 3, Participant: "p", How: session.Lost}},
		{call.MediaArrived{Attempt: 4, ID: "p", Kind: "audio"}, session.MediaArrived{Attempt: 4, Participant: "p", Kind: session.Audio}},
		{call.MediaArrived{Attempt: 4, ID: "p", Kind: "video"}, session.MediaArrived{Attempt: 4, Participant: "p", Kind: session.Video}},
		{call.MediaLost{Attempt: 5, ID: "p"}, session.MediaLost{Attempt: 5, Participant: "p"}},
		{call.MediaBack{Attempt: 6, ID: "p"}, session.MediaBack{Attempt: 6, Participant: "p"}},
		{call.RoomLost{Attempt: 7}, session.RoomLost{Attempt: 7}},
		{call.RoomBack{Attempt: 8}, session.RoomBack{Attempt: 8}},
		{call.RoomClosed{Attempt: 9, Err: refused}, session.JoinFailed{Attempt: 9, Code: session.CodeTokenRefused, Retryable: true}},
		{call.RoomClosed{Attempt: 9, Err: errors.New("x")}, session.JoinFailed{Attempt: 9, Code: session.CodeRoom, Retryable: true}},
		{call.EncoderFailed{Kind: "video"}, nil},
	} {
		got, ok := sessionEvent(c.from)
		if ok != (c.want != nil) || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%T becomes %#v, %v", c.from, got, ok)
		}
	}
}

func TestStatusLineNamesNobody(t *testing.T) {
	for _, c := range []struct {
		model session.Model
		want  string
	}{
		{session.Model{}, "Idle: no session"},
		{session.Model{State: session.Waiting, Phase: session.Joining}, "Session: waiting, joining"},
		{session.Model{State: session.Active, Title: "Canary"}, "Session: active"},
		{session.Model{State: session.WaitingPermissions}, "Session: waiting_permissions"},
		{session.Model{State: session.Error, Error: session.Failure{Code: "unauthorized", Title: "Canary"}}, "Session: error, unauthorized"},
	} {
		c.model.Appointment = "Canary"
		if got := statusLine(c.model); got != c.want {
			t.Errorf("got %q, want %q", got, c.want)
		}
	}
}

func TestResultsOfTheBackend(t *testing.T) {
	expires := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	got := roomLoaded(3, backend.Screen{Title: "T", Room: &backend.Room{
		Provider: "direct", URL: "wss://x", Token: "t", Expires: expires, Chat: true, ReportIssue: true, SessionSeconds: 60, WaitSeconds: 30,
		Participant: backend.Participant{Name: "N", Role: "clinician"},
		ICEServers:  []backend.ICEServer{{URLs: []string{"turn:x"}, Username: "u", Credential: "c"}},
	}})
	want := session.RoomLoaded{
		Attempt: 3, Title: "T", Limits: session.Limits{Wait: 30 * time.Second, Session: time.Minute},
		Room: session.Room{
			Provider: "direct", URL: "wss://x", Token: "t", Expires: expires, Chat: true, ReportIssue: true,
			Participant: session.Participant{Name: "N", Role: "clinician"},
			ICEServers:  []session.ICEServer{{URLs: []string{"turn:x"}, Username: "u", Credential: "c"}},
		},
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("the room became %#v", got)
	}
	if j := joinParams(session.JoinParams{Attempt: 3, Peer: "p", Room: got.Room}); j.URL != "wss://x" || j.Token != "t" || j.Peer != "p" ||
		j.Attempt != 3 || len(j.ICEServers) != 1 || j.ICEServers[0].Username != "u" || fmt.Sprint(j.ICEServers[0].Credential) != "c" {
		t.Errorf("to join with it takes %d servers of %s", len(j.ICEServers), j.URL)
	}
	for _, c := range []struct {
		err  error
		want session.RoomFailed
	}{
		{&backend.Error{Code: backend.CodeRoomUnavailable, Title: "Closed"}, session.RoomFailed{Code: "room_unavailable", Title: "Closed"}},
		{&backend.Error{Code: backend.CodeNetworkUnavailable, Retryable: true}, session.RoomFailed{Code: "network_unavailable", Retryable: true}},
		{&backend.StateError{Code: "session_inactive"}, session.RoomFailed{Code: "session_inactive"}},
		{errors.New("odd"), session.RoomFailed{Code: backend.CodeBackendUnavailable}},
	} {
		c.want.Attempt = 4
		if got := roomFailed(4, c.err); got != c.want {
			t.Errorf("%v becomes %#v", c.err, got)
		}
	}
	for a, want := range map[session.Answer]backend.Grant{
		session.Granted: backend.Granted, session.Denied: backend.Denied, session.Dismissed: backend.Query, session.Unanswered: backend.Query,
	} {
		if got := grant(a); got != want {
			t.Errorf("%q becomes %s", a, got)
		}
	}
	for how, want := range map[session.Leaving]room.Reason{
		session.Bye: room.ReasonBye, session.Away: room.ReasonAway, session.Lost: room.ReasonAway, "": room.ReasonAway,
	} {
		if got := leavingWord(how); got != want {
			t.Errorf("%q becomes %s", how, got)
		}
	}
}

func TestProblemsOfViews(t *testing.T) {
	other := errors.New("odd")
	for _, c := range []struct {
		err    error
		status int
		code   string
	}{
		{call.ErrNoView, http.StatusNotFound, apitype.CodeNotFound},
		{fmt.Errorf("x: %w", call.ErrNoStream), http.StatusNotFound, apitype.CodeNotFound},
		{call.ErrBadOffer, http.StatusBadRequest, apitype.CodeBadSDP},
		{call.ErrTooManyView, http.StatusServiceUnavailable, "too_many_views"},
	} {
		var p *apitype.Problem
		if !errors.As(problemOf(c.err), &p) || p.Status != c.status || p.Code != c.code || p.Hint == "" {
			t.Errorf("%v becomes %+v", c.err, p)
		}
	}
	if problemOf(nil) != nil || !errors.Is(problemOf(other), other) {
		t.Error("nothing and the unknown must stay what they are")
	}
	v := views{newRig(t, silentBackend).call}
	for _, stream := range []string{"", "remote/", "remote/nobody", "remote", "camera"} {
		_, _, err := v.Create(context.Background(), stream, "v=0")
		var p *apitype.Problem
		if !errors.As(err, &p) || p.Code != apitype.CodeNotFound {
			t.Errorf("%q gives %v", stream, err)
		}
	}
	for _, err := range []error{v.Patch("none", "a=x"), v.Delete("none")} {
		var p *apitype.Problem
		if !errors.As(err, &p) || p.Code != apitype.CodeNotFound {
			t.Errorf("an unknown view gives %v", err)
		}
	}
}

func openStore(t *testing.T) *store.Store {
	t.Helper()
	s, err := store.Open(t.TempDir(), store.Options{Log: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestSessionIsKeptUntilItIsOver(t *testing.T) {
	p := persistence{openStore(t)}
	if m, err := p.Load(); err != nil || m.Exists() {
		t.Fatalf("an empty store has %v, %v", m, err)
	}
	now := time.Now().UTC().Round(0)
	m, _, _, err := session.Step(session.Model{}, session.Event{At: now, What: session.Open{Appointment: "canary", Peer: "peer-1"}})
	if err != nil {
		t.Fatal(err)
	}
	m.Muted = true
	if err := p.Commit(runner.Commit{
		Model: m, Outputs: []session.Output{{Key: "state", Value: "waiting"}}, Audit: "open done by: uid=1",
	}); err != nil {
		t.Fatal(err)
	}
	id, _, ok, err := p.store.LoadSession()
	if err != nil || !ok || id != "peer-1" {
		t.Errorf("it is kept as %q, %v: an id in the clear must be the random one", id, err)
	}
	got, err := p.Load()
	if err != nil || got.Appointment != "canary" || !got.Muted || got.Peer != "peer-1" || got.State != session.Waiting {
		t.Errorf("it came back as %+v, %v", got, err)
	}
	journal, err := p.store.Journal(10)
	if err != nil || len(journal) != 2 || journal[0].Kind != "audit" || journal[0].Text != "open done by: uid=1" ||
		journal[1].Kind != "output" || journal[1].Text != "state=waiting" {
		t.Errorf("the journal is %v, %v", journal, err)
	}
	m, _, _, err = session.Step(m, session.Event{At: now, What: session.EndCall{}})
	if err != nil {
		t.Fatal(err)
	}
	if err := p.Commit(runner.Commit{Model: m, Audit: "end-call done"}); err != nil {
		t.Fatal(err)
	}
	if m, err := p.Load(); err != nil || m.Exists() {
		t.Errorf("after the end there is %v, %v", m, err)
	}
}

// However a participant writes, the store takes the session.
func TestFullChatIsKept(t *testing.T) {
	p := persistence{openStore(t)}
	at := time.Now().UTC().Round(0)
	var m session.Model
	for _, w := range []session.What{
		session.NetworkChanged{Up: true},
		session.Open{Appointment: "a", Peer: "peer-1"},
		session.DeviceReport{Camera: session.DeviceMissing, Microphone: session.DeviceMissing},
		session.RoomLoaded{Attempt: 1, Room: session.Room{Chat: true}},
		session.Joined{Attempt: 1},
		session.PeerJoined{Attempt: 1, Participant: session.Participant{ID: "p"}},
	} {
		m, _, _, _ = session.Step(m, session.Event{At: at, What: w})
	}
	for i := range session.MaxMessages {
		m, _, _, _ = session.Step(m, session.Event{At: at, What: session.MessageArrived{
			Attempt: 1, Participant: "p", ID: fmt.Sprint(i), Text: session.PatientText(strings.Repeat("<", session.MaxMessageText)),
		}})
	}
	if err := p.Commit(runner.Commit{Model: m}); err != nil {
		t.Fatal(err)
	}
	if got, err := p.Load(); err != nil || len(m.Messages) == 0 || len(got.Messages) != len(m.Messages) {
		t.Errorf("%d messages of %d came back, %v", len(got.Messages), len(m.Messages), err)
	}
}

func TestUnreadableSessionIsAnErrorWithoutContent(t *testing.T) {
	p := persistence{openStore(t)}
	if err := p.store.Save(store.Save{ID: "peer-1", Model: []byte(`{"version":1,"state":"canary"}`)}); err != nil {
		t.Fatal(err)
	}
	m, err := p.Load()
	if err == nil || m.Exists() || strings.Contains(err.Error(), "canary") || !strings.HasPrefix(err.Error(), "cannot ") {
		t.Errorf("got %v, %v", m, err)
	}
}

// A part that speaks after the session's end is heard by nobody, which is no
// fault while the daemon stops.
func TestPostAfterTheSessionsEnd(t *testing.T) {
	k := &kiosk{ending: func() bool { return false }}
	var err error
	k.runner, err = runner.New(runner.Options{Store: persistence{openStore(t)}, Perform: func(context.Context, session.Effect) {}})
	if err != nil {
		t.Fatal(err)
	}
	if !k.post(session.Tick{}) {
		t.Error("a session that is about to start takes nothing")
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := k.runner.Run(ended); err != nil {
		t.Fatal(err)
	}
	if k.post(session.Tick{}) {
		t.Error("a session that ended by itself went unnoticed")
	}
	k.ending = func() bool { return true }
	if !k.post(session.Tick{}) {
		t.Error("a stop is taken for a fault")
	}
}

// Whatever the daemon itself can say has words in every language; devices and session
// see to their own.
func TestConditionsHaveWords(t *testing.T) {
	for _, lang := range words.Languages() {
		w, err := words.Load(lang)
		if err != nil {
			t.Fatal(err)
		}
		for _, code := range []string{"store_degraded", "store_damaged", "backend_unauthorized", "reports_waiting", "media_one_way", "safe_mode", "clock_unsynchronised"} {
			for _, key := range []string{"condition." + code + ".title", "condition." + code + ".hint"} {
				if !w.Has(key) || w.Text(key) == "" {
					t.Errorf("%s has no words for %s", lang, key)
				}
			}
		}
	}
}
