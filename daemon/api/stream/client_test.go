package stream_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// client is the far end of a stream. It can stop reading: then a write waits
// for its deadline, like one to a full socket.
type client struct {
	mu       sync.Mutex
	text     bytes.Buffer
	header   http.Header
	deadline time.Time
	stalled  chan struct{} // not nil: nothing is read until it is closed
}

func newClient() *client { return &client{header: http.Header{}} }

func (c *client) Header() http.Header { return c.header }

func (c *client) WriteHeader(int) {}

func (c *client) Flush() {}

func (c *client) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deadline = t
	return nil
}

func (c *client) Write(p []byte) (int, error) {
	c.mu.Lock()
	stalled, wait := c.stalled, time.Until(c.deadline)
	c.mu.Unlock()
	if stalled != nil {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-stalled:
		case <-timer.C:
			return 0, os.ErrDeadlineExceeded
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.Write(p)
}

func (c *client) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.text.String()
}

// events reads what came so far as events; comments have the name ":".
func (c *client) events(t *testing.T) []apitype.Event {
	t.Helper()
	var list []apitype.Event
	for block := range strings.SplitSeq(strings.TrimSuffix(c.String(), "\n\n"), "\n\n") {
		var e apitype.Event
		for line := range strings.SplitSeq(block, "\n") {
			name, value, ok := strings.Cut(line, ": ")
			switch {
			case !ok && block != "":
				t.Fatalf("bad line %q", line)
			case name == "id":
				e.ID = value
			case name == "event":
				e.Name = value
			case name == "data":
				e.Data = json.RawMessage(value)
			case name == "":
				e.Name = ":"
			}
		}
		list = append(list, e)
	}
	return list
}

// names lists the events' names, with the number of a change's status.
func (c *client) names(t *testing.T) string {
	t.Helper()
	var out []string
	for _, e := range c.events(t) {
		name := e.Name
		if s, err := e.Status(); err == nil && s.Session != nil {
			name += strconv.Itoa(s.Session.TimerSeconds)
		}
		out = append(out, name)
	}
	return strings.Join(out, " ")
}
