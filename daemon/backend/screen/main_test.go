package screen_test

import (
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/daemon/backend/reach"
	"kioskd/daemon/backend/screen"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What must appear in no error.
const (
	canaryID    = "canary-appointment-7f3a"
	canaryName  = "Dr. Canary Oystercatcher"
	canaryTitle = "Visit of Canary Patient"
	canaryRoom  = "canary-room-token-55d0"
)

// from is where the documents come from.
func from(t testing.TB) *url.URL {
	t.Helper()
	u, err := url.Parse("https://clinic.example/base/api/v3/appointments/" + canaryID + "/video-room?x=1")
	if err != nil {
		t.Fatal(err)
	}
	return u
}

// allowed is the list of from's own host and two of loopback.
func allowed(t testing.TB) reach.Hosts {
	t.Helper()
	list, err := reach.NewHosts(from(t), []string{"127.0.0.1:8080", "rooms.example"})
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// document is a screen as maps, so that a test can break one thing in it.
type document map[string]any

func goodDocument() document {
	return document{
		"title": canaryTitle, "type": "Video", "blocking": true, "elements": []any{document{"reference": "mute"}}, "patches": document{},
		"room": document{
			"provider": "direct", "url": "wss://clinic.example/signal", "token": canaryRoom, "expires": "2026-11-22T10:00:00Z",
			"ice_servers":     []any{document{"urls": []string{"turns:turn.example:5349?transport=tcp"}, "username": "u", "credential": "c"}},
			"participant":     document{"name": canaryName, "role": "clinician"},
			"session_seconds": 1800, "wait_seconds": 900, "chat": true, "report_issue": false, "later": 1,
		},
	}
}

// with gives a copy in which the field at the dotted path has the value; nil
// removes it.
func (d document) with(path string, value any) document {
	name, rest, deeper := strings.Cut(path, ".")
	c := document{}
	for k, v := range d {
		c[k] = v
	}
	switch {
	case deeper:
		c[name] = c[name].(document).with(rest, value)
	case value == nil:
		delete(c, name)
	default:
		c[name] = value
	}
	return c
}

// parse gives what Parse makes of the document.
func (d document) parse(t testing.TB) (screen.Screen, error) {
	t.Helper()
	data, err := json.Marshal(d)
	if err != nil {
		t.Fatal(err)
	}
	return parse(t, string(data))
}

func parse(t testing.TB, text string) (screen.Screen, error) {
	t.Helper()
	got, err := screen.Parse([]byte(text), from(t), allowed(t))
	quotesNothing(t, err)
	return got, err
}

func parsePatch(t testing.TB, text string) (screen.Patch, error) {
	t.Helper()
	got, err := screen.ParsePatch([]byte(text), from(t), allowed(t))
	quotesNothing(t, err)
	return got, err
}

// quotesNothing holds every error to its promise.
func quotesNothing(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, word := range []string{canaryID, canaryName, canaryTitle, canaryRoom, "Oystercatcher", "Canary", "canary"} {
		if strings.Contains(err.Error(), word) {
			t.Errorf("the error holds %q: %v", word, err)
		}
	}
}

// says wants an error with the words in it.
func says(t testing.TB, err error, words string) {
	t.Helper()
	if err == nil || !strings.Contains(err.Error(), words) {
		t.Errorf("%v, want %q in it", err, words)
	}
}
