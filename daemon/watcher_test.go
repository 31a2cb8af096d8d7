package daemon_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
)

// watcher follows the event stream over restarts of the daemon.
type watcher struct {
	t       *testing.T
	mu      sync.Mutex
	all     []apitype.Status
	outputs []string
	news    chan struct{}
}

func watch(t *testing.T, socket string) *watcher {
	t.Helper()
	w := &watcher{t: t, news: make(chan struct{}, 1)}
	ctx, end := context.WithCancel(context.Background())
	c, done := client.New(socket), make(chan struct{})
	go func() {
		defer close(done)
		_ = c.Follow(ctx, nil, w.take) // ends with ctx
	}()
	t.Cleanup(func() { end(); <-done; c.Close() })
	w.see("anything", func(apitype.Status) bool { return true })
	return w
}

func (w *watcher) take(e apitype.Event) error {
	w.mu.Lock()
	if key, value, err := e.Output(); err == nil {
		w.outputs = append(w.outputs, key+"="+value)
	} else if s, err := e.Status(); err == nil {
		w.all = append(w.all, s)
	}
	w.mu.Unlock()
	select {
	case w.news <- struct{}{}:
	default:
	}
	return nil
}

// forget drops what has been seen so far.
func (w *watcher) forget() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all, w.outputs = nil, nil
}

// see waits for a status, one that came already included.
func (w *watcher) see(what string, ok func(apitype.Status) bool) apitype.Status {
	w.t.Helper()
	deadline := time.After(wait)
	for {
		w.mu.Lock()
		for _, s := range w.all {
			if ok(s) {
				w.mu.Unlock()
				return s
			}
		}
		n := len(w.all)
		w.mu.Unlock()
		select {
		case <-w.news:
		case <-deadline:
			w.t.Fatalf("never saw %s in %d statuses", what, n)
		}
	}
}

// state waits for the session's state.
func (w *watcher) state(want string) apitype.Status {
	w.t.Helper()
	return w.see("state "+want, func(s apitype.Status) bool { return s.Session != nil && s.Session.State == want })
}

// never says that no status seen so far was such.
func (w *watcher) never(what string, bad func(apitype.Status) bool) {
	w.t.Helper()
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, s := range w.all {
		if bad(s) {
			w.t.Errorf("saw %s: %+v", what, s)
			return
		}
	}
}

// said gives the outputs so far, once last has come: an output follows the
// change that it tells of.
func (w *watcher) said(last string) string {
	w.t.Helper()
	deadline := time.After(wait)
	for {
		w.mu.Lock()
		all := strings.Join(w.outputs, " ")
		w.mu.Unlock()
		if strings.HasSuffix(all, last) {
			return all
		}
		select {
		case <-w.news:
		case <-deadline:
			w.t.Fatalf("the outputs were %q, without %q at the end", all, last)
		}
	}
}

// soFar returns the outputs that have come, without waiting.
func (w *watcher) soFar() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.outputs, " ")
}

func hasCondition(s apitype.Status, code string) bool {
	for _, c := range s.Conditions {
		if c.Code == code {
			return true
		}
	}
	return false
}
