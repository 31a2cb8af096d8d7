package client

import (
	"context"
	"errors"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

// lonely is a socket which takes connections that nobody accepts, as systemd's does while no
// daemon runs, and a client of it. serve has somebody accept them.
func lonely(t *testing.T) (c *Client, serve func(http.HandlerFunc)) {
	t.Helper()
	var lc net.ListenConfig
	ln, err := lc.Listen(t.Context(), "unix", filepath.Join(t.TempDir(), "s"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() }) // the server may have done it
	c = New(ln.Addr().String())
	t.Cleanup(c.Close)
	return c, func(answer http.HandlerFunc) {
		srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: answer}
		done := make(chan error, 1)
		go func() { done <- srv.Serve(ln) }()
		t.Cleanup(func() {
			_ = srv.Close() // closes what is left
			<-done
		})
	}
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	t.Cleanup(cancel)
	return ctx
}

func TestChecksWhereNobodyAccepts(t *testing.T) {
	c, _ := lonely(t)
	c.begins = 50 * time.Millisecond
	ctx := limited(t)
	_, err := c.Checks(ctx, apitype.ChecksRequest{})
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("it says %v", err)
	}
}

// A run that has begun may take longer than that.
func TestChecksThatTakeLong(t *testing.T) {
	c, serve := lonely(t)
	c.begins = time.Second
	c.slowAfter = c.begins / 2
	c.Slow(func() { t.Error("said of a run that has begun") })
	serve(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProcessing)
		<-time.After(c.begins + c.begins/4)
		_, _ = w.Write([]byte(`{"ok":true,"checks":[]}`))
	})
	if got, err := c.Checks(limited(t), apitype.ChecksRequest{}); err != nil || !got.OK {
		t.Errorf("it says %+v, %v", got, err)
	}
}

// A person who waits is told for what, once, and not where there is an answer.
func TestSlow(t *testing.T) {
	c, serve := lonely(t)
	c.slowAfter = 20 * time.Millisecond
	said, wait := 0, make(chan struct{})
	c.Slow(func() { said++; close(wait) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-wait; cancel() }()
	if _, err := c.Status(ctx); err == nil || said != 1 {
		t.Errorf("said %d times, %v", said, err)
	}
	serve(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })
	fresh := New(c.Socket())
	defer fresh.Close()
	fresh.Slow(func() { t.Error("said beside an answer") })
	for _, c := range []*Client{c, fresh} {
		if _, err := c.Status(limited(t)); err != nil || said != 1 {
			t.Errorf("said %d times, %v", said, err)
		}
	}
}
