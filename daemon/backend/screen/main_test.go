package screen_test

import (
	"net/url"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/daemon/backend/reach"
	"kioskd/daemon/backend/screen"
	"kioskd/daemon/backend/screen/screentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What must appear in no error.
const (
	canaryID    = "canary-appointment-7f3a"
	canaryName  = screentest.CanaryName
	canaryTitle = screentest.CanaryTitle
	canaryRoom  = screentest.CanaryRoom
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

type document = screentest.Document

func goodDocument() document {
	return screentest.Good("wss://clinic.example/signal", "2026-11-22T10:00:00Z")
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
