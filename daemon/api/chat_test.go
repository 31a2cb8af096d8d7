package api_test

import (
	"errors"
	"net/http"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// active gives a running kiosk with the clinician there.
func active(t *testing.T) (*apitest.Kiosk, *http.Client) {
	t.Helper()
	k := start(t)
	c := clientOf(t, k, self)
	open(t, k, c)
	k.Arrive()
	if err := k.Await(deadline(t), session.Active, ""); err != nil {
		t.Fatal(err)
	}
	return k, c
}

// command posts and gives the session after it.
func command(t *testing.T, c *http.Client, path, body string) *apitype.Session {
	t.Helper()
	var a apitype.CommandAnswer
	ask(t, c, "POST", path, body, "Content-Type", jsonType).into(t, &a)
	if !a.Durable || a.Session == nil {
		t.Fatalf("%s %s: %+v", path, body, a)
	}
	return a.Session
}

// awaitSession asks until the session is as wanted.
func awaitSession(t *testing.T, c *http.Client, want func(*apitype.Session) bool) *apitype.Session {
	t.Helper()
	for ctx := deadline(t); ; {
		var s *apitype.Session
		ask(t, c, "GET", "/v1/session", "").into(t, &s)
		if s != nil && want(s) {
			return s
		}
		select {
		case <-ctx.Done():
			t.Fatalf("the session never was as wanted, it is %+v", s)
		case <-time.After(2 * time.Millisecond):
		}
	}
}

func TestRootChatBothWays(t *testing.T) {
	k, c := active(t)
	if s := command(t, c, "/v1/session/chat", ""); !s.Chat.Open {
		t.Errorf("an empty body did not open: %+v", s.Chat)
	}
	if s := command(t, c, "/v1/session/chat", `{"open":false}`); s.Chat.Open {
		t.Errorf("it is open still: %+v", s.Chat)
	}
	k.Say("m1", apitest.Canary+" good morning")
	if s := awaitSession(t, c, func(s *apitype.Session) bool { return s.Chat.Total == 1 }); s.Chat.Unread != 1 {
		t.Errorf("what came while it was closed is not unread: %+v", s.Chat)
	}
	if s := command(t, c, "/v1/session/chat", `{"open":true}`); !s.Chat.Open || s.Chat.Unread != 0 {
		t.Errorf("open, it is %+v", s.Chat)
	}
	var a apitype.MessageAnswer
	ask(t, c, "POST", "/v1/session/messages", `{"text":"  `+apitest.Canary+` hello\n"}`, "Content-Type", jsonType).into(t, &a)
	if m := a.Message; m.Text != apitest.Canary+" hello" || m.From != "patient" || m.ID == "" || m.At.IsZero() || a.Session == nil || a.Session.Chat.Total != 2 {
		t.Errorf("sent: %+v, %+v", a.Message, a.Session)
	}
	awaitSession(t, c, func(s *apitype.Session) bool { return s.Chat.Delivered == 1 })
	var list apitype.Messages
	r := ask(t, c, "GET", "/v1/session/messages", "")
	r.into(t, &list)
	if len(list.Messages) != 2 || list.Messages[0].From != "participant" || list.Messages[0].Participant != "p1" ||
		list.Messages[0].Name == "" || !list.Messages[0].Delivered || !list.Messages[1].Delivered || list.Messages[1].ID != a.Message.ID {
		t.Errorf("the chat is %s", r)
	}
	// Its words are nowhere else: not in the status, the session, a log.
	for _, path := range []string{"/v1/status", "/v1/session", "/v1/audit"} {
		if r := ask(t, c, "GET", path, ""); strings.Contains(string(r.body), "hello") || strings.Contains(string(r.body), "good morning") {
			t.Errorf("%s has the chat's words: %s", path, r)
		}
	}
	if log := k.Log.String(); strings.Contains(log, "hello") || strings.Contains(log, apitest.Canary) {
		t.Errorf("the log has them: %s", log)
	}
	command(t, c, "/v1/session/end-call", "")
	if r := ask(t, c, "GET", "/v1/session/messages", ""); string(r.body) != `{"messages":[]}` {
		t.Errorf("after the end there is %s", r)
	}
}

// A message that is sent again with its key is there once, and its answer is
// the same message.
func TestRootMessageOnceAKey(t *testing.T) {
	_, c := active(t)
	var ids []string
	send := func(text, key string) reply {
		return ask(t, c, "POST", "/v1/session/messages", `{"text":"`+text+`"}`, "Content-Type", jsonType, apitype.IdempotencyHeader, key)
	}
	for _, q := range [][2]string{{"one", "k1"}, {"one", "k1"}, {"two", "k2"}, {"one", "k3"}} {
		var a apitype.MessageAnswer
		send(q[0], q[1]).into(t, &a)
		if a.Message.Text != q[0] {
			t.Errorf("%v: answered %+v", q, a.Message)
		}
		ids = append(ids, a.Message.ID)
	}
	if ids[0] != ids[1] || ids[0] == ids[2] || ids[0] == ids[3] {
		t.Errorf("the ids are %q: want the second as the first and no other", ids)
	}
	if r := send("another", "k1"); r.problem(t).Code != session.CodeKeyReused {
		t.Errorf("a key for another text: %v", r)
	}
	var list apitype.Messages
	ask(t, c, "GET", "/v1/session/messages", "").into(t, &list)
	if len(list.Messages) != 3 {
		t.Errorf("%d messages are there, want 3", len(list.Messages))
	}
	command(t, c, "/v1/session/end-call", "")
	if r := send("two", "k2"); r.status != http.StatusConflict || r.problem(t).Code != session.CodeSessionOver {
		t.Errorf("repeated after the end: %v", r)
	}
}

func TestRootReportIssue(t *testing.T) {
	k, c := active(t)
	if s := command(t, c, "/v1/session/report-issue", ""); !s.Report.Open {
		t.Errorf("an empty body did not open: %+v", s.Report)
	}
	if s := command(t, c, "/v1/session/report-issue", `{"open":false}`); s.Report.Open {
		t.Errorf("it is open still: %+v", s.Report)
	}
	command(t, c, "/v1/session/report-issue", `{"open":true}`)
	const words = `{"text":"` + apitest.Canary + ` I cannot hear"}`
	s := command(t, c, "/v1/session/report-issue", words)
	if s.Report.Open || s.Report.Submitted != "r1" || s.Report.Sent {
		t.Errorf("submitted: %+v", s.Report)
	}
	var list apitype.Reports
	ask(t, c, "GET", "/v1/reports", "").into(t, &list)
	if len(list.Reports) != 1 || list.Reports[0].ID != "r1" || list.Reports[0].Bytes == 0 || list.Reports[0].At.IsZero() {
		t.Errorf("the reports are %+v", list)
	}
	if r := ask(t, c, "GET", "/v1/reports/r1", ""); r.status != 200 || r.header.Get("Content-Type") != jsonType || !strings.HasPrefix(string(r.body), `{"issue_bytes":`) {
		t.Errorf("its bundle is %s", r)
	}
	k.Runner.Post(session.ReportSent{ID: "r1"})
	awaitSession(t, c, func(s *apitype.Session) bool { return s.Report.Sent })

	before := state(t, k)
	for _, q := range []struct {
		body string
		code string
		want int
	}{
		{`{"text":"   "}`, "issue_required", http.StatusUnprocessableEntity},
		{`{"text":"` + strings.Repeat("a", 2001) + `"}`, "bad_message", http.StatusBadRequest},
		{`{"text":"x","open":true}`, apitype.CodeBadJSON, http.StatusBadRequest},
	} {
		r := ask(t, c, "POST", "/v1/session/report-issue", q.body, "Content-Type", jsonType)
		if p := r.problem(t); p.Code != q.code || r.status != q.want || p.Hint == "" {
			t.Errorf("%.40s: %v, want %d %s", q.body, r, q.want, q.code)
		}
	}
	if after := state(t, k); after != before {
		t.Errorf("a refusal changed %s to %s", before, after)
	}
	k.Store.Fill()
	r := ask(t, c, "POST", "/v1/session/report-issue", words, "Content-Type", jsonType)
	if p := r.problem(t); p.Code != session.CodeOutboxFull || r.status != http.StatusServiceUnavailable {
		t.Errorf("a full outbox: %v", r)
	}
	if log := k.Log.String(); strings.Contains(log, apitest.Canary) {
		t.Errorf("the patient's words are in the log: %s", log)
	}
}

func TestRootReportThatCannotBeGathered(t *testing.T) {
	k, c := active(t)
	k.Store.FailGather(errors.New("secret inside"))
	before := state(t, k)
	r := ask(t, c, "POST", "/v1/session/report-issue", `{"text":"It is loud."}`, "Content-Type", jsonType)
	if p := r.problem(t); r.status != http.StatusInternalServerError || p.Code != apitype.CodeInternal || strings.Contains(string(r.body), "secret") {
		t.Errorf("got %v", r)
	}
	if after := state(t, k); after != before {
		t.Errorf("it changed %s to %s", before, after)
	}
}

func TestRootPermissions(t *testing.T) {
	k, err := apitest.StartAsking(t.TempDir() + "/s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	c := clientOf(t, k, self)
	put := func(path, body string) *apitype.Session {
		t.Helper()
		var a apitype.CommandAnswer
		ask(t, c, "PUT", path, body, "Content-Type", jsonType).into(t, &a)
		return a.Session
	}
	if s := put("/v1/session", `{"appointment_id":"a"}`); s.State != apitype.StateWaitingPermissions || !s.Consent.Asked || s.Consent.Camera != "" {
		t.Errorf("opened: %s, %+v", s.State, s.Consent)
	}
	if s := put("/v1/session/permissions", `{"camera":"dismissed","microphone":"dismissed"}`); s.State != apitype.StateWaitingPermissions || s.Consent.Camera != "dismissed" {
		t.Errorf("dismissed: %s, %+v", s.State, s.Consent)
	}
	s := put("/v1/session/permissions", `{"camera":"denied","microphone":"granted"}`)
	if s.State != apitype.StateError || s.Error == nil || s.Error.Code != "camera_permission_required" || !s.Error.Retryable || s.Error.Message == "" {
		t.Errorf("denied: %s, %+v", s.State, s.Error)
	}
	s = put("/v1/session/permissions", `{"camera":"granted","microphone":"granted"}`)
	if s.State != apitype.StateWaiting || s.Consent.Camera != "granted" || s.Consent.Microphone != "granted" {
		t.Errorf("granted: %s, %+v", s.State, s.Consent)
	}
}

func TestRootSwapCamera(t *testing.T) {
	k, c := active(t)
	r := ask(t, c, "POST", "/v1/session/swap-camera", "")
	if p := r.problem(t); r.status != http.StatusConflict || p.Code != session.CodeCameraUnsupported {
		t.Errorf("with one camera: %v", r)
	}
	k.Plug()
	awaitSession(t, c, func(s *apitype.Session) bool { return s.Camera.Supported })
	if s := command(t, c, "/v1/session/swap-camera", ""); s.Camera.ID != apitest.SecondCamera || s.Camera.Name != "Document camera" {
		t.Errorf("swapped: %+v", s.Camera)
	}
	if s := command(t, c, "/v1/session/swap-camera", `{"camera":"`+apitest.Camera+`"}`); s.Camera.ID != apitest.Camera {
		t.Errorf("swapped back: %+v", s.Camera)
	}
	r = ask(t, c, "POST", "/v1/session/swap-camera", `{"camera":"usb-9"}`, "Content-Type", jsonType)
	if p := r.problem(t); r.status != http.StatusConflict || p.Code != session.CodeCameraUnknown {
		t.Errorf("an unknown one: %v", r)
	}
}

// TestRootAudit: each command is in it, the newest come, oldest first.
func TestRootAudit(t *testing.T) {
	k, c := active(t)
	for range 5 {
		command(t, c, "/v1/session/mute", "")
	}
	var all, two apitype.Audit
	ask(t, c, "GET", "/v1/audit", "").into(t, &all)
	ask(t, c, "GET", "/v1/audit?limit=2", "").into(t, &two)
	n := len(all.Entries)
	if n < 6 || !all.Intact || len(two.Entries) != 2 || two.Entries[1] != all.Entries[n-1] || two.Entries[0] != all.Entries[n-2] {
		t.Errorf("the audit is %+v, its end %+v", all, two)
	}
	mutes := 0
	for _, e := range all.Entries {
		if e.Kind == "audit" && strings.Contains(e.Text, "mute") && strings.Contains(e.Text, "uid=0 gid=0 pid=") {
			mutes++
		}
	}
	if mutes != 5 || strings.Contains(strings.Join(k.Audit.Texts(), " "), apitest.Canary) {
		t.Errorf("%d mutes are in the audit, want 5: %q", mutes, k.Audit.Texts())
	}
}
