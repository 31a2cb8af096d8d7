package client_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/session"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func deadline(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	t.Cleanup(cancel)
	return ctx
}

// start gives a running kiosk and a client of it.
func start(t *testing.T) (*apitest.Kiosk, *client.Client) {
	t.Helper()
	k, err := apitest.Start()
	if err != nil {
		t.Fatal(err)
	}
	c := client.New(k.Socket)
	t.Cleanup(func() {
		c.Close()
		if err := k.Close(); err != nil {
			t.Error(err)
		}
	})
	return k, c
}

func TestSocketPath(t *testing.T) {
	env := func(value string) func(string) string {
		return func(name string) string {
			if name != "KIOSKD_SOCKET" {
				t.Errorf("it asks for %s", name)
			}
			return value
		}
	}
	for _, c := range []struct{ flag, env, want string }{
		{"/flag", "/env", "/flag"},
		{"", "/env", "/env"},
		{"", "", "/run/kioskd/control.sock"},
	} {
		if got := client.SocketPath(c.flag, env(c.env)); got != c.want {
			t.Errorf("flag %q, environment %q: %q, want %q", c.flag, c.env, got, c.want)
		}
	}
}

func TestRootEveryMethod(t *testing.T) {
	k, c := start(t)
	ctx := deadline(t)
	if s, err := c.Session(ctx); err != nil || s != nil {
		t.Fatalf("no session is %v, %v", s, err)
	}
	if a, err := c.Open(ctx, apitest.Canary); err != nil || a.Session.AppointmentID != apitest.Canary || !a.Durable {
		t.Fatalf("open: %+v, %v", a, err)
	}
	if err := k.Await(ctx, session.Waiting, session.AwaitsParticipant); err != nil {
		t.Fatal(err)
	}
	yes, no := true, false
	for _, step := range []struct {
		do   func(context.Context, *bool) (apitype.CommandAnswer, error)
		set  *bool
		want [2]bool // muted, disabled
	}{
		{c.Mute, nil, [2]bool{true, false}},
		{c.Mute, &yes, [2]bool{true, false}},
		{c.DisableVideo, nil, [2]bool{true, true}},
		{c.DisableVideo, &no, [2]bool{true, false}},
		{c.Mute, &no, [2]bool{false, false}},
		{c.DisableVideo, &yes, [2]bool{false, true}},
	} {
		a, err := step.do(ctx, step.set)
		if err != nil {
			t.Fatal(err)
		}
		if got := [2]bool{a.Session.Audio.Muted, a.Session.Video.Disabled}; got != step.want {
			t.Errorf("muted and disabled are %v, want %v", got, step.want)
		}
	}
	if s, err := c.Status(ctx); err != nil || s.Session == nil || !s.Session.Video.Disabled || s.Version.Version != "test" {
		t.Errorf("status: %+v, %v", s, err)
	}
	if d, err := c.Devices(ctx); err != nil || len(d) != 3 || d[0].ID != apitest.Camera {
		t.Errorf("devices: %+v, %v", d, err)
	}
	k.Health.Set("disk_full", apitype.SeverityError, "The disk is full.", "")
	if h, err := c.Health(ctx); err != nil || h.OK || len(h.Conditions) != 1 {
		t.Errorf("health: %+v, %v", h, err)
	}
	if a, err := c.EndCall(ctx); err != nil || !a.Session.Final() {
		t.Errorf("end: %+v, %v", a, err)
	}
}

func TestRootRefusalIsAProblem(t *testing.T) {
	_, c := start(t)
	_, err := c.Mute(deadline(t), nil)
	var p *apitype.Problem
	if !errors.As(err, &p) || p.Code != "no_session" || p.Status != http.StatusConflict || errors.Is(err, client.ErrUnreachable) {
		t.Fatalf("got %v", err)
	}
	if want := "cannot do this: there is no session: Open an appointment first."; err.Error() != want {
		t.Errorf("it reads %q, want %q", err, want)
	}
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	ln, err := net.Listen("unix", dead)
	if err != nil {
		t.Fatal(err)
	}
	ln.(*net.UnixListener).SetUnlinkOnClose(false)
	_ = ln.Close()
	none := filepath.Join(dir, "none")
	for path, cause := range map[string]error{none: os.ErrNotExist, dead: syscall.ECONNREFUSED} {
		c := client.New(path)
		_, err := c.Status(deadline(t))
		want := "cannot reach kioskd at " + path + ": is it running? try: systemctl status kioskd"
		if err == nil || err.Error() != want {
			t.Errorf("got %v, want %s", err, want)
		}
		if !errors.Is(err, client.ErrUnreachable) || !errors.Is(err, cause) {
			t.Errorf("%v is not ErrUnreachable because of %v", err, cause)
		}
		if err := c.Watch(deadline(t), nil); !errors.Is(err, client.ErrUnreachable) {
			t.Errorf("watch: %v", err)
		}
	}
}

// serve answers each connection with text, whatever is asked.
func serve(t *testing.T, text string) *client.Client {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			_, _ = c.Read(make([]byte, 4096))
			_, _ = io.WriteString(c, text)
			_ = c.Close()
		}
	}()
	c := client.New(socket)
	t.Cleanup(func() { c.Close(); _ = ln.Close(); <-done })
	return c
}

func TestStrangeAnswers(t *testing.T) {
	for _, c := range []struct{ name, answer, want string }{
		{"an error in plain text", "HTTP/1.1 431 Request Header Fields Too Large\r\nContent-Length: 4\r\n\r\nlong", "cannot do this: kioskd answered 431 Request Header Fields Too Large"},
		{"a page", "HTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\n<html>", "is it another version?"},
		{"a redirect", "HTTP/1.1 302 Found\r\nLocation: http://evil.example/\r\nContent-Length: 0\r\n\r\n", "kioskd answered 302 Found"},
		{"half an answer", "HTTP/1.1 200 OK\r\nContent-Length: 600\r\n\r\n{", "cannot read the answer"},
		{"nothing", "", "it hung up"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := serve(t, c.answer).Status(deadline(t))
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Errorf("got %v, want %q", err, c.want)
			}
		})
	}
}

func TestCallersEndStaysWhatItIs(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err := client.New(filepath.Join(t.TempDir(), "none")).Status(ctx)
	if !errors.Is(err, context.Canceled) || errors.Is(err, client.ErrUnreachable) {
		t.Errorf("got %v", err)
	}
}

// TestFullQueueIsTriedAgain: a listener that accepts nothing for a while makes
// connect(2) say EAGAIN.
func TestFullQueueIsTriedAgain(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	fd, err := syscall.Socket(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(syscall.Bind(fd, &syscall.SockaddrUnix{Name: socket}), syscall.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(fd), socket)
	ln, err := net.FileListener(file)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	filler, err := net.Dial("unix", socket) // a backlog of 0 holds one
	if err != nil {
		t.Fatal(err)
	}
	defer filler.Close()
	if c, err := net.Dial("unix", socket); !errors.Is(err, syscall.EAGAIN) {
		t.Fatalf("the queue is not full: %v, %v", c, err)
	}
	c := client.New(socket)
	answered := make(chan error, 1)
	go func() { _, err := c.Health(context.Background()); answered <- err }()
	select {
	case err := <-answered:
		t.Fatalf("it did not wait for a place: %v", err)
	case <-time.After(100 * time.Millisecond):
	}
	srv := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `{"ok":true}`)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(ln) }()
	if err := <-answered; err != nil {
		t.Errorf("got %v", err)
	}
	c.Close()
	_ = srv.Close()
	<-done
}
