package sim

import (
	"net/http"
	"sync"
	"time"
)

// maxEntries bounds the request log; the oldest go first.
const maxEntries = 1000

// Entry is one request that the backend got, as GET /sim/log lists them in the
// order of their coming. It is there from the beginning of the request on.
type Entry struct {
	Seq            int       `json:"seq"` // counts from 1 in a run
	Time           time.Time `json:"time"`
	Method         string    `json:"method"`
	Path           string    `json:"path"`
	Camera         string    `json:"x_camera"`
	Microphone     string    `json:"x_microphone"`
	Device         string    `json:"x_device"`
	Platform       string    `json:"x_platform,omitempty"`
	IdempotencyKey string    `json:"idempotency_key,omitempty"`
	Status         int       `json:"status"` // 0: not answered, or not yet
	// Update is what a PATCH says has happened.
	Update string `json:"update,omitempty"`
	// Key is a report's id, IssueBytes and BundleBytes are the sizes of what it says.
	Key         string `json:"key,omitempty"`
	IssueBytes  int    `json:"issue_bytes,omitempty"`
	BundleBytes int    `json:"bundle_bytes,omitempty"`
}

// journal keeps the requests to the backend for tests to ask about.
type journal struct {
	mu      sync.Mutex
	seq     int
	entries []*Entry
}

func (j *journal) add(e *Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.seq++
	e.Seq = j.seq
	if len(j.entries) >= maxEntries {
		j.entries = j.entries[1:]
	}
	j.entries = append(j.entries, e)
}

func (j *journal) list() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	out := make([]Entry, 0, len(j.entries))
	for _, e := range j.entries {
		out = append(out, *e)
	}
	return out
}

// record notes each request that next answers.
func (j *journal) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e := &Entry{
			Time: time.Now(), Method: r.Method, Path: r.URL.EscapedPath(),
			Camera: r.Header.Get("X-Camera"), Microphone: r.Header.Get("X-Microphone"), Device: r.Header.Get("X-Device"),
			Platform: r.Header.Get("X-Platform"), IdempotencyKey: r.Header.Get("Idempotency-Key"),
		}
		j.add(e)
		next.ServeHTTP(&noted{ResponseWriter: w, journal: j, entry: e}, r)
	})
}

// noted writes an answer and its status into the journal.
type noted struct {
	http.ResponseWriter
	journal *journal
	entry   *Entry
}

// WriteHeader implements http.ResponseWriter.
func (n *noted) WriteHeader(status int) {
	annotate(n, func(e *Entry) { e.Status = status })
	n.ResponseWriter.WriteHeader(status)
}

// Unwrap lets http.ResponseController find the connection.
func (n *noted) Unwrap() http.ResponseWriter { return n.ResponseWriter }

// annotate changes the entry of the request that w answers, where it has one.
func annotate(w http.ResponseWriter, change func(*Entry)) {
	if n, ok := w.(*noted); ok {
		n.journal.mu.Lock()
		defer n.journal.mu.Unlock()
		change(n.entry)
	}
}
