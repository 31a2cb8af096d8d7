package e2e_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
	"kioskd/daemon/room/direct/chat"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
)

// noCanary stops a stage and checks that nothing of the patient, and no token, is left
// where it must not be. Each scene ends with it.
func noCanary(t *testing.T, s *stage.Stage) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second) // the test's own is over
	defer cancel()
	list, err := s.Canaries(ctx)
	if err != nil {
		t.Errorf("cannot look for canaries: %v", err)
	}
	alive, err := s.FindAlive(ctx, list)
	if err != nil {
		t.Errorf("cannot look for canaries: %v", err)
	}
	if err := s.Stop(); err != nil {
		t.Error(err)
	}
	kept, err := s.FindKept(list)
	if err != nil {
		t.Error(err)
	}
	for _, hit := range append(alive, kept...) {
		t.Errorf("%s", hit)
	}
}

// The canaries that TestCanaries plays, by where they come in. The stage knows the
// backend's and the room's token besides.
const (
	canaryAppointment = "canary-appointment-8841"
	canaryExpected    = "Dr. Kanárek-Ångström"
	canaryPeer        = "canary-peer-5512"
	canaryName        = "Dra. Ñandú \"la\" Canaria <b>"
	canaryTitle       = "Sprechstunde für Frau Zeisig, geb. Müßig"
	canarySaid        = "Mi número es 4711-0815, señor"
	canaryHeard       = "Ihre Blutwerte: 17,3 µg & <normal>"
	canaryMessage     = "canary-message-7781"
	canaryReport      = "Ich höre Frau Dr. Kanárek nicht; Zimmer 4.17"
	canaryICEUser     = "1700000000:canary-user"
	canaryICESecret   = "canary/credential+secret="
	canaryUpdate      = "canary-update-path-66"
	canaryBadID       = "canary bad id/../2231"
	canaryBadText     = "canary with\x07control characters"
	canaryField       = "canary_unknown_field_31"
	canaryKey         = "canary-idempotency-90210"
	canaryTrace       = "Traceback: patient Amsel, Gerda (1941)"
	canaryState       = "Frau Amsel ist noch nicht aufgerufen"
	canaryElsewhere   = "canary-elsewhere-3333"
	canaryWrongKey    = "canary-second-appointment-5"
)

// TestCanaries plays a call in which everything bears a name that must be found
// nowhere: all that was printed at the level debug, refusals and faults of the backend
// and of the API, the dump of a daemon that is aborted in the call, command lines,
// environments, metrics, and the state directory after the end.
func TestCanaries(t *testing.T) {
	c := theScene(t, stage.Options{Settings: []string{"log.level=debug"}})
	c.Secret(
		canaryAppointment, canaryExpected, canaryPeer, canaryName, canaryTitle, canarySaid, canaryHeard, canaryMessage, canaryReport,
		canaryICEUser, canaryICESecret, canaryUpdate, canaryBadID, canaryBadText, canaryField, canaryKey, canaryTrace, canaryState,
		canaryElsewhere, canaryWrongKey,
	)
	c.faultyOpenings(t)
	c.namedScreen(t)
	far := c.namedClinician(t)
	c.open(t, canaryAppointment, apitype.StateActive)
	c.namedTalk(t, far)
	c.namedRefusals(t)
	if err := c.AbortKioskd(); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(c.Kioskd.Log(), "\ngoroutine "); n < 20 {
		t.Errorf("the abort printed %d goroutines only", n)
	}
	c.starts(t)
	c.reaches(t, apitype.StateActive)
	c.Secret(c.doorToken(t))
	c.over(t)
	c.reaches(t, apitype.StateEnded)
	unit, err := os.ReadFile("../../systemd/units/kioskd.service")
	if err != nil || !strings.Contains(string(unit), "\nLimitCORE=0\n") {
		t.Errorf("the unit lets the kernel write a core, which holds all of this: %v", err)
	}
}

// faultyOpenings has the backend answer wrongly in many ways, with names in each.
func (c *scene) faultyOpenings(t *testing.T) {
	t.Helper()
	for name, put := range map[string]map[string]any{
		"500":         {"status": 500, "body": canaryTrace},
		"405":         {"status": 405, "error": "too_early", "patches": map[string]any{"title": map[string]any{"value": canaryState}}},
		"302":         {"status": 302, "location": "https://elsewhere.invalid/" + canaryElsewhere},
		"no JSON":     {"status": 200, "body": "{" + canaryTrace},
		"odd JSON":    {"status": 200, "body": fmt.Sprintf(`{"room":{"provider":%q,"url":%q}}`, canaryTrace, "https://"+canaryElsewhere)},
		"wrong title": {"no_room": true, "title": canaryState},
	} {
		t.Run(name, func(t *testing.T) {
			c.behave(t, map[string]any{"put": put})
			c.open(t, canaryWrongKey, apitype.StateError)
			c.over(t)
		})
	}
}

// namedScreen has the backend answer with a screen full of names.
func (c *scene) namedScreen(t *testing.T) {
	t.Helper()
	screen, err := c.Document(t.Context(), canaryAppointment)
	if err != nil {
		t.Fatal(err)
	}
	room, ok := screen["room"].(map[string]any)
	if !ok {
		t.Fatalf("no room in %v", screen)
	}
	screen["title"], screen["timeout"], screen["update"] = canaryTitle, 1, "/api/v3/"+canaryUpdate
	room["participant"] = map[string]any{"name": canaryExpected, "role": "clinician"}
	room["ice_servers"] = []any{map[string]any{"urls": []string{"turn:127.0.0.1:9"}, "username": canaryICEUser, "credential": canaryICESecret}}
	body, err := json.Marshal(screen)
	if err != nil {
		t.Fatal(err)
	}
	c.behave(t, map[string]any{"put": map[string]any{"status": 200, "body": string(body)}})
}

// namedClinician joins the room under a name.
func (c *scene) namedClinician(t *testing.T) *directtest.Clinician {
	t.Helper()
	room, err := c.Room(t.Context(), canaryAppointment)
	if err != nil {
		t.Fatal(err)
	}
	return directtest.Join(t, room.URL, room.Token, directtest.Who{
		Peer: canaryPeer, Name: canaryName, Role: signal.Clinician, Send: []webrtc.TrackLocal{newDistant(t).track},
	})
}

// namedTalk says something both ways and hands a report in.
func (c *scene) namedTalk(t *testing.T, far *directtest.Clinician) {
	t.Helper()
	far.AwaitChat()
	far.Tell(chat.Frame{Type: chat.Message, ID: canaryMessage, Text: canaryHeard, At: time.Now().UTC()})
	if _, err := c.api.SendMessage(t.Context(), canarySaid); err != nil {
		t.Fatal(err)
	}
	until(t, "the clinician's message is there", 5*time.Second, func() (bool, string) {
		list, err := c.api.Messages(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list) == 2, fmt.Sprintf("%d messages", len(list))
	})
	if heard := far.Heard(); heard.Type == chat.Message && heard.Text != canarySaid {
		t.Error("the patient's words came changed")
	}
	if _, err := c.api.SubmitReport(t.Context(), canaryReport); err != nil {
		t.Fatal(err)
	}
	until(t, "the report is sent", 10*time.Second, func() (bool, string) {
		list, err := c.Reports(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return len(list) == 1, "no report"
	})
}

// namedRefusals asks for what is refused.
func (c *scene) namedRefusals(t *testing.T) {
	t.Helper()
	if _, err := c.api.Open(t.Context(), canaryBadID); err == nil {
		t.Error("a bad id was taken")
	}
	if _, err := c.api.SendMessage(t.Context(), canaryBadText); err == nil {
		t.Error("a bad text was taken")
	}
	for path, body := range map[string]string{
		"/v1/session/messages":            fmt.Sprintf(`{%q:%q}`, canaryField, canaryTrace),
		"/v1/session/mute":                canaryTrace,
		"/v1/views/" + canaryMessage:      canaryTrace,
		"/v1/session/" + canaryPeer:       canaryTrace,
		"/v1/session/chat?" + canaryField: "",
	} {
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://kioskd"+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Content-Type", "application/json")
		req.Header.Set("Idempotency-Key", canaryKey)
		transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", c.Socket)
		}}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		if resp.StatusCode < 400 {
			t.Errorf("%s was taken: %d", path, resp.StatusCode)
		}
	}
}

// doorToken is the token in the address of the touchscreen page.
func (c *scene) doorToken(t *testing.T) string {
	t.Helper()
	address, err := c.ScreenURL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	i := strings.LastIndexAny(address, "/=#")
	if len(address)-i < 20 {
		t.Fatal("the page's address has no token")
	}
	return address[i+1:]
}

// TestFindsCanaries: the check that each scene ends with can fail. A token in a command
// line, in an environment and in a metric is found where it is.
func TestFindsCanaries(t *testing.T) {
	s := theStage(t, stage.Options{Config: "[log]\nlevel = \"debug\"\n"})
	const canary = "canary-on-show-1"
	for _, show := range []func(*exec.Cmd){
		func(cmd *exec.Cmd) { cmd.Args = append(cmd.Args, "60", canary) },
		func(cmd *exec.Cmd) { cmd.Args, cmd.Env = append(cmd.Args, "60"), []string{"TOKEN=" + canary} },
	} {
		cmd := exec.CommandContext(t.Context(), "sleep")
		show(cmd)
		cmd.Args = append([]string{"sh", "-c", "sleep 60 # "}, cmd.Args[1:]...)
		cmd.Path = "/bin/sh"
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		until(t, "it is found", 5*time.Second, func() (bool, string) {
			found, err := s.FindAlive(t.Context(), []string{"canary-elsewhere", canary})
			if err != nil {
				t.Fatal(err)
			}
			return len(found) > 0, "nothing is found"
		})
		_ = cmd.Process.Kill() // it sleeps
		_ = cmd.Wait()         // killed, as wanted
	}
	// The kiosk's own settings are shown by the API: what stands there is found there.
	found, err := s.FindAlive(t.Context(), []string{s.Backend()})
	if err != nil || len(found) == 0 {
		t.Errorf("found %v, %v", found, err)
	}
}
