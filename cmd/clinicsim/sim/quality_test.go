package sim_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"

	"kioskd/cmd/clinicsim/sim"
)

const qualityPath = roomPath + "/video-quality"

// figures posts a form; key goes into the header.
func (r *running) figures(t *testing.T, key, kind, form string) reply {
	t.Helper()
	return r.do(t, http.MethodPost, qualityPath, form,
		"Authorization", "Bearer "+r.token, "Content-Type", kind, "Idempotency-Key", key)
}

const urlencoded = "application/x-www-form-urlencoded"

func TestQuality(t *testing.T) {
	clinic := start(t, sim.Config{})
	for _, key := range []string{"q-1", "q-1", "q-2"} {
		if got := clinic.figures(t, key, urlencoded, "key="+key+"&duration_seconds=12.5&end=ended"); got.status != http.StatusCreated || got.body != "" {
			t.Errorf("%s: status %d, %s", key, got.status, got.body)
		}
	}
	for name, form := range map[string][3]string{
		"another key":  {"q-3", urlencoded, "key=q-4&duration_seconds=1"},
		"no key":       {"q-3", urlencoded, "duration_seconds=1"},
		"no duration":  {"q-3", urlencoded, "key=q-3"},
		"two values":   {"q-3", urlencoded, "key=q-3&duration_seconds=1&duration_seconds=2"},
		"another type": {"q-3", "application/json", "{}"},
		"no form":      {"q-3", urlencoded, "key=%zz"},
		"too many":     {"q-3", urlencoded, "key=q-3&duration_seconds=1" + manyFields()},
	} {
		if got := clinic.figures(t, form[0], form[1], form[2]); got.status != http.StatusBadRequest || !strings.Contains(got.body, "figures_required") {
			t.Errorf("%s: status %d, %s", name, got.status, got.body)
		}
	}
	clinic.do(t, http.MethodPost, "/sim/behave", `{"post":{"status":503,"times":1,"keep":true}}`, "Authorization", "Bearer "+clinic.Control)
	if got := clinic.figures(t, "q-5", urlencoded, "key=q-5&duration_seconds=1"); got.status != http.StatusServiceUnavailable {
		t.Errorf("told to fail: status %d", got.status)
	}
	var list []sim.Quality
	if err := json.Unmarshal([]byte(clinic.do(t, http.MethodGet, "/sim/quality", "", "Authorization", "Bearer "+clinic.Control).body), &list); err != nil {
		t.Fatal(err)
	}
	if len(list) != 3 || list[0].Key != "q-1" || list[0].Posts != 2 || list[0].Appointment != "A-1" || list[0].Figures["duration_seconds"] != "12.5" ||
		len(list[0].Figures) != 2 || list[1].Key != "q-2" || list[2].Key != "q-5" {
		t.Errorf("the figures are %+v", list)
	}
}

func manyFields() string {
	var b strings.Builder
	for i := range 70 {
		b.WriteString("&f")
		b.WriteByte(byte('a' + i%26))
		b.WriteByte(byte('a' + i/26))
		b.WriteString("=1")
	}
	return b.String()
}
