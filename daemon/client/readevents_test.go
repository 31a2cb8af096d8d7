package client

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/daemon/api/apitype"
)

func TestReadEvents(t *testing.T) {
	long := strings.Repeat("a", maxLine)
	for _, c := range []struct{ name, text, want, err string }{
		{"one", "id: a-1\nevent: change\ndata: {}\n\n", "a-1 change {};", "EOF"},
		{"carriage returns", "id: a-1\r\nevent: change\r\ndata: {}\r\n\r\n", "a-1 change {};", "EOF"},
		{"no space after the colon", "id:a-1\nevent:change\ndata:{}\n\n", "a-1 change {};", "EOF"},
		{"the id stays", "id: a-1\nevent: change\ndata: {}\n\nevent: output\ndata: {}\n\n", "a-1 change {};a-1 output {};", "EOF"},
		{"comments and unknown fields", ": heartbeat\n\nretry: 5\nevent: change\ndata: {}\n\n", " change {};", "EOF"},
		{"no data is no event", "event: change\n\n", "", "EOF"},
		{"half an event at the end", "event: change\ndata: {}\n", "", "EOF"},
		{"data that is no JSON", "data: {\n\n", "", "no JSON"},
		{"two lines of data", "data: {}\ndata: {}\n\n", "", "two lines"},
		{"a line without an end", "data: " + long, "", "token too long"},
	} {
		var got strings.Builder
		err := readEvents(strings.NewReader(c.text), func() {}, func(e apitype.Event) error {
			got.WriteString(e.ID + " " + e.Name + " " + string(e.Data) + ";")
			return nil
		})
		if got.String() != c.want || err == nil || !strings.Contains(err.Error(), c.err) {
			t.Errorf("%s: got %q, %v; want %q, %s", c.name, got.String(), err, c.want, c.err)
		}
	}
}

// TestSilentStreamIsGivenUp: not even heartbeats come for 15 s.
func TestSilentStreamIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		near, far := net.Pipe()
		defer far.Close()
		c := New("unused")
		c.transport.DialContext = nil
		c.http.Transport = roundTrip(func(r *http.Request) (*http.Response, error) {
			go func() { <-r.Context().Done(); _ = near.Close() }()
			return &http.Response{StatusCode: http.StatusOK, Body: near, Request: r}, nil
		})
		go func() {
			_, _ = io.WriteString(far, ": heartbeat\n\n")
			time.Sleep(14 * time.Second)
			_, _ = io.WriteString(far, ": heartbeat\n\n")
		}()
		begin, last := time.Now(), ""
		err := c.stream(t.Context(), &last, nil)
		if !errors.Is(err, errSilent) || time.Since(begin) != 29*time.Second {
			t.Errorf("it ended with %v after %v", err, time.Since(begin))
		}
	})
}

type roundTrip func(*http.Request) (*http.Response, error)

func (f roundTrip) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Whatever a daemon sends, an event that comes out has JSON data of one line.
func FuzzReadEvents(f *testing.F) {
	for _, s := range []string{
		"id: a-1\nevent: snapshot\ndata: {\"session\":null}\n\n", ": x\n\n", "data\n\n", "data:\n\n",
		"id: \xff\ndata: \"\\u0000\"\n\n", "\r\n\r\n", "event: change\ndata: null\ndata: 1\n\n",
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		err := readEvents(bytes.NewReader(text), func() {}, func(e apitype.Event) error {
			if len(e.Data) == 0 || bytes.ContainsAny(e.Data, "\n") {
				t.Errorf("data is %q", e.Data)
			}
			_, _ = e.Status()
			_, _, _ = e.Output()
			return nil
		})
		if err == nil {
			t.Error("it ended without a reason")
		}
	})
}
