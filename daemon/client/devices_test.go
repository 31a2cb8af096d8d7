package client_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"io"
	"net"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/session"
)

func codeOf(err error) string {
	var p *apitype.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	return ""
}

func TestRootDevices(t *testing.T) {
	k, c := start(t)
	ctx := deadline(t)
	k.Plug()
	list, err := c.SetRole(ctx, apitype.RoleFace, apitest.SecondCamera)
	if err != nil || len(list) != 4 || list[1].Role != apitype.RoleFace {
		t.Errorf("bound: %+v, %v", list, err)
	}
	if list, err = c.SetRole(ctx, apitype.RoleFace, ""); err != nil || list[1].Role != "" {
		t.Errorf("let go: %+v, %v", list, err)
	}
	controls, err := c.SetControls(ctx, apitest.Camera, map[string]int32{apitest.Zoom: 150})
	if err != nil || len(controls) != 1 || controls[0].Value != 150 || !controls[0].Kept {
		t.Errorf("controls: %+v, %v", controls, err)
	}
	picture, err := c.Snapshot(ctx, apitest.Camera)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := jpeg.Decode(bytes.NewReader(picture)); err != nil {
		t.Errorf("the picture cannot be seen: %v", err)
	}
	for _, tone := range []apitype.ToneRequest{{}, {Hertz: 880}, {Seconds: 1}, {Hertz: 880, Seconds: 1}} {
		if err := c.Tone(ctx, apitest.Speaker, tone); err != nil {
			t.Errorf("tone %+v: %v", tone, err)
		}
	}
	if got := fmt.Sprint(k.Tools.Played()); got != "[{0 0} {880 0} {0 1} {880 1}]" {
		t.Errorf("played %s", got)
	}
}

func TestRootDevicesRefused(t *testing.T) {
	k, c := start(t)
	ctx := deadline(t)
	for _, id := range []string{"gone", "", "..", "a/b", "a?b", "é", strings.Repeat("a", 129)} {
		_, err := c.Snapshot(ctx, id)
		if codeOf(err) != apitype.CodeDeviceUnknown {
			t.Errorf("snapshot of %q: %v", id, err)
		}
		if err := c.Levels(ctx, id, func(apitype.Level) {}); codeOf(err) != apitype.CodeDeviceUnknown {
			t.Errorf("levels of %q: %v", id, err)
		}
		if err := c.Tone(ctx, id, apitype.ToneRequest{}); codeOf(err) != apitype.CodeDeviceUnknown {
			t.Errorf("tone of %q: %v", id, err)
		}
		if _, err := c.SetControls(ctx, id, map[string]int32{apitest.Zoom: 150}); codeOf(err) != apitype.CodeDeviceUnknown {
			t.Errorf("controls of %q: %v", id, err)
		}
	}
	for _, role := range []string{"cook", "", "../x", "face/x"} {
		if _, err := c.SetRole(ctx, role, apitest.Camera); codeOf(err) != apitype.CodeRoleUnknown && codeOf(err) != apitype.CodeNotFound {
			t.Errorf("role %q: %v", role, err)
		}
	}
	if _, err := c.Open(ctx, apitest.Canary); err != nil {
		t.Fatal(err)
	}
	if err := k.Await(ctx, session.Waiting, session.AwaitsParticipant); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Snapshot(ctx, apitest.Camera); codeOf(err) != apitype.CodeSessionActive {
		t.Errorf("in a session: %v", err)
	}
}

// Levels come until the caller has enough, or a session opens, which is told.
func TestRootLevels(t *testing.T) {
	k, c := start(t)
	enough := errors.New("enough")
	ctx, cancel := context.WithCancelCause(deadline(t))
	n := 0
	err := c.Levels(ctx, apitest.Microphone, func(l apitype.Level) {
		if n++; l.Peak != 0.5 || l.RMS != 0.25 || l.At.IsZero() {
			t.Errorf("level %d is %+v", n, l)
		}
		if n == 3 {
			cancel(enough)
		}
	})
	if !errors.Is(err, enough) || n < 3 {
		t.Errorf("ended after %d levels with %v", n, err)
	}
	ctx = deadline(t)
	for k.Tools.Technician() != nil { // until the daemon has noticed
		if ctx.Err() != nil {
			t.Fatal("the microphone stays in use")
		}
		runtime.Gosched()
	}
	opened := false
	err = c.Levels(deadline(t), apitest.Microphone, func(apitype.Level) {
		if !opened {
			opened = true
			if _, err := c.Open(deadline(t), apitest.Canary); err != nil {
				t.Error(err)
			}
		}
	})
	if codeOf(err) != apitype.CodeSessionActive {
		t.Errorf("a session opened: %v", err)
	}
}

// What another daemon could say is no picture and no level.
func TestDevicesOfAnotherDaemon(t *testing.T) {
	for name, c := range map[string]struct{ answer, snapshot, levels string }{
		"no picture":       {"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 1\r\n\r\nx", "another version", "without a word"},
		"half a picture":   {"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: 10\r\n\r\nx", "cannot read the picture", "cannot read the event stream"},
		"no level":         {event("level", "[]"), "another version", "cannot understand a level"},
		"no reason":        {event("ended", "{}"), "another version", "gave no reason"},
		"an unknown event": {event("more", "{}"), "another version", "without a word"},
		"an odd error":     {"HTTP/1.1 500 No\r\nContent-Length: 1\r\n\r\nx", "500 No", "500 No"},
	} {
		k := client.New(answering(t, c.answer))
		if _, err := k.Snapshot(deadline(t), "a"); err == nil || !strings.Contains(err.Error(), c.snapshot) {
			t.Errorf("%s: the snapshot gives %v", name, err)
		}
		if err := k.Levels(deadline(t), "a", func(apitype.Level) { t.Errorf("%s: a level came", name) }); err == nil || !strings.Contains(err.Error(), c.levels) {
			t.Errorf("%s: the levels give %v", name, err)
		}
		k.Close()
	}
	absent := client.New(filepath.Join(t.TempDir(), "none"))
	if _, err := absent.Snapshot(deadline(t), "a"); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
	if err := absent.Levels(deadline(t), "a", func(apitype.Level) {}); !errors.Is(err, client.ErrUnreachable) {
		t.Errorf("nobody there: %v", err)
	}
}

func event(name, data string) string {
	return "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nConnection: close\r\n\r\nevent: " + name + "\ndata: " + data + "\n\n"
}

// answering is a daemon that says the same to everything.
func answering(t *testing.T, answer string) string {
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
			head := make([]byte, 4096)
			if _, err := c.Read(head); err == nil {
				_, _ = io.WriteString(c, answer)
			}
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = ln.Close(); <-done })
	return socket
}
