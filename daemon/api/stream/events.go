package stream

import (
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"kioskd/daemon/api/apitype"
)

const (
	heartbeat    = 5 * time.Second // a comment, so that both sides notice a dead stream
	eventTimeout = 2 * time.Second // for one write to a watcher
)

// Serve streams server-sent events (WHATWG HTML, section 9.2): a snapshot, or
// what came after Last-Event-ID, then change and output as they come. It
// returns when the watcher is gone or too slow or the Hub closes; an error only
// where nothing was written, because the Hub is closed.
func (h *Hub) Serve(w http.ResponseWriter, r *http.Request) error {
	wt, first, ok := h.watch(r.Header.Get("Last-Event-ID"))
	if !ok {
		return apitype.NewProblem(http.StatusServiceUnavailable, apitype.CodeStopping,
			"cannot start an event stream: the daemon is stopping", "connect again")
	}
	defer h.unwatch(wt)
	w.Header().Set("Content-Type", apitype.TypeEventStream)
	w.Header().Set("Connection", "close") // with the stream ends its connection: who lagged has no use for it
	out := writer{w: w, rc: http.NewResponseController(w), id: h.id}
	for _, e := range first {
		if out.event(e) != nil {
			return nil // the watcher is gone or stuck: there is nobody to tell
		}
	}
	if len(first) == 0 && out.comment("resumed") != nil {
		return nil
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	for {
		select { // who lags is told before it gets more of the old
		case <-wt.lagging:
			out.lagging()
			return nil
		default:
		}
		var err error
		select {
		case <-r.Context().Done():
			return nil
		case <-h.done:
			return nil
		case <-wt.lagging:
			continue
		case e := <-wt.queue:
			err = out.event(e)
		case <-beat.C:
			err = out.comment("heartbeat")
		}
		if err != nil {
			return nil
		}
	}
}

// writer writes events, each with a deadline of its own.
type writer struct {
	w  http.ResponseWriter
	rc *http.ResponseController
	id func(uint64) string
}

func (o writer) event(e entry) error {
	return o.write("id: %s\nevent: %s\ndata: %s\n\n", o.id(e.n), e.name, e.data)
}

func (o writer) comment(text string) error { return o.write(": %s\n\n", text) }

// lagging is a watcher's last event. It has no id: there is nothing to resume.
func (o writer) lagging() {
	data, err := json.Marshal(apitype.NewProblem(http.StatusServiceUnavailable, apitype.CodeLagging,
		"cannot keep up: this stream was read too slowly", "connect again for a fresh snapshot"))
	if err == nil {
		_ = o.write("event: %s\ndata: %s\n\n", apitype.EventLagging, data)
	}
}

func (o writer) write(format string, args ...any) error {
	if err := o.rc.SetWriteDeadline(time.Now().Add(eventTimeout)); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(o.w, format, args...); err != nil {
		return err
	}
	return o.rc.Flush()
}

// Plain writes server-sent events that nobody resumes: they have no ids. The first one
// begins the answer.
type Plain struct {
	out   writer
	begun bool
}

// NewPlain makes a Plain on an answer of which nothing is written yet.
func NewPlain(w http.ResponseWriter) *Plain {
	return &Plain{out: writer{w: w, rc: http.NewResponseController(w)}}
}

// Begun says whether an event was written.
func (p *Plain) Begun() bool { return p.begun }

// Event writes one event with v as JSON. An error means that the reader is gone or
// stuck.
func (p *Plain) Event(name string, v any) error {
	data, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("cannot write the event %s: %w", name, err)
	}
	if !p.begun {
		p.begun = true
		p.out.w.Header().Set("Content-Type", apitype.TypeEventStream)
		p.out.w.Header().Set("Connection", "close")
	}
	return p.out.write("event: %s\ndata: %s\n\n", name, data)
}
