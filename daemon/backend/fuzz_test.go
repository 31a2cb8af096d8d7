package backend

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzScreen: no document makes the parser panic, what it accepts keeps every
// bound, and what it refuses is said without a piece of the document.
func FuzzScreen(f *testing.F) {
	f.Add([]byte(`{"title":"Visit","room":{"provider":"direct","url":"wss://clinic.example/signal","token":"t","expires":"2026-11-22T10:00:00Z",` +
		`"ice_servers":[{"urls":["turns:turn.example"],"username":"u","credential":"c"}],"participant":{"name":"Dr. Example","role":"clinician"},` +
		`"session_seconds":1800,"wait_seconds":900,"chat":true,"report_issue":true}}`))
	f.Add([]byte(`{"title":"Closed"}`))
	f.Add([]byte(`{"room":{"session_seconds":1e99}}`))
	allowed, err := newHosts(&url.URL{Scheme: "https", Host: "clinic.example"}, []string{"127.0.0.1:8080"})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		screen, err := parseScreen(data, allowed)
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
		}
	})
}

func checkBounds(t *testing.T, room *Room, allowed hosts) {
	u, err := url.Parse(room.URL)
	if err != nil || !allowed.allow(u) || (u.Scheme != "wss" && !loopbackHost(u.Hostname())) {
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
