package sim

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"

	"kioskd/cmd/clinicsim/hub"
)

// Bounds of what a test can ask for.
const (
	maxControl = 256 << 10        // bytes of one control request: room for an answer that is too big for a kiosk
	maxDelay   = 10 * time.Minute // of one answer
	maxSeconds = 1_000_000
	maxSilence = 10 * time.Minute // after which a silent answer's connection is closed
	answerTime = 10 * time.Second // to write an answer, once it may go out
	aProblem   = "Something went wrong at the clinic. Please try again later."
)

// Answer is how the backend answers one kind of request. The zero Answer is a
// backend that works.
type Answer struct {
	// Status is the status to answer with, 300 to 599; 0 or 200 answers as usual.
	Status int `json:"status"`
	// Location of a 302; "" is the appointment's permission endpoint, where a PUT
	// gets the screen.
	Location string `json:"location"`
	// DelayMS is how long the answer waits, in milliseconds.
	DelayMS int `json:"delay_ms"`
	// Silent takes the request and never answers it.
	Silent bool `json:"silent"`
	// Times is for how many requests this holds; 0 is until changed.
	Times int `json:"times"`
	// Body replaces the answer's body, with status 200 too.
	Body string `json:"body"`
	// NoRoom leaves the room out of a screen.
	NoRoom bool `json:"no_room"`
	// Error is the code of a 405, or of a screen that has one.
	Error string `json:"error"`
	// Title replaces a screen's title; in a PATCH's answer it is a patch of it.
	Title string `json:"title"`
	// Patches are those of a 405.
	Patches map[string]any `json:"patches"`
	// Keep stores a POST's report before all of this: the answer that gets lost.
	Keep bool `json:"keep"`
}

func (a Answer) check(name string) error {
	switch {
	case a.Status != 0 && a.Status != http.StatusOK && (a.Status < 300 || a.Status > 599):
		return fmt.Errorf("cannot answer %s with status %d: want 0, 200 or 300 to 599", name, a.Status)
	case a.DelayMS < 0 || int64(a.DelayMS) > maxDelay.Milliseconds():
		return fmt.Errorf("cannot delay %s by %d ms: want 0 to %d", name, a.DelayMS, maxDelay.Milliseconds())
	case a.Times < 0:
		return fmt.Errorf("cannot do %s %d times: want 1 or more, or 0 for until changed", name, a.Times)
	case strings.ContainsAny(a.Location, "\r\n"):
		return fmt.Errorf("cannot send %s elsewhere: the location has a line break", name)
	}
	return nil
}

// RoomChange changes what the screen says about the room. Zero values and nil
// leave the usual ones.
type RoomChange struct {
	SessionSeconds int   `json:"session_seconds"`
	WaitSeconds    int   `json:"wait_seconds"`
	Chat           *bool `json:"chat"`
	ReportIssue    *bool `json:"report_issue"`
	// ExpiresSeconds is the life of tokens that are handed out from now on.
	ExpiresSeconds int `json:"expires_seconds"`
	// Timeout in seconds makes the kiosk PATCH so often; 0 gives it no timer.
	Timeout float64 `json:"timeout"`
	// Patches go out with the screen and with each PATCH's answer.
	Patches map[string]any `json:"patches"`
}

func (c RoomChange) check() error {
	for _, seconds := range []float64{float64(c.SessionSeconds), float64(c.WaitSeconds), float64(c.ExpiresSeconds), c.Timeout} {
		if seconds < 0 || seconds > maxSeconds {
			return fmt.Errorf("cannot change the room: seconds are 0 to %d", maxSeconds)
		}
	}
	return nil
}

// order is the body of POST /sim/behave. A key that is missing changes
// nothing, null undoes what was set under it.
type order struct {
	Put    json.RawMessage `json:"put"`
	Patch  json.RawMessage `json:"patch"`
	Post   json.RawMessage `json:"post"`
	Room   json.RawMessage `json:"room"`
	Signal json.RawMessage `json:"signal"`
}

// conduct is what an order asks for; nil is a key that was not there.
type conduct struct {
	answers map[string]*Answer // by HTTP method; only those that were named
	room    *RoomChange
	signal  *hub.Trouble
}

// parseOrder reads and checks the body of POST /sim/behave as a whole.
func parseOrder(body []byte) (conduct, error) {
	var o order
	if err := strict(body, &o); err != nil {
		return conduct{}, fmt.Errorf("cannot read the behaviour: %w", err)
	}
	out := conduct{answers: map[string]*Answer{}}
	for _, part := range []struct {
		method string
		raw    json.RawMessage
	}{{http.MethodPut, o.Put}, {http.MethodPatch, o.Patch}, {http.MethodPost, o.Post}} {
		if part.raw == nil {
			continue
		}
		var a Answer
		if err := strict(part.raw, &a); err != nil {
			return conduct{}, fmt.Errorf("cannot read the behaviour of %s: %w", part.method, err)
		}
		if err := a.check(part.method); err != nil {
			return conduct{}, err
		}
		out.answers[part.method] = &a
	}
	if o.Room != nil {
		out.room = &RoomChange{}
		if err := errors.Join(strict(o.Room, out.room), out.room.check()); err != nil {
			return conduct{}, fmt.Errorf("cannot read the behaviour of the room: %w", err)
		}
	}
	if o.Signal != nil {
		out.signal = &hub.Trouble{}
		if err := strict(o.Signal, out.signal); err != nil {
			return conduct{}, fmt.Errorf("cannot read the behaviour of the signalling: %w", err)
		}
	}
	return out, nil
}

// strict decodes one JSON value and refuses unknown fields and anything after it.
func strict(b []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if d.More() {
		return errors.New("there is more than one JSON value")
	}
	return nil
}

// behaviour is what the backend has been told and not yet done.
type behaviour struct {
	mu      sync.Mutex
	answers map[string]Answer // by HTTP method
	room    RoomChange
}

// apply takes an order over.
func (b *behaviour) apply(c conduct) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for method, a := range c.answers {
		b.answers[method] = *a
	}
	if c.room != nil {
		b.room = *c.room
	}
}

// reset forgets everything.
func (b *behaviour) reset() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.answers, b.room = map[string]Answer{}, RoomChange{}
}

// take gives the answer to the next request with this method and counts it.
func (b *behaviour) take(method string) Answer {
	b.mu.Lock()
	defer b.mu.Unlock()
	a := b.answers[method]
	switch a.Times {
	case 0:
	case 1:
		delete(b.answers, method)
	default:
		left := a
		left.Times--
		b.answers[method] = left
	}
	return a
}

func (b *behaviour) roomNow() RoomChange {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.room
}

// misbehave does what it was told to do instead of the usual answer, or waits
// as long as it was told. It reports whether the request is dealt with.
func (c *clinic) misbehave(w http.ResponseWriter, r *http.Request, told Answer) bool {
	if told.DelayMS > 0 && !c.hold(w, r, time.Duration(told.DelayMS)*time.Millisecond) {
		hangUp(w)
		return true
	}
	if told.Silent {
		c.hold(w, r, maxSilence)
		hangUp(w)
		return true
	}
	switch told.Status {
	case 0, http.StatusOK:
		if told.Body == "" {
			return false
		}
		writeText(w, http.StatusOK, told.Body)
	case http.StatusFound:
		location := told.Location
		if location == "" {
			location = "/api/v3/appointments/" + r.PathValue("id") + "/video-room/permission"
		}
		w.Header().Set("Location", location)
		w.WriteHeader(http.StatusFound)
	case http.StatusUnauthorized:
		c.unauthorized(w)
	case http.StatusMethodNotAllowed:
		if told.Body != "" {
			writeText(w, told.Status, told.Body)
			break
		}
		notAllowed(w, told.Error, told.Patches)
	default:
		body := told.Body
		if body == "" {
			body = aProblem
		}
		writeText(w, told.Status, body)
	}
	return true
}

// hold waits for d, longer than the server's own limits where it must. It
// reports false when the client or the clinic went away first. The request's
// body has been read, else nobody would notice the client's going.
func (c *clinic) hold(w http.ResponseWriter, r *http.Request, d time.Duration) bool {
	control := http.NewResponseController(w)
	end := time.Now().Add(d + answerTime)
	if err := errors.Join(control.SetReadDeadline(end), control.SetWriteDeadline(end)); err != nil {
		c.cfg.Log.Warn("cannot hold a request for long", "error", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), d)
	defer cancel()
	select {
	case <-ctx.Done():
		return errors.Is(ctx.Err(), context.DeadlineExceeded) && r.Context().Err() == nil
	case <-c.life.Done():
		return false
	}
}

// hangUp closes the connection without an answer.
func hangUp(w http.ResponseWriter) {
	conn, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return // gone already
	}
	_ = conn.Close() // nobody is to hear anything
}

// writeText answers with a text that a test made up.
func writeText(w http.ResponseWriter, status int, body string) {
	kind := "text/plain; charset=utf-8"
	if strings.HasPrefix(body, "{") {
		kind = "application/json"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a client that went away does not matter
}
