// Package stream is the control API's event stream: it numbers the changes and
// outputs, keeps the last of them for watchers that come back, and writes them
// to each watcher as server-sent events without ever waiting for one.
//
// Who may import it: daemon/api. Imports: standard library, apitype, session.
package stream

import (
	"crypto/rand"
	"encoding/json"
	"strconv"
	"strings"
	"sync"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// Bounds of the event stream.
const (
	ringSize     = 256 // events kept for Last-Event-ID
	watcherQueue = 64  // events that a watcher may be behind
)

// entry is one event, encoded once for all watchers.
type entry struct {
	n    uint64
	name string
	data []byte // JSON on one line
}

// watcher is one event stream.
type watcher struct {
	queue   chan entry
	lagging chan struct{} // closed when it was too slow; nothing more comes
}

// Hub gives every event its number and every watcher each event in order. It
// holds the newest published model, so that what a status says and what was
// told to watchers is always the same.
type Hub struct {
	status  func(session.Model) apitype.Status
	initial func() session.Model
	epoch   string        // of this start: numbers of another one mean nothing here
	done    chan struct{} // closed when the daemon stops

	mu        sync.Mutex
	published bool
	model     session.Model
	last      uint64
	ring      []entry // oldest first, numbers in order; not each number is there
	from      uint64  // every event above this number is in the ring
	watchers  map[*watcher]struct{}
	closed    bool
}

// New makes a Hub. status builds what a snapshot and a change tell; it is called
// with the Hub locked, so it may not wait nor call the Hub. initial gives the
// session's model until the first Publish.
func New(status func(session.Model) apitype.Status, initial func() session.Model) *Hub {
	return &Hub{
		status: status, initial: initial, epoch: rand.Text()[:8], done: make(chan struct{}),
		watchers: map[*watcher]struct{}{},
	}
}

// Publish takes the session's newest model and its outputs: one change, then
// the outputs. Watchers are never waited for.
func (h *Hub) Publish(snap session.Snapshot) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.model, h.published = snap.Model, true
	if !snap.Model.Running() {
		h.forget()
	}
	h.emitStatus()
	for _, o := range snap.Outputs {
		if data, err := json.Marshal(map[string]string{o.Key: o.Value}); err == nil {
			h.emit(apitype.EventOutput, data)
		}
	}
}

// Changed tells the status anew.
func (h *Hub) Changed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.emitStatus()
}

// Current gives the newest model.
func (h *Hub) Current() session.Model {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.currentLocked()
}

func (h *Hub) currentLocked() session.Model {
	if h.published {
		return h.model
	}
	return h.initial()
}

func (h *Hub) emitStatus() {
	if data, err := json.Marshal(h.status(h.currentLocked())); err == nil {
		h.emit(apitype.EventChange, data)
	}
}

func (h *Hub) emit(name string, data []byte) {
	h.last++
	e := entry{n: h.last, name: name, data: data}
	if len(h.ring) == ringSize {
		h.from = h.ring[0].n
		h.ring = append(h.ring[:0], h.ring[1:]...)
	}
	h.ring = append(h.ring, e)
	for w := range h.watchers {
		select {
		case w.queue <- e:
		default: // it is ringSize/4 behind: told and dropped
			delete(h.watchers, w)
			close(w.lagging)
		}
	}
}

// forget drops the changes that may name a patient: a session that is over
// leaves nothing in memory (each change tells the whole status, so that who
// comes back late misses nothing but history). Outputs name nobody and stay.
func (h *Hub) forget() {
	kept := h.ring[:0]
	for _, e := range h.ring {
		if e.name != apitype.EventChange {
			kept = append(kept, e)
		}
	}
	clear(h.ring[len(kept):])
	h.ring = kept
}

// watch registers a watcher and gives what it has to be told first: the events
// after lastID where they are still here, else a snapshot. Both happen under
// one lock, so that no event falls in between. ok is false once the hub closed.
func (h *Hub) watch(lastID string) (w *watcher, first []entry, ok bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, nil, false
	}
	if n, resumable := h.number(lastID); resumable && n >= h.from && n <= h.last {
		for _, e := range h.ring {
			if e.n > n {
				first = append(first, e)
			}
		}
	} else {
		data, err := json.Marshal(h.status(h.currentLocked()))
		if err != nil {
			return nil, nil, false
		}
		first = []entry{{n: h.last, name: apitype.EventSnapshot, data: data}}
	}
	w = &watcher{queue: make(chan entry, watcherQueue), lagging: make(chan struct{})}
	h.watchers[w] = struct{}{}
	return w, first, true
}

// Watchers counts the streams that are being told.
func (h *Hub) Watchers() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.watchers)
}

func (h *Hub) unwatch(w *watcher) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.watchers, w)
}

// Close ends all streams, and those to come.
func (h *Hub) Close() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if !h.closed {
		h.closed = true
		close(h.done)
	}
}

// id gives an event's id on the stream.
func (h *Hub) id(n uint64) string { return h.epoch + "-" + strconv.FormatUint(n, 10) }

// number reads an id of this epoch. Anything else is not resumable, which is
// no error: the watcher gets a snapshot.
func (h *Hub) number(id string) (n uint64, ok bool) {
	digits, ok := strings.CutPrefix(id, h.epoch+"-")
	if !ok {
		return 0, false
	}
	n, err := strconv.ParseUint(digits, 10, 64)
	return n, err == nil
}
