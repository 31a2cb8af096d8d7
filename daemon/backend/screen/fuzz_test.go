package screen

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"kioskd/daemon/backend/reach"
)

// FuzzScreen: no document makes the parser panic, what it accepts keeps every
// bound, and what it refuses is said without a piece of the document.
func FuzzScreen(f *testing.F) {
	f.Add([]byte(`{"title":"Visit","room":{"provider":"direct","url":"wss://clinic.example/signal","token":"t","expires":"2026-11-22T10:00:00Z",` +
		`"ice_servers":[{"urls":["turns:turn.example"],"username":"u","credential":"c"}],"participant":{"name":"Dr. Example","role":"clinician"},` +
		`"session_seconds":1800,"wait_seconds":900,"chat":true,"report_issue":true}}`))
	f.Add([]byte(`{"title":"Closed"}`))
	f.Add([]byte(`{"room":{"session_seconds":1e99}}`))
	allowed, err := reach.NewHosts(&url.URL{Scheme: "https", Host: "clinic.example"}, []string{"127.0.0.1:8080"})
	if err != nil {
		f.Fatal(err)
	}
	from := &url.URL{Scheme: "https", Host: "clinic.example", Path: "/x"}
	f.Fuzz(func(t *testing.T, data []byte) {
		screen, err := Parse(data, from, allowed)
		if err != nil {
			if len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\x00\n\x1b") {
				t.Errorf("error of %d bytes: %.100q", len(err.Error()), err)
			}
			return
		}
		if !text(screen.Title, maxTitle) {
			t.Errorf("title %q", screen.Title)
		}
		if room := screen.Room; room != nil {
			checkBounds(t, room, allowed)
			checkPatch(t, screen.Patch, allowed)
		}
	})
}

func checkBounds(t *testing.T, room *Room, allowed reach.Hosts) {
	u, err := url.Parse(room.URL)
	if err != nil || !allowed.Allow(u) || (u.Scheme != "wss" && !reach.Loopback(u.Hostname())) {
		t.Errorf("room at %q, %v", room.URL, err)
	}
	if room.Token == "" || len(room.Token) > 4*maxSecret || !inDay(room.SessionSeconds) || !inDay(room.WaitSeconds) || room.Expires.IsZero() && !strings.HasPrefix(room.Expires.String(), "0001") {
		t.Errorf("room %#v with limits %d, %d", room, room.SessionSeconds, room.WaitSeconds)
	}
	if !text(room.Participant.Name, maxName) || len(room.ICEServers) > maxICEServers {
		t.Errorf("participant or %d ICE servers out of bounds", len(room.ICEServers))
	}
	for _, server := range room.ICEServers {
		for _, raw := range server.URLs {
			if !iceURL.MatchString(raw) {
				t.Errorf("ICE server %q", raw)
			}
		}
	}
}

// FuzzPatch: the same for the changes of a PATCH and the body of a 405.
func FuzzPatch(f *testing.F) {
	f.Add([]byte(`{"patches":{"title":{"value":"Visit"},"chat":{"enabled":false},"mute":{"visible":true},"other":7},"update":"next?x=1","timeout":1.5}`))
	f.Add([]byte(`{"error":"session_inactive","timestamp":"2026-11-22T10:00:00Z","patches":{}}`))
	f.Add([]byte(`{"timeout":1e308}`))
	f.Add([]byte(`{"update":"//elsewhere.example"}`))
	allowed, err := reach.NewHosts(&url.URL{Scheme: "https", Host: "clinic.example"}, []string{"127.0.0.1:8080"})
	if err != nil {
		f.Fatal(err)
	}
	from := &url.URL{Scheme: "https", Host: "clinic.example", Path: "/api/v3/appointments/a/video-room"}
	f.Fuzz(func(t *testing.T, data []byte) {
		patch, err := ParsePatch(data, from, allowed)
		if err != nil && (len(err.Error()) > 2000 || strings.ContainsAny(err.Error(), "\x00\n\x1b")) {
			t.Errorf("error of %d bytes: %.100q", len(err.Error()), err)
		}
		checkPatch(t, patch, allowed)
		refusal := ParseRefusal(data, from, allowed)
		checkPatch(t, refusal.Patch, allowed)
		if refusal.Code != "" && !stateWord.MatchString(refusal.Code) {
			t.Errorf("code %q", refusal.Code)
		}
	})
}

func checkPatch(t *testing.T, patch Patch, allowed reach.Hosts) {
	if patch.Title != nil && !text(*patch.Title, maxTitle) {
		t.Errorf("title %q", *patch.Title)
	}
	if patch.Timeout != 0 && (patch.Timeout < minTimeout || patch.Timeout > maxTimeout) {
		t.Errorf("timeout %v", patch.Timeout)
	}
	for reference, control := range patch.Controls {
		if !slices.Contains(references(), reference) || control == (ControlPatch{}) {
			t.Errorf("control %q changes to %v", reference, control)
		}
	}
	if patch.Update == "" {
		return
	}
	u, err := url.Parse(patch.Update)
	if err != nil || u.Scheme != "https" || u.User != nil || u.Fragment != "" || !allowed.Allow(u) || len(patch.Update) > maxRoomURL {
		t.Errorf("update %q, %v", patch.Update, err)
	}
}
