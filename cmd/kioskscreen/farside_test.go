package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// canary stands for what a patient would not want to be seen; every answer of
// the far side carries it.
const canary = "canary-7d1f"

// recorded is one request as the daemon saw it.
type recorded struct {
	method, path, host, body string
	header                   http.Header
}

// farSide is the proxy's far side: an HTTP server on a real Unix socket that
// answers like kioskd and writes down what it is asked. It decides nothing; the
// test moves its status.
type farSide struct {
	t      *testing.T
	socket string

	mu       sync.Mutex
	status   apitype.Status
	requests []recorded
	refusals map[string]*apitype.Problem // by "METHOD /path"
	watchers map[chan string]bool
	views    map[string]bool // open ones, by path
	made     int             // views since the start
	messages []apitype.Message
	seq      int
	studio   *studio // nil: views are refused
	raw      http.HandlerFunc
	mum      bool // no stream of events says anything

	server *http.Server
	cancel context.CancelFunc
	served chan struct{}
}

func newFarSide(t *testing.T) *farSide {
	t.Helper()
	f := &farSide{
		t: t, socket: filepath.Join(t.TempDir(), "control.sock"),
		refusals: map[string]*apitype.Problem{}, watchers: map[chan string]bool{}, views: map[string]bool{},
	}
	f.status = apitype.Status{Devices: []apitype.Device{}, Conditions: []apitype.Condition{}, Version: apitype.Version{Version: canary}}
	f.start()
	t.Cleanup(f.stop)
	return f
}

// start begins to serve on the socket, as a daemon does that has just started.
func (f *farSide) start() {
	f.t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(f.t.Context(), "unix", f.socket)
	if err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	f.cancel = cancel
	f.served = make(chan struct{})
	f.server = &http.Server{Handler: f.handler(), BaseContext: func(net.Listener) context.Context { return ctx }}
	go func() {
		defer close(f.served)
		_ = f.server.Serve(ln)
	}()
}

// stop ends it as a kill would: every connection is cut. A second stop is fine.
func (f *farSide) stop() {
	f.cancel()
	_ = f.server.Close()
	<-f.served
}

func (f *farSide) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/events", f.events)
	mux.HandleFunc("POST /v1/views/self", f.view)
	mux.HandleFunc("POST /v1/views/remote/{participant}", f.view)
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		writeJSON(w, http.StatusOK, f.status)
	})
	mux.HandleFunc("GET /v1/session/messages", func(w http.ResponseWriter, _ *http.Request) {
		f.mu.Lock()
		defer f.mu.Unlock()
		writeJSON(w, http.StatusOK, apitype.Messages{Messages: append([]apitype.Message{}, f.messages...)})
	})
	mux.HandleFunc("POST /v1/session/messages", f.say)
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"seen": canary})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			f.t.Error(err)
		}
		f.mu.Lock()
		f.requests = append(f.requests, recorded{r.Method, r.URL.EscapedPath(), r.Host, string(body), r.Header.Clone()})
		if r.Method == http.MethodDelete {
			delete(f.views, r.URL.Path)
		}
		refusal, raw := f.refusals[r.Method+" "+r.URL.Path], f.raw
		f.mu.Unlock()
		switch {
		case raw != nil:
			raw(w, r)
		case refusal != nil:
			w.Header().Set("Content-Type", apitype.TypeProblem)
			w.WriteHeader(refusal.Status)
			_ = json.NewEncoder(w).Encode(refusal)
		default:
			r.Body = io.NopCloser(stringReader(string(body)))
			mux.ServeHTTP(w, r)
		}
	})
}

func (f *farSide) events(w http.ResponseWriter, r *http.Request) {
	ch := make(chan string, 64)
	f.mu.Lock()
	if f.mum {
		f.mu.Unlock()
		<-r.Context().Done()
		return
	}
	f.watchers[ch] = true
	first := f.eventLocked(apitype.EventSnapshot, f.status)
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		delete(f.watchers, ch)
		f.mu.Unlock()
	}()
	w.Header().Set("Content-Type", apitype.TypeEventStream)
	fmt.Fprint(w, first)
	for {
		_ = http.NewResponseController(w).Flush()
		select {
		case text := <-ch:
			fmt.Fprint(w, text)
		case <-r.Context().Done():
			return
		}
	}
}

// holdEvents keeps back what streams of events have to say, as a daemon that has not
// come so far yet.
func (f *farSide) holdEvents(on bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.mum = on
}

// say keeps the patient's message, as the daemon does; delivering it is the
// test's part.
func (f *farSide) say(w http.ResponseWriter, r *http.Request) {
	var in apitype.MessageRequest
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		f.t.Error(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	m := apitype.Message{ID: fmt.Sprintf("own-%d", len(f.messages)), From: "patient", Name: canary, Text: in.Text, At: time.Date(2026, 11, 22, 9, 45, 0, 0, time.UTC)}
	f.messages = append(f.messages, m)
	writeJSON(w, http.StatusOK, apitype.MessageAnswer{Message: m, Session: f.status.Session})
}

// talk replaces the chat's messages.
func (f *farSide) talk(messages ...apitype.Message) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.messages = messages
}

// view answers an offer with the studio's tracks.
func (f *farSide) view(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	s := f.studio
	f.mu.Unlock()
	offer, err := io.ReadAll(r.Body)
	if err != nil || s == nil {
		w.WriteHeader(http.StatusNotFound)
		return
	}
	answer, err := s.answer(r.Context(), string(offer))
	if r.Context().Err() != nil {
		return // the page has moved on
	}
	if err != nil {
		f.t.Errorf("cannot answer a view: %v", err)
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	w.Header().Set("Content-Type", apitype.TypeSDP)
	f.mu.Lock()
	f.made++
	path := fmt.Sprintf("/v1/views/view-%d", f.made)
	f.views[path] = true
	f.mu.Unlock()
	w.Header().Set("Location", path)
	w.WriteHeader(http.StatusCreated)
	_, _ = io.WriteString(w, answer)
}

func (f *farSide) eventLocked(name string, data any) string {
	text, err := json.Marshal(data)
	if err != nil {
		f.t.Error(err)
	}
	f.seq++
	return fmt.Sprintf("id: e-%d\nevent: %s\ndata: %s\n\n", f.seq, name, text)
}

// lend says that a technician uses a device of this kind, or with "" that nobody does;
// the next change tells it.
func (f *farSide) lend(kind, what string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Technician = nil
	if kind != "" {
		f.status.Technician = &apitype.Technician{Device: "usb-1", Kind: kind, What: what, Since: time.Now().UTC()}
	}
}

// change moves the status and tells the watchers.
func (f *farSide) change(session *apitype.Session, conditions ...apitype.Condition) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.status.Session, f.status.Conditions = session, append([]apitype.Condition{}, conditions...)
	text := f.eventLocked(apitype.EventChange, f.status)
	for ch := range f.watchers {
		select {
		case ch <- text:
		default:
			f.t.Error("a watcher does not read")
		}
	}
}

// count says how often a call has come.
func (f *farSide) count(method, path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, r := range f.requests {
		if r.method == method && r.path == path {
			n++
		}
	}
	return n
}

// awaitNoViews waits until the page has deleted every view it made.
func (f *farSide) awaitNoViews() {
	f.t.Helper()
	deadline := time.NewTimer(10 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		f.mu.Lock()
		open := len(f.views)
		f.mu.Unlock()
		if open == 0 {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			f.t.Fatalf("%d views are still open", open)
		}
	}
}

// all gives the requests since the last reset.
func (f *farSide) all() []recorded {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.requests)
}

func (f *farSide) reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.requests = nil
}

// refuse makes one call fail from now on; a nil problem lets it through again.
func (f *farSide) refuse(call string, p *apitype.Problem) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.refusals[call] = p
}

// await waits until a call has come and gives the newest of its kind.
func (f *farSide) await(method, path string) recorded {
	f.t.Helper()
	deadline := time.NewTimer(20 * time.Second)
	defer deadline.Stop()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		for _, r := range slices.Backward(f.all()) {
			if r.method == method && r.path == path {
				return r
			}
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			f.t.Fatalf("the daemon never saw %s %s", method, path)
		}
	}
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", typeJSON)
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
