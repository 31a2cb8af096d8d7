package client

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"kioskd/daemon/api/apitype"
)

const (
	// silence is how long a stream may be without a byte; the daemon sends a
	// heartbeat every 5 s.
	silence    = 15 * time.Second
	maxLine    = 1 << 20
	backoffMin = 100 * time.Millisecond
	backoffMax = 2 * time.Second
)

// errSilent ends a stream on which not even heartbeats come.
var errSilent = errors.New("cannot go on watching: nothing came for 15 s")

// errLagging ends a stream that was read too slowly; connecting again gives a
// snapshot.
var errLagging = errors.New("cannot go on watching: events were read too slowly")

// Watch calls fn for each event, in order, a snapshot first, until ctx ends,
// the stream ends or fn gives an error, and returns why. The end of the stream
// is io.EOF, or errors.Is ErrUnreachable where there never was one.
func (c *Client) Watch(ctx context.Context, fn func(apitype.Event) error) error {
	last := ""
	return c.stream(ctx, &last, fn)
}

// Follow is Watch that connects again, and goes on after the last event that
// fn saw, until ctx ends or fn gives an error. lost, where not nil, is told why
// a stream ended (it may be told many times in a row); the next event is a
// snapshot, or the first that was missed. What the daemon refuses ends it too.
func (c *Client) Follow(ctx context.Context, lost func(error), fn func(apitype.Event) error) error {
	last, wait := "", backoffMin
	var fromFn error
	for {
		err := c.stream(ctx, &last, func(e apitype.Event) error {
			wait = backoffMin
			fromFn = fn(e)
			return fromFn
		})
		if fromFn != nil || ctx.Err() != nil {
			return err
		}
		if p := (*apitype.Problem)(nil); errors.As(err, &p) && p.Status < http.StatusInternalServerError {
			return err
		}
		if errors.Is(err, errLagging) {
			last = ""
		}
		if lost != nil {
			lost(err)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(wait):
		}
		wait = min(2*wait, backoffMax)
	}
}

// stream reads one event stream. *last is sent as Last-Event-ID and moves on.
func (c *Client) stream(ctx context.Context, last *string, fn func(apitype.Event) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	req, err := newRequest(ctx, http.MethodGet, apitype.RouteEvents, nil)
	if err != nil {
		return err
	}
	if *last != "" {
		req.Header.Set("Last-Event-ID", *last)
	}
	quiet := time.AfterFunc(silence, func() { cancel(errSilent) })
	defer quiet.Stop()
	resp, err := c.ask(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	c.met.Store(true)
	if resp.StatusCode != http.StatusOK {
		body, _ := io.ReadAll(io.LimitReader(resp.Body, maxAnswer)) // what came is enough
		return problemFrom(resp, body)
	}
	err = readEvents(resp.Body, func() { quiet.Reset(silence) }, func(e apitype.Event) error {
		if e.Name == apitype.EventLagging {
			return errLagging
		}
		if err := fn(e); err != nil {
			return err
		}
		*last = e.ID
		return nil
	})
	if cause := context.Cause(ctx); cause != nil {
		return cause
	}
	return err
}

// readEvents parses server-sent events (WHATWG HTML, section 9.2.6) as the
// daemon writes them: \n ends a line. alive is called for every line. It
// returns fn's error, io.EOF at the end, or what went wrong.
func readEvents(r io.Reader, alive func(), fn func(apitype.Event) error) error {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 16<<10), maxLine)
	var e apitype.Event
	var id string // stays for the events that have none of their own
	for lines.Scan() {
		alive()
		line := bytes.TrimSuffix(lines.Bytes(), []byte("\r"))
		if len(line) == 0 {
			if e.Data != nil {
				e.ID = id
				if err := fn(e); err != nil {
					return err
				}
			}
			e = apitype.Event{}
			continue
		}
		field, value, _ := bytes.Cut(line, []byte(":"))
		value = bytes.TrimPrefix(value, []byte(" "))
		switch string(field) {
		case "id":
			id = string(value)
		case "event":
			e.Name = string(value)
		case "data":
			if e.Data != nil { // the daemon's data is always one line
				return errors.New("cannot read the event stream: an event has two lines of data")
			}
			if !json.Valid(value) {
				return errors.New("cannot read the event stream: an event's data is no JSON")
			}
			e.Data = bytes.Clone(value)
		}
	}
	if err := lines.Err(); err != nil {
		return fmt.Errorf("cannot read the event stream: %w", err)
	}
	return io.EOF
}
