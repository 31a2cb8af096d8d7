package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestRootWholeSession(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	if r := ask(t, c, "GET", "/v1/session", ""); string(r.body) != "null" {
		t.Errorf("no session is %s", r)
	}
	a := open(t, k, c)
	if !a.Durable || a.Session == nil || a.Session.State != apitype.StateWaiting {
		t.Errorf("open answered %+v", a)
	}
	k.Arrive()
	if err := k.Await(deadline(t), "active", ""); err != nil {
		t.Fatal(err)
	}
	var s apitype.Session
	ask(t, c, "GET", "/v1/session", "").into(t, &s)
	if s.State != apitype.StateActive || !s.TimerRunning || s.StartedAt == nil || s.Camera.Name != "Face camera" ||
		len(s.Participants) != 1 || !s.Participants[0].Audio || s.Participants[0].Presence != "here" {
		t.Errorf("the active session is %+v", s)
	}
	for _, step := range []struct {
		path, body      string
		muted, disabled bool
	}{
		{"/v1/session/mute", "", true, false},
		{"/v1/session/mute", "", false, false},
		{"/v1/session/mute", `{"muted":true}`, true, false},
		{"/v1/session/mute", `{"muted":true}`, true, false},
		{"/v1/session/disable-video", "", true, true},
		{"/v1/session/disable-video", `{"disabled":false}`, true, false},
		{"/v1/session/mute", `{"muted":false}`, false, false},
	} {
		var a apitype.CommandAnswer
		ask(t, c, "POST", step.path, step.body, "Content-Type", "application/json; charset=utf-8").into(t, &a)
		if a.Session.Audio.Muted != step.muted || a.Session.Video.Disabled != step.disabled || !a.Durable {
			t.Errorf("%s %s: %+v %+v", step.path, step.body, a.Session.Audio, a.Session.Video)
		}
	}
	a = apitype.CommandAnswer{}
	ask(t, c, "POST", "/v1/session/end-call", "").into(t, &a)
	if !a.Session.Final() || a.Session.State != apitype.StateEnded || a.Session.AppointmentID != "" || a.Session.EndedAt == nil {
		t.Errorf("the ended session is %+v", a.Session)
	}
}

func TestRootRefusalsOfTheSession(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	refused := func(method, path, body string, status int, code string) {
		t.Helper()
		r := ask(t, c, method, path, body, "Content-Type", jsonType)
		if p := r.problem(t); r.status != status || p.Code != code || p.Hint == "" {
			t.Errorf("%s %s: %v, want %d %s with a hint", method, path, r, status, code)
		}
	}
	refused("POST", "/v1/session/mute", "", http.StatusConflict, "no_session")
	open(t, k, c)
	refused("PUT", "/v1/session", `{"appointment_id":"another"}`, http.StatusConflict, "session_in_progress")
	open(t, k, c) // the same again is no error
	ask(t, c, "POST", "/v1/session/mute", `{"muted":true}`, "Content-Type", jsonType)
	k.Store.Fail(errors.New("no space left on device"))
	refused("POST", "/v1/session/mute", `{"muted":false}`, http.StatusServiceUnavailable, "store_unavailable")
	var a apitype.CommandAnswer // what narrows is done all the same, and says so
	ask(t, c, "POST", "/v1/session/disable-video", `{"disabled":true}`, "Content-Type", jsonType).into(t, &a)
	if a.Durable || !a.Session.Video.Disabled || !a.Session.Audio.Muted {
		t.Errorf("with a full disk: %+v, %+v", a, a.Session)
	}
	k.Store.Fail(nil)
	ask(t, c, "POST", "/v1/session/end-call", "").into(t, &a)
	refused("POST", "/v1/session/mute", `{"muted":false}`, http.StatusConflict, "session_over")
}

func TestRootIdempotencyKey(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	open(t, k, c)
	toggle := func(key string) bool {
		t.Helper()
		var a apitype.CommandAnswer
		ask(t, c, "POST", "/v1/session/mute", "", apitype.IdempotencyHeader, key).into(t, &a)
		return a.Session.Audio.Muted
	}
	for i, c := range []struct {
		key   string
		muted bool
	}{{"one", true}, {"one", true}, {"two", false}, {"two", false}, {"three", true}} {
		if toggle(c.key) != c.muted {
			t.Errorf("toggle %d, key %s: muted %v: a repeated key acts again, or a new one does not", i, c.key, !c.muted)
		}
	}
	for _, bad := range []string{"", "with space", strings.Repeat("k", 129), "é"} {
		r := ask(t, c, "POST", "/v1/session/mute", "", apitype.IdempotencyHeader, bad)
		if p := r.problem(t); r.status != http.StatusBadRequest || p.Code != apitype.CodeBadRequest {
			t.Errorf("key %q: %v", bad, r)
		}
	}
	r := ask(t, c, "POST", "/v1/session/end-call", "", apitype.IdempotencyHeader, "one")
	if p := r.problem(t); r.status != http.StatusUnprocessableEntity || p.Code != "idempotency_key_reused" {
		t.Errorf("a key for another command: %v", r)
	}
}

// changing matches what differs from run to run.
var changing = regexp.MustCompile(`"\d{4}-\d\d-\d\dT[0-9:.]+Z"`)

// TestRootGoldenAnswers keeps the JSON of every answer in a file that is
// reviewed: run with -update after a wanted change.
func TestRootGoldenAnswers(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	var got bytes.Buffer
	note := func(method, path, body string) {
		t.Helper()
		r := ask(t, c, method, path, body, "Content-Type", jsonType)
		got.WriteString(method + " " + path + " " + body + "\n" + http.StatusText(r.status) + " " + r.header.Get("Content-Type") + "\n")
		if err := json.Indent(&got, changing.ReplaceAll(r.body, []byte(`"TIME"`)), "", "  "); err != nil {
			t.Fatal(err)
		}
		got.WriteString("\n\n")
	}
	note("GET", "/v1/status", "")
	note("GET", "/v1/session", "")
	note("POST", "/v1/session/mute", "")
	note("GET", "/v1/nothing", "")
	k.Health.Set("backend_unauthorized", apitype.SeverityWarning, "The service refuses this kiosk.", "Renew its token.")
	note("GET", "/v1/health", "")
	note("GET", "/v1/devices", "")
	open(t, k, c)
	k.Arrive()
	if err := k.Await(deadline(t), "active", ""); err != nil {
		t.Fatal(err)
	}
	note("GET", "/v1/status", "")
	note("POST", "/v1/session/mute", `{"muted":true}`)
	note("POST", "/v1/session/end-call", "")
	golden := filepath.Join("testdata", "answers.golden")
	if *update {
		if err := os.WriteFile(golden, got.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got.Bytes(), want) {
		t.Errorf("the answers differ from %s; if that is wanted run the test with -update. Now:\n%s", golden, &got)
	}
}

// Nothing of the patient is in the log, whatever is asked.
func TestRootNothingOfThePatientIsLogged(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	open(t, k, c)
	k.Arrive()
	for _, r := range [][]string{
		{"PUT", "/v1/session", `{"appointment_id":"` + apitest.Canary + `-other"}`},
		{"PUT", "/v1/session", `{"appointment_id":"` + apitest.Canary + `/"}`},
		{"PUT", "/v1/session", `{"` + apitest.Canary + `":1}`},
		{"GET", "/v1/" + apitest.Canary, ""},
		{"GET", "/v1/status?" + apitest.Canary, ""},
		{"POST", "/v1/views/remote/" + apitest.Canary, apitest.Canary},
		{"DELETE", "/v1/views/" + apitest.Canary, ""},
		{"POST", "/v1/session/end-call", ""},
	} {
		a := ask(t, c, r[0], r[1], r[2], "Content-Type", jsonType, "User-Agent", apitest.Canary)
		if a.status >= 400 && strings.Contains(string(a.body), apitest.Canary) {
			t.Errorf("%s %s: the problem repeats it: %s", r[0], r[1], a)
		}
	}
	log := k.Log.String()
	if !strings.Contains(log, "control request") {
		t.Fatal("nothing was logged at all")
	}
	if strings.Contains(log, apitest.Canary) {
		t.Errorf("the log has it: %s", log)
	}
}
