package sim

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of the appointments that one run knows.
const (
	maxAppointments = 256
	tokenLife       = 2 * time.Hour // of a room's token; the kiosk gets a new one with its next PUT
)

// appointments are the simulated backend's data: any id exists once somebody
// asks for it.
type appointments struct {
	mu   sync.Mutex
	byID map[string]*appointment
}

type appointment struct {
	token   string
	expires time.Time
}

// open gives the appointment's room token, the same as long as it lives, so
// that a kiosk that comes back supersedes itself.
func (a *appointments) open(id string, now time.Time) (appointment, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	have := a.byID[id]
	if have == nil {
		if len(a.byID) >= maxAppointments {
			return appointment{}, errors.New("cannot open another appointment in this run: start clinicsim anew")
		}
		have = &appointment{}
		a.byID[id] = have
	}
	// Renewed when half its life is over: what we hand out is good for an hour.
	if have.token == "" || now.After(have.expires.Add(-tokenLife/2)) {
		have.token, have.expires = rand.Text(), now.Add(tokenLife)
	}
	return *have, nil
}

// room gives the id of the appointment whose token this is.
func (a *appointments) room(token string, now time.Time) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, have := range a.byID {
		if subtle.ConstantTimeCompare([]byte(have.token), []byte(token)) == 1 {
			return id, now.Before(have.expires)
		}
	}
	return "", false
}

// videoRoom answers PUT /api/v3/appointments/{id}/video-room. Behaviours that
// a test asks for (302, 405, 500, slow, silent) have their place between the
// checks and answerScreen.
func (c *clinic) videoRoom(w http.ResponseWriter, r *http.Request) {
	if !c.authorized(r) {
		// The published refusal: an empty body and where to log in.
		w.Header().Set("X-Forward", "http://"+c.host+"/login")
		w.WriteHeader(http.StatusUnauthorized)
		return
	}
	if r.Method != http.MethodPut {
		w.Header().Set("Allow", http.MethodPut)
		writeJSON(w, http.StatusMethodNotAllowed, map[string]any{
			"error": "method_not_allowed", "timestamp": time.Now().UTC().Format(time.RFC3339), "patches": map[string]any{},
		})
		return
	}
	if problem := checkHeaders(r.Header); problem != "" {
		http.Error(w, problem, http.StatusBadRequest)
		return
	}
	id := r.PathValue("id")
	if !appointmentID(id) {
		http.Error(w, "There is no such appointment.", http.StatusNotFound)
		return
	}
	have, err := c.appointments.open(id, time.Now())
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	c.answerScreen(w, r, have)
}

// appointmentID tells whether id can be one: 1 to 128 unreserved characters
// (RFC 3986 section 2.3), not a path of dots.
func appointmentID(id string) bool {
	foreign := func(r rune) bool {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !plain && !strings.ContainsRune("._~-", r)
	}
	return id != "" && len(id) <= 128 && id != "." && id != ".." && !strings.ContainsFunc(id, foreign)
}

func (c *clinic) authorized(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	return ok && subtle.ConstantTimeCompare([]byte(token), []byte(c.token)) == 1
}

// checkHeaders says what is wrong with the headers that every request of a
// screen carries, or nothing.
func checkHeaders(h http.Header) string {
	for _, name := range []string{"X-Camera", "X-Microphone"} {
		switch h.Get(name) {
		case "Granted", "Denied", "Query":
		default:
			return name + " must be Granted, Denied or Query."
		}
	}
	if device := h.Get("X-Device"); device != "Desktop" && device != "Mobile" {
		return "X-Device must be Desktop or Mobile."
	}
	return ""
}

// element is one entry of the screen document.
type element struct {
	Level     int    `json:"level"`
	Reference string `json:"reference"`
	Type      string `json:"type"`
	Value     string `json:"value"`
	Placement string `json:"placement,omitempty"`
	Visible   *bool  `json:"visible,omitempty"`
	Autostart bool   `json:"autostart,omitempty"`
}

func screenElements() []element {
	invisible := false
	link := func(reference, value string) element {
		return element{Level: 1, Reference: reference, Type: "Link", Value: value, Placement: "~"}
	}
	return []element{
		{Level: 1, Reference: "start-call", Type: "Button", Value: "Start call", Visible: &invisible, Autostart: true},
		link("end-call", "[End call]"),
		link("report-issue", "[Report issue]"),
		{Level: 1, Reference: "spacer", Type: "Spacer", Placement: "~"},
		link("swap-camera", "[Swap camera]"),
		link("disable-video", "[Disable video]"),
		link("mute", "[Mute]"),
	}
}

// answerScreen writes the screen document with its room.
func (c *clinic) answerScreen(w http.ResponseWriter, r *http.Request, a appointment) {
	writeJSON(w, http.StatusOK, map[string]any{
		"title":    "Video appointment",
		"type":     "Video",
		"blocking": false,
		"locale":   "en",
		"url":      r.URL.EscapedPath(),
		"elements": screenElements(),
		"patches":  map[string]any{},
		"room": map[string]any{
			"provider":        "direct",
			"url":             "ws://" + c.host + "/signal",
			"token":           a.token,
			"expires":         a.expires.UTC().Format(time.RFC3339),
			"ice_servers":     []any{},
			"participant":     map[string]any{"name": c.cfg.Name, "role": "clinician"},
			"session_seconds": c.cfg.SessionSeconds,
			"wait_seconds":    c.cfg.WaitSeconds,
			"chat":            true,
			"report_issue":    true,
		},
	})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	b, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "cannot write the answer", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write(append(b, '\n')) // a client that went away does not matter
}
