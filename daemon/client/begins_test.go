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

// systemd's socket takes connections also while no daemon runs.
func TestChecksWhereNobodyAccepts(t *testing.T) {
	var lc net.ListenConfig
	path := filepath.Join(t.TempDir(), "s")
	ln, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	c := New(path)
	defer c.Close()
	c.begins = 50 * time.Millisecond
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	_, err = c.Checks(ctx, apitype.ChecksRequest{})
	if !errors.Is(err, ErrUnreachable) || !errors.Is(err, context.DeadlineExceeded) || ctx.Err() != nil {
		t.Errorf("it says %v", err)
	}
}

// A run that has begun may take longer than that.
func TestChecksThatTakeLong(t *testing.T) {
	var lc net.ListenConfig
	path := filepath.Join(t.TempDir(), "s")
	ln, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := New(path)
	c.begins = time.Second
	c.slowAfter = c.begins / 2
	c.Slow(func() { t.Error("said of a run that has begun") })
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusProcessing)
		<-time.After(c.begins + c.begins/4)
		_, _ = w.Write([]byte(`{"ok":true,"checks":[]}`))
	})}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	defer func() {
		c.Close()
		_ = srv.Close()
		<-done
	}()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if got, err := c.Checks(ctx, apitype.ChecksRequest{}); err != nil || !got.OK {
		t.Errorf("it says %+v, %v", got, err)
	}
}

// A person who waits is told for what, once, and not where there is an answer.
func TestSlow(t *testing.T) {
	var lc net.ListenConfig
	path := filepath.Join(t.TempDir(), "s")
	ln, err := lc.Listen(t.Context(), "unix", path)
	if err != nil {
		t.Fatal(err)
	}
	c := New(path)
	c.slowAfter = 20 * time.Millisecond
	said, wait := 0, make(chan struct{})
	c.Slow(func() { said++; close(wait) })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-wait; cancel() }()
	if _, err := c.Status(ctx); err == nil || said != 1 {
		t.Errorf("said %d times, %v", said, err)
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("{}")) })}
	done := make(chan error, 1)
	go func() { done <- srv.Serve(ln) }()
	defer func() {
		c.Close()
		_ = srv.Close()
		<-done
	}()
	fresh := New(path)
	defer fresh.Close()
	fresh.Slow(func() { t.Error("said beside an answer") })
	for _, c := range []*Client{c, fresh} {
		if _, err := c.Status(t.Context()); err != nil || said != 1 {
			t.Errorf("said %d times, %v", said, err)
		}
	}
}
