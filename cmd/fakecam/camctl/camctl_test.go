package camctl

// With a real fakecam this package is tested by cmd/fakecam, which needs its
// mount namespace; here are the ways it can fail.

import (
	"bufio"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// answering listens and answers every line with the same words.
func answering(t *testing.T, answer string) (Client, chan string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "ctl")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	heard, done := make(chan string, 8), make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			line, _ := bufio.NewReader(c).ReadString('\n')
			heard <- strings.TrimSpace(line)
			_, _ = c.Write([]byte(answer))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = l.Close(); <-done })
	return Client(path), heard
}

func TestClient(t *testing.T) {
	c, heard := answering(t, "ok\n")
	for want, do := range map[string]func() error{
		"unplug 1":      func() error { return c.Unplug(1) },
		"plug 2":        func() error { return c.Plug(2) },
		"stall 0 1500":  func() error { return c.Stall(0, 1500*time.Millisecond) },
		"deny 0 1000":   func() error { return c.Deny(0, 1000) },
		"deny 1 all":    func() error { return c.Deny(1, Everybody) },
		"allow 0 0":     func() error { return c.Allow(0, 0) },
		"hang 0 250":    func() error { return c.Hang(0, 250*time.Millisecond) },
		"move 0 3":      func() error { return c.Move(0, 3) },
		"garbage 1 on":  func() error { return c.Fault(1, "garbage", true) },
		"revoke 0 off":  func() error { return c.Fault(0, "revoke", false) },
		"shutter 2 on":  func() error { return c.Shutter(2, true) },
		"shutter 0 off": func() error { return c.Shutter(0, false) },
	} {
		if err := do(); err != nil {
			t.Errorf("%s: %v", want, err)
		}
		if got := <-heard; got != want {
			t.Errorf("sent %q, want %q", got, want)
		}
	}
}

func TestFigures(t *testing.T) {
	c, _ := answering(t, "ok openers 3 streaming 1\n")
	if n, on, err := c.Openers(0); err != nil || n != 3 || !on {
		t.Errorf("%d %v %v", n, on, err)
	}
	if _, err := c.Stats(0); err == nil {
		t.Error("openers were taken for stats")
	}
	c, _ = answering(t, "ok frames 10 drops 2 late 1 garbage 7 moved x\n")
	if s, err := c.Stats(0); err == nil {
		t.Errorf("%+v was read from words", s)
	}
	c, _ = answering(t, "ok value -5 inactive 1\n")
	if v, off, err := c.Control(0, "x"); err != nil || v != -5 || !off {
		t.Errorf("%d %v %v", v, off, err)
	}
	c, _ = answering(t, "ok frames 10 drops 2 late 1 garbage 7 moved 1\n")
	if s, err := c.Stats(0); err != nil || s.Frames != 10 || s.Drops != 2 || s.Late != 1 || s.Faults["garbage"] != 7 || s.Faults["moved"] != 1 {
		t.Errorf("%+v %v", s, err)
	}
	if _, _, err := c.Control(0, "x"); err == nil {
		t.Error("stats were taken for a control")
	}
	if _, _, err := c.Openers(0); err == nil {
		t.Error("stats were taken for openers")
	}
}

func TestErrors(t *testing.T) {
	c, _ := answering(t, "error cannot find camera \"7\"\n")
	if err := c.Unplug(7); err == nil || !strings.Contains(err.Error(), "cannot find camera") {
		t.Errorf("an error answer: %v", err)
	}
	c, _ = answering(t, "") // closes without a word
	if _, err := c.Do("stats 0"); err == nil || !strings.HasPrefix(err.Error(), "cannot read") {
		t.Errorf("no answer: %v", err)
	}
	if err := Client(filepath.Join(t.TempDir(), "none")).Plug(0); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no socket: %v", err)
	}
}

func TestStartErrors(t *testing.T) {
	if _, err := Start(context.Background(), "/no/such/fakecam"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no program: %v", err)
	}
	// Programs that are no fakecam: one that ends at once, one that says something else.
	for _, bin := range []string{"/bin/false", "/bin/echo"} {
		if _, err := Start(context.Background(), bin); err == nil || !strings.Contains(err.Error(), "cannot start fakecam: it said") {
			t.Errorf("%s: %v", bin, err)
		}
	}
	// One that says nothing, ended by its context and then killed for real.
	quiet := filepath.Join(t.TempDir(), "quiet")
	if err := os.WriteFile(quiet, []byte("#!/bin/sh\nexec sleep 60\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if _, err := Start(ctx, quiet); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a program that says nothing: %v", err)
	}
}
