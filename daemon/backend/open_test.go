package backend_test

import (
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/backend"
)

// The room's token is judged by the backend's own clock, never by ours.
func TestExpiredOnArrival(t *testing.T) {
	for date, good := range map[string]bool{
		"Sun, 22 Nov 2026 09:59:59 GMT": true, "Sun, 22 Nov 2026 10:00:00 GMT": false, "Sun, 22 Nov 2026 11:00:00 GMT": false, "": true, "yesterday": true,
	} {
		s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Date"] = nil
			if date != "" {
				w.Header().Set("Date", date)
			}
			writeScreen(t, w, goodDocument(r.Host).With("room.expires", "2026-11-22T10:00:00Z"))
		})
		screen, err := s.open(t)
		if (err == nil) != good {
			t.Errorf("date %q: %v", date, err)
		}
		if !good {
			unavailable(true, "had expired").check(t, err)
		}
		if good && screen.Date.IsZero() != !strings.HasPrefix(date, "Sun") {
			t.Errorf("date %q was read as %v", date, screen.Date)
		}
	}
}

// A screen without a room has a title for the patient.
func TestNoRoomShowsItsTitle(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		writeScreen(t, w, goodDocument(r.Host).With("room", nil))
	})
	_, err := s.open(t)
	want{backend.CodeRoomUnavailable, false, backend.ErrRoomUnavailable, "no room"}.check(t, err)
	if backend.Title(err) != canaryTitle {
		t.Errorf("title %q", backend.Title(err))
	}
}

// A document's problem is the error's text.
func TestWrongDocument(t *testing.T) {
	for field, says := range map[string]string{"room.url": "lacks room.url", "title": "lacks title"} {
		s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
			writeScreen(t, w, goodDocument(r.Host).With(field, nil))
		})
		_, err := s.open(t)
		unavailable(false, says).check(t, err)
	}
}

// What the PUT says about its own refreshing; update is relative to where the
// last redirect led.
func TestScreenHasItsPatch(t *testing.T) {
	no := false
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		if !strings.HasPrefix(r.URL.Path, "/elsewhere/") {
			http.Redirect(w, r, "/elsewhere/room", http.StatusFound)
			return
		}
		writeScreen(t, w, goodDocument(r.Host).With("update", "update?n=1").With("timeout", 30).
			With("patches", document{"chat": document{"enabled": false}, "foreign": 7}))
	})
	screen, err := s.open(t)
	wanted := backend.Patch{
		Update: "http://" + s.host() + "/elsewhere/update?n=1", Timeout: 30 * time.Second,
		Controls: map[string]backend.ControlPatch{"chat": {Enabled: &no}},
	}
	if err != nil || !reflect.DeepEqual(screen.Patch, wanted) {
		t.Errorf("%#v with update %q, %v", screen.Patch, screen.Patch.Update, err)
	}
}

// An update that leads off the list is refused before anything goes there.
func TestScreenUpdateOffTheList(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		writeScreen(t, w, goodDocument(r.Host).With("update", "https://elsewhere.example/"+canaryID))
	})
	_, err := s.open(t)
	unavailable(false, "update names a host that is not on the list").check(t, err)
}

// A 405 brings what changes on the screen, and its title for the patient.
func TestStateErrorHasItsPatch(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusMethodNotAllowed)
		io.WriteString(w, `{"error":"session_inactive","patches":{"title":{"value":"`+canaryTitle+`"},"chat":{"visible":false}},"timeout":60,"update":"again"}`)
	})
	_, err := s.open(t)
	var state *backend.StateError
	if !errors.As(err, &state) || state.Code != "session_inactive" || backend.Title(err) != canaryTitle {
		t.Fatalf("%v with title %q", err, backend.Title(err))
	}
	if *state.Patch.Controls["chat"].Visible || state.Patch.Timeout != time.Minute || !strings.HasSuffix(state.Patch.Update, "/again") {
		t.Errorf("patch %#v", state.Patch)
	}
	if !strings.Contains(err.Error(), "cannot open the video room") || !backend.Permanent(err) {
		t.Errorf("%v, permanent %v", err, backend.Permanent(err))
	}
}
