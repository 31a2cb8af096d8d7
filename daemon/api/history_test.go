package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// operationSeen is one request of a history: something said in the chat, or the chat read.
type operationSeen struct {
	begun, ended time.Time
	said         string   // "" for a read
	read         []string // what a read gave, oldest first
}

func (o operationSeen) String() string {
	if o.said != "" {
		return "saying " + o.said
	}
	return fmt.Sprintf("reading %d", len(o.read))
}

// consistent checks a history against a list that grows at one end: there has to be an
// order of all operations, each at an instant between its beginning and its end, in which
// every read gives what was said before it (linearizability, Herlihy and Wing 1990).
// What was said is unique, so that the order of all that was said is known from the
// longest read; what is left is to hold each pair that did not overlap against it.
func consistent(history []operationSeen) error {
	var whole []string
	for _, o := range history {
		if len(o.read) > len(whole) {
			whole = o.read
		}
	}
	place := map[string]int{}
	for i, text := range whole {
		if _, twice := place[text]; twice {
			return fmt.Errorf("%s is there twice", text)
		}
		place[text] = i + 1
	}
	for _, o := range history {
		for i, text := range o.read {
			if whole[i] != text {
				return fmt.Errorf("one read has %s at %d, another %s", text, i, whole[i])
			}
		}
		if _, known := place[o.said]; o.said != "" && !known {
			return fmt.Errorf("%s was acknowledged and is in no read", o.said)
		}
	}
	for _, a := range history {
		for _, b := range history {
			if !a.ended.Before(b.begun) {
				continue
			}
			first, then := place[a.said], place[b.said]
			if a.said == "" {
				first = len(a.read)
			}
			if b.said == "" {
				then = len(b.read)
			}
			// A read may follow another that gives the same, and what it gives.
			if first > then || first == then && b.said != "" {
				return fmt.Errorf("%v was over before %v began, and comes after it", a, b)
			}
		}
	}
	return nil
}

// TestRootHistoryIsConsistent: 50 clients speak and read at once; their histories have
// one order that explains all of them.
func TestRootHistoryIsConsistent(t *testing.T) {
	k := start(t)
	open(t, k, clientOf(t, k, self))
	k.Arrive()
	if err := k.Await(deadline(t), session.Active, ""); err != nil {
		t.Fatal(err)
	}
	var mu sync.Mutex
	var history []operationSeen
	var all sync.WaitGroup
	for n := range 50 {
		c := clientOf(t, k, apitest.User{})
		all.Go(func() {
			for i := range 12 {
				o := operationSeen{}
				if n%3 == 0 && i%3 == 0 { // 68 in all: the chat keeps 100
					o.said = fmt.Sprintf("m-%d-%d", n, i)
				}
				if err := o.do(t.Context(), c); err != nil {
					t.Errorf("%v: %v", o, err)
					return
				}
				mu.Lock()
				history = append(history, o)
				mu.Unlock()
			}
		})
	}
	all.Wait()
	last := operationSeen{}
	if err := last.do(deadline(t), clientOf(t, k, self)); err != nil {
		t.Fatal(err)
	}
	history = append(history, last)
	if len(last.read) != 68 {
		t.Errorf("in the end there are %d messages, want 68", len(last.read))
	}
	if err := consistent(history); err != nil {
		t.Errorf("of %d operations: %v", len(history), err)
	}
}

// do asks and notes.
func (o *operationSeen) do(ctx context.Context, c *http.Client) error {
	method, body := http.MethodGet, ""
	if o.said != "" {
		method, body = http.MethodPost, `{"text":"`+o.said+`"}`
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://kioskd/v1/session/messages", strings.NewReader(body))
	if err != nil {
		return err
	}
	if body != "" {
		req.Header.Set("Content-Type", jsonType)
	}
	o.begun = time.Now()
	resp, err := c.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var got apitype.Messages
	err = json.NewDecoder(resp.Body).Decode(&got)
	o.ended = time.Now()
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("status %d", resp.StatusCode)
	}
	for _, m := range got.Messages {
		o.read = append(o.read, m.Text)
	}
	return err
}

// The checker itself has to find what is wrong.
func TestHistoriesThatAreWrong(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, 0).Add(time.Duration(ms) * time.Millisecond) }
	say := func(from, to int, text string) operationSeen {
		return operationSeen{begun: at(from), ended: at(to), said: text}
	}
	read := func(from, to int, texts ...string) operationSeen {
		return operationSeen{begun: at(from), ended: at(to), read: texts}
	}
	for name, tt := range map[string]struct {
		history []operationSeen
		says    string // "" for a good one
	}{
		"one after the other":    {[]operationSeen{say(0, 1, "a"), read(2, 3, "a"), say(4, 5, "b"), read(6, 7, "a", "b")}, ""},
		"read while it is said":  {[]operationSeen{say(0, 9, "a"), read(1, 2), read(3, 4, "a"), read(5, 6, "a")}, ""},
		"two at once":            {[]operationSeen{say(0, 9, "a"), say(0, 9, "b"), read(10, 11, "b", "a")}, ""},
		"an old read":            {[]operationSeen{say(0, 1, "a"), read(2, 3), read(4, 5, "a")}, "saying a was over before reading 0"},
		"it goes back":           {[]operationSeen{say(0, 9, "a"), read(1, 2, "a"), read(3, 4)}, "reading 1 was over before reading 0"},
		"read before it is said": {[]operationSeen{read(0, 1, "a"), say(2, 3, "a")}, "reading 1 was over before saying a"},
		"the wrong way round":    {[]operationSeen{say(0, 1, "a"), say(2, 3, "b"), read(4, 5, "b", "a")}, "saying a was over before saying b"},
		"lost":                   {[]operationSeen{say(0, 1, "a"), say(0, 1, "b"), read(2, 3, "b")}, "a was acknowledged and is in no read"},
		"two orders":             {[]operationSeen{say(0, 9, "a"), say(0, 9, "b"), read(1, 2, "a"), read(1, 2, "b", "a")}, "one read has"},
		"twice":                  {[]operationSeen{say(0, 9, "a"), read(1, 2, "a", "a")}, "a is there twice"},
	} {
		err := consistent(tt.history)
		if tt.says == "" && err != nil || tt.says != "" && (err == nil || !strings.Contains(err.Error(), tt.says)) {
			t.Errorf("%s: %v, want %q", name, err, tt.says)
		}
	}
}
