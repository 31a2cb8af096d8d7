package sim

import (
	"errors"
	"mime"
	"net/http"
	"net/url"
	"sync"
	"time"
)

// Bounds of a call's figures.
const (
	maxQuality  = 8 << 10 // bytes of a post
	maxFigures  = 64
	mostQuality = 1024 // posts in one run
)

// Quality are the figures of one ended call, as GET /sim/quality lists them.
type Quality struct {
	Time        time.Time         `json:"time"`
	Appointment string            `json:"appointment"`
	Key         string            `json:"key"`
	Figures     map[string]string `json:"figures"`
	Posts       int               `json:"posts"` // how often it came; stored is only the first
}

// qualities are the received ones, oldest first.
type qualities struct {
	mu    sync.Mutex
	items []Quality
}

// add stores figures, or counts them where their key is known.
func (s *qualities) add(q Quality) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.items {
		if s.items[i].Key == q.Key {
			s.items[i].Posts++
			return nil
		}
	}
	if len(s.items) >= mostQuality {
		return errors.New("cannot keep more figures in this run: start clinicsim anew")
	}
	q.Posts = 1
	s.items = append(s.items, q)
	return nil
}

func (s *qualities) list() []Quality {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Quality{}, s.items...)
}

// videoQuality answers POST .../video-room/video-quality. It does as it was told for
// POSTs, as the report does.
func (c *clinic) videoQuality(w http.ResponseWriter, r *http.Request) {
	body, ok := c.admit(w, r, maxQuality, http.MethodPost)
	if !ok {
		return
	}
	got, ok := parseQuality(r, body)
	annotate(w, func(e *Entry) { e.Key = got.Key })
	told := c.behaviour.take(http.MethodPost)
	var err error
	if told.Keep && ok {
		err = c.qualities.add(got)
	}
	if c.misbehave(w, r, told) {
		return
	}
	switch {
	case !ok:
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": "figures_required"})
		return
	case err == nil && !told.Keep:
		err = c.qualities.add(got)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

// parseQuality reads a urlencoded form of single values with a key.
func parseQuality(r *http.Request, body []byte) (Quality, bool) {
	q := Quality{Time: time.Now().UTC(), Appointment: r.PathValue("id"), Figures: map[string]string{}}
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	form, formErr := url.ParseQuery(string(body))
	if err != nil || formErr != nil || kind != "application/x-www-form-urlencoded" || len(form) > maxFigures {
		return q, false
	}
	for name, values := range form {
		if len(values) != 1 {
			return q, false
		}
		if name != "key" {
			q.Figures[name] = values[0]
		}
	}
	q.Key = form.Get("key")
	return q, keyOfReport(q.Key) && q.Key == r.Header.Get("Idempotency-Key") && q.Figures["duration_seconds"] != ""
}
