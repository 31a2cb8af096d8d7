package sim

import (
	"cmp"
	"crypto/rand"
	"encoding/json"
	"errors"
	"maps"
	"mime"
	"net/http"
	"net/url"
	"slices"
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
// that a kiosk that comes back supersedes itself. life is that of a token made
// now; 0 is the usual one.
func (a *appointments) open(id string, now time.Time, life time.Duration) (appointment, error) {
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
	life = cmp.Or(life, tokenLife)
	if left := have.expires.Sub(now); have.token == "" || left < life/2 || left > life {
		have.token, have.expires = rand.Text(), now.Add(life)
	}
	return *have, nil
}

// expire makes the present tokens worthless.
func (a *appointments) expire() {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, have := range a.byID {
		have.token, have.expires = "", time.Time{}
	}
}

// room gives the id of the appointment whose token this is.
func (a *appointments) room(token string, now time.Time) (string, bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for id, have := range a.byID {
		if have.token == "" {
			continue // expired by order
		}
		if same(have.token, token) {
			return id, now.Before(have.expires)
		}
	}
	return "", false
}

// videoRoom answers PUT and PATCH /api/v3/appointments/{id}/video-room.
func (c *clinic) videoRoom(w http.ResponseWriter, r *http.Request) {
	body, ok := c.admit(w, r, maxBody, http.MethodPut, http.MethodPatch)
	if !ok {
		return
	}
	if problem := checkHeaders(r.Header); problem != "" {
		http.Error(w, problem, http.StatusBadRequest)
		return
	}
	if r.Method == http.MethodPatch {
		c.update(w, r, body)
		return
	}
	told := c.behaviour.take(http.MethodPut)
	if !c.misbehave(w, r, told) {
		c.answerScreen(w, r, told)
	}
}

// permission answers PUT .../video-room/permission, where a 302 leads to: the
// prerequisite is taken as met.
func (c *clinic) permission(w http.ResponseWriter, r *http.Request) {
	if _, ok := c.admit(w, r, maxBody, http.MethodPut); !ok {
		return
	}
	if problem := checkHeaders(r.Header); problem != "" {
		http.Error(w, problem, http.StatusBadRequest)
		return
	}
	c.answerScreen(w, r, Answer{})
}

// update answers a PATCH: something happened at the kiosk, and here is what
// changes on its screen.
func (c *clinic) update(w http.ResponseWriter, r *http.Request, body []byte) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	form, formErr := url.ParseQuery(string(body))
	if err != nil || formErr != nil || kind != "application/x-www-form-urlencoded" || form.Get("update") == "" {
		http.Error(w, "A PATCH is a urlencoded form with the field update.", http.StatusBadRequest)
		return
	}
	annotate(w, func(e *Entry) { e.Update = form.Get("update") })
	told := c.behaviour.take(http.MethodPatch)
	if c.misbehave(w, r, told) {
		return
	}
	change := c.behaviour.roomNow()
	answer := map[string]any{"patches": patches(change, told.Title)}
	addTimer(answer, change, r)
	writeJSON(w, http.StatusOK, answer)
}

// patches are those that the room has now, and the title's.
func patches(change RoomChange, title string) map[string]any {
	out := map[string]any{}
	maps.Copy(out, change.Patches)
	if title != "" {
		out["title"] = map[string]any{"value": title}
	}
	return out
}

// addTimer asks for a PATCH of the video room after the room's timeout.
func addTimer(answer map[string]any, change RoomChange, r *http.Request) {
	if change.Timeout > 0 {
		answer["timeout"] = change.Timeout
		answer["update"] = roomPath(r.PathValue("id"))
	}
}

func roomPath(id string) string { return "/api/v3/appointments/" + id + "/video-room" }

// admit checks what holds for every request of the kiosk and reads its body,
// or answers why not.
func (c *clinic) admit(w http.ResponseWriter, r *http.Request, most int64, methods ...string) ([]byte, bool) {
	if !c.authorized(r) {
		c.unauthorized(w)
		return nil, false
	}
	if !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		notAllowed(w, "", nil)
		return nil, false
	}
	if !appointmentID(r.PathValue("id")) {
		http.Error(w, "There is no such appointment.", http.StatusNotFound)
		return nil, false
	}
	return readAll(w, r, most)
}

// unauthorized is the published refusal: an empty body and where to log in.
func (c *clinic) unauthorized(w http.ResponseWriter) {
	w.Header().Set("X-Forward", "http://"+c.host+"/login")
	w.WriteHeader(http.StatusUnauthorized)
}

// notAllowed is the published refusal of what the state forbids: a PATCH's
// answer with an error.
func notAllowed(w http.ResponseWriter, code string, patches map[string]any) {
	if patches == nil {
		patches = map[string]any{}
	}
	writeJSON(w, http.StatusMethodNotAllowed, map[string]any{
		"error": cmp.Or(code, "method_not_allowed"), "timestamp": time.Now().UTC().Format(time.RFC3339), "patches": patches,
	})
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
	token, ok := bearer(r)
	return ok && same(token, c.token)
}

// bearer gives a request's bearer token (RFC 6750 section 2.1).
func bearer(r *http.Request) (string, bool) {
	return strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
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
func (c *clinic) answerScreen(w http.ResponseWriter, r *http.Request, told Answer) {
	id, change := r.PathValue("id"), c.behaviour.roomNow()
	screen := map[string]any{
		"title":    cmp.Or(told.Title, "Video appointment"),
		"type":     "Video",
		"blocking": false,
		"locale":   "en",
		"url":      roomPath(id),
		"elements": screenElements(),
		"patches":  patches(change, ""),
	}
	if told.Error != "" {
		screen["error"] = told.Error
	}
	addTimer(screen, change, r)
	if !told.NoRoom {
		have, err := c.appointments.open(id, time.Now(), time.Duration(change.ExpiresSeconds)*time.Second)
		if err != nil {
			http.Error(w, err.Error(), http.StatusInternalServerError)
			return
		}
		screen["room"] = c.roomDocument(have, change, r)
	}
	writeJSON(w, http.StatusOK, screen)
}

// roomDocument is what the screen says about the room.
func (c *clinic) roomDocument(a appointment, change RoomChange, r *http.Request) map[string]any {
	signal := "ws://" + c.host + "/signal"
	if r.TLS != nil {
		signal = "wss://" + c.secureHost + "/signal"
	}
	return map[string]any{
		"provider":        "direct",
		"url":             signal,
		"token":           a.token,
		"expires":         a.expires.UTC().Format(time.RFC3339),
		"ice_servers":     []any{},
		"participant":     map[string]any{"name": c.cfg.Name, "role": "clinician"},
		"session_seconds": cmp.Or(change.SessionSeconds, c.cfg.SessionSeconds),
		"wait_seconds":    cmp.Or(change.WaitSeconds, c.cfg.WaitSeconds),
		"chat":            change.Chat == nil || *change.Chat,
		"report_issue":    change.ReportIssue == nil || *change.ReportIssue,
	}
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
