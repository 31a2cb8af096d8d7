package daemon_test

import (
	"encoding/json"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"
	"time"

	"kioskd/cmd/clinicsim/sim"
	"kioskd/daemon/api/apitype"
)

// ask asks the clinic's control.
func (s *clinic) ask(t *testing.T, method, path, body string, into any) {
	t.Helper()
	token, err := os.ReadFile(s.token)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, "http://"+s.host+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		t.Fatalf("%s: status %d, %v, %s", path, resp.StatusCode, err, b)
	}
	if into != nil {
		if err := json.Unmarshal(b, into); err != nil {
			t.Fatal(err)
		}
	}
}

func (s *clinic) quality(t *testing.T) (list []sim.Quality) {
	t.Helper()
	s.ask(t, http.MethodGet, "/sim/quality", "", &list)
	return list
}

// soon waits until something is so.
func soon(t *testing.T, what string, so func() bool) {
	t.Helper()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(wait); !so(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s did not come", what)
		}
	}
}

// How a call went is posted after its end, behind the report that was handed in before,
// across a restart, again where the answer was lost, and names nobody.
func TestHowACallWentIsPosted(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	cfg := settings(t, dir, "http://"+clinic.host)
	k := start(t, cfg)
	w := watch(t, cfg.API.Socket)
	_, kinds := clinic.clinician(t, appointment)
	do(t)(k.Open(t.Context(), appointment))
	w.state(apitype.StateActive)
	arrives(t, kinds)
	soon(t, "three seconds of a call", func() bool { // the meter looks once a second
		s, err := k.Session(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return s.TimerSeconds >= 3
	})
	clinic.ask(t, http.MethodPost, "/sim/behave", `{"post":{"status":503}}`, nil)
	do(t)(k.SubmitReport(t.Context(), "The picture froze"))
	do(t)(k.EndCall(t.Context()))
	w.state(apitype.StateEnded)
	if list, err := k.Reports(t.Context()); err != nil || len(list) != 1 {
		t.Errorf("a technician is shown %v, %v: only the report is one", list, err)
	}
	k.stop()
	if n := len(clinic.quality(t)); n != 0 {
		t.Fatalf("%d came though the backend was down", n)
	}
	clinic.ask(t, http.MethodPost, "/sim/reset", "", nil)
	start(t, cfg)
	var list []sim.Quality
	soon(t, "how the call went", func() bool { list = clinic.quality(t); return len(list) > 0 })
	q := list[0]
	if len(list) != 1 || q.Appointment != appointment || q.Posts != 1 || q.Figures["end"] != "ended" || q.Figures["width"] != "320" ||
		q.Figures["duration_seconds"] < "2" || q.Figures["measured_seconds"] < "1" {
		t.Errorf("the figures are %+v", list)
	}
	for name, value := range q.Figures {
		if strings.Contains(value, "anary") || strings.Contains(value, "clin-1") {
			t.Errorf("%s names somebody: %s", name, value)
		}
	}
	var posted []string
	var entries []sim.Entry
	clinic.ask(t, http.MethodGet, "/sim/log", "", &entries)
	for _, e := range entries {
		if e.Method == http.MethodPost && e.Status == http.StatusCreated {
			posted = append(posted, e.Path[strings.LastIndex(e.Path, "/"):])
		}
	}
	if strings.Join(posted, " ") != "/report /video-quality" {
		t.Errorf("they came as %v", posted)
	}
}

// A backend that wants no figures gets none, and is not asked again.
func TestBackendThatWantsNoFigures(t *testing.T) {
	dir := folder(t)
	clinic := startClinic(t, dir, "127.0.0.1:0")
	k := start(t, settings(t, dir, "http://"+clinic.host))
	w := watch(t, k.cfg.API.Socket)
	clinic.clinician(t, appointment)
	do(t)(k.Open(t.Context(), appointment))
	w.state(apitype.StateActive)
	clinic.ask(t, http.MethodPost, "/sim/behave", `{"post":{"status":405,"error":"quality_unavailable"}}`, nil)
	do(t)(k.EndCall(t.Context()))
	soon(t, "the backend's refusal", func() bool { return strings.Contains(k.log.String(), "the backend wants no figures") })
	s, err := k.Status(t.Context())
	if err != nil || hasCondition(s, "reports_waiting") {
		t.Errorf("the status is %+v, %v", s, err)
	}
}
