package sim

import (
	"net/http"
	"sync"
	"time"
)

// maxEntries bounds the request log; the oldest go first.
const maxEntries = 1000

// Entry is one request that the backend got, as GET /sim/log lists them.
type Entry struct {
	Time       time.Time `json:"time"`
	Method     string    `json:"method"`
	Path       string    `json:"path"`
	Camera     string    `json:"x_camera"`
	Microphone string    `json:"x_microphone"`
	Device     string    `json:"x_device"`
	Status     int       `json:"status"`
}

// journal keeps the requests to the backend for tests to ask about.
type journal struct {
	mu      sync.Mutex
	entries []Entry
}

func (j *journal) add(e Entry) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if len(j.entries) >= maxEntries {
		j.entries = j.entries[1:]
	}
	j.entries = append(j.entries, e)
}

func (j *journal) list() []Entry {
	j.mu.Lock()
	defer j.mu.Unlock()
	return append([]Entry{}, j.entries...)
}

// record notes each request that next answers.
func (j *journal) record(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen := &statusWriter{ResponseWriter: w, status: http.StatusOK}
		at := time.Now()
		next.ServeHTTP(seen, r)
		j.add(Entry{
			Time: at, Method: r.Method, Path: r.URL.EscapedPath(), Status: seen.status,
			Camera: r.Header.Get("X-Camera"), Microphone: r.Header.Get("X-Microphone"), Device: r.Header.Get("X-Device"),
		})
	})
}

// statusWriter remembers the status of an answer.
type statusWriter struct {
	http.ResponseWriter
	status int
}

// WriteHeader implements http.ResponseWriter.
func (s *statusWriter) WriteHeader(status int) {
	s.status = status
	s.ResponseWriter.WriteHeader(status)
}
