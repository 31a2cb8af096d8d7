package api

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// answering is a server on a descriptor that somebody else keeps open, as systemd does.
func answering(t *testing.T, file *os.File) (*http.Server, net.Listener, *open, <-chan struct{}) {
	t.Helper()
	ln, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	var conns open
	srv := &http.Server{
		Handler:           http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }),
		ReadHeaderTimeout: 10 * time.Second, ConnState: conns.note,
	}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = srv.Serve(ln)
	}()
	return srv, ln, &conns, served
}

// TestDrainDropsNobody restarts a server again and again on one socket: whoever knocks
// gets an answer, of the old one or of the new one.
func TestDrainDropsNobody(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	file, err := ln.File()
	ln.Close()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var answered, dropped atomic.Int64
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for ctx.Err() == nil {
				transport := &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
					var d net.Dialer
					return d.DialContext(ctx, "unix", path)
				}}
				resp, err := (&http.Client{Transport: transport, Timeout: 20 * time.Second}).Get("http://kioskd/")
				if err != nil {
					dropped.Add(1)
					continue
				}
				resp.Body.Close()
				answered.Add(1)
			}
		})
	}
	for range 100 {
		srv, ln, conns, served := answering(t, file)
		enough := answered.Load() + 20
		for end := time.Now().Add(20 * time.Second); answered.Load() < enough && time.Now().Before(end); {
			<-time.After(time.Millisecond)
		}
		if err := drain(srv, ln, conns, served); err != nil {
			t.Error(err)
		}
		grace, done := context.WithTimeout(ctx, 10*time.Second)
		if err := srv.Shutdown(grace); err != nil {
			t.Error(err)
		}
		done()
	}
	cancel()
	srv, last, conns, served := answering(t, file) // for those who wait
	wg.Wait()
	if err := errors.Join(drain(srv, last, conns, served), srv.Close()); err != nil {
		t.Error(err)
	}
	if dropped.Load() > 0 || answered.Load() < 2000 {
		t.Errorf("%d were dropped, %d answered", dropped.Load(), answered.Load())
	}
}

// A connection that says nothing holds the end up for lastWords and no longer.
func TestDrainWaitsForNobodyLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Net: "unix", Name: path})
	if err != nil {
		t.Fatal(err)
	}
	file, err := ln.File()
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	srv, again, conns, served := answering(t, file)
	silent, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	for end := time.Now().Add(20 * time.Second); time.Now().Before(end); {
		conns.mu.Lock()
		n := conns.n
		conns.mu.Unlock()
		if n == 1 {
			break
		}
		<-time.After(time.Millisecond)
	}
	began := time.Now()
	if err := drain(srv, again, conns, served); err != nil {
		t.Error(err)
	}
	if d := time.Since(began); d < lastWords || d > 5*time.Second {
		t.Errorf("it took %v", d)
	}
	srv.Close()
	ln.Close()
}
