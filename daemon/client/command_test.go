package client_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/session"
)

func TestRootTalkAndReports(t *testing.T) {
	k, c := start(t)
	ctx := deadline(t)
	if _, err := c.Open(ctx, apitest.Canary); err != nil {
		t.Fatal(err)
	}
	if err := k.Await(ctx, session.Waiting, session.AwaitsParticipant); err != nil {
		t.Fatal(err)
	}
	k.Plug()
	k.Arrive()
	if err := k.Await(ctx, session.Active, ""); err != nil {
		t.Fatal(err)
	}
	if a, err := c.Permissions(ctx, "granted", "granted"); err != nil || a.Session.Consent.Camera != "granted" {
		t.Errorf("permissions: %+v, %v", a, err)
	}
	for _, camera := range []string{"", apitest.Camera} {
		if a, err := c.SwapCamera(ctx, camera); err != nil || camera != "" && a.Session.Camera.ID != camera {
			t.Errorf("swap to %q: %+v, %v", camera, a, err)
		}
	}
	for _, open := range []bool{true, false, true} {
		if a, err := c.Chat(ctx, open); err != nil || a.Session.Chat.Open != open {
			t.Errorf("chat %v: %+v, %v", open, a, err)
		}
		if a, err := c.ReportIssue(ctx, open); err != nil || a.Session.Report.Open != open {
			t.Errorf("report %v: %+v, %v", open, a, err)
		}
	}
	sent, err := c.SendMessage(ctx, "hello")
	if err != nil || sent.Message.Text != "hello" || sent.Session.Chat.Total != 1 {
		t.Errorf("sent: %+v, %v", sent, err)
	}
	if list, err := c.Messages(ctx); err != nil || len(list) != 1 || list[0].ID != sent.Message.ID {
		t.Errorf("messages: %+v, %v", list, err)
	}
	submitted, err := c.SubmitReport(ctx, "It is loud.")
	if err != nil || submitted.Session.Report.Submitted == "" {
		t.Fatalf("submitted: %+v, %v", submitted, err)
	}
	list, err := c.Reports(ctx)
	if err != nil || len(list) != 1 || list[0].ID != submitted.Session.Report.Submitted {
		t.Fatalf("reports: %+v, %v", list, err)
	}
	if b, err := c.Report(ctx, list[0].ID); err != nil || string(b) != `{"issue_bytes":11}` {
		t.Errorf("its bundle: %s, %v", b, err)
	}
	for _, bad := range []string{"gone", "", "..", "a/b", "a?b", strings.Repeat("a", 129)} {
		var p *apitype.Problem
		if _, err := c.Report(ctx, bad); !errors.As(err, &p) || p.Code != apitype.CodeNotFound {
			t.Errorf("report %q: %v", bad, err)
		}
	}
	if a, err := c.Audit(ctx, 0); err != nil || len(a.Entries) < 5 || !a.Intact {
		t.Errorf("audit: %+v, %v", a, err)
	}
	if a, err := c.Audit(ctx, 2); err != nil || len(a.Entries) != 2 {
		t.Errorf("audit of 2: %+v, %v", a, err)
	}
	if b, err := c.Config(ctx); err != nil || string(b) != `{"session":{"wait_seconds":900}}` {
		t.Errorf("config: %s, %v", b, err)
	}
	if b, err := c.OpenAPI(ctx); err != nil || !strings.HasPrefix(string(b), "{") || !strings.Contains(string(b), `"openapi":"3.1.0"`) {
		t.Errorf("openapi: %.60s, %v", b, err)
	}
}

// between stands before a daemon's socket and can lose its answer: the request
// gets through, what comes back does not.
type between struct {
	ln   net.Listener
	to   string
	lose chan func() // each takes one answer away; what it does comes first
	wg   sync.WaitGroup
}

func newBetween(t *testing.T, to string) (*between, string) {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "b")
	ln, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	b := &between{ln: ln, to: to, lose: make(chan func(), 8)}
	b.wg.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			b.wg.Go(func() { b.pass(c) })
		}
	})
	t.Cleanup(func() { _ = ln.Close(); b.wg.Wait() })
	return b, socket
}

// pass carries one request and its answer.
func (b *between) pass(c net.Conn) {
	defer c.Close()
	req, err := http.ReadRequest(bufio.NewReader(c))
	if err != nil {
		return
	}
	req.Close = true
	up, err := net.Dial("unix", b.to)
	if err != nil {
		_ = c.Close() // nobody is there: it looks broken
		return
	}
	defer up.Close()
	if req.Write(up) != nil {
		return
	}
	answer, err := io.ReadAll(up)
	select {
	case then := <-b.lose:
		then()
	default:
		if err == nil {
			_, _ = c.Write(answer)
		}
	}
}

// TestRootLostAnswerActsOnce: the command was done, its answer was lost with the
// connection. Asked again with its key it is not done again.
func TestRootLostAnswerActsOnce(t *testing.T) {
	k, direct := start(t)
	ctx := deadline(t)
	if _, err := direct.Open(ctx, "A-1"); err != nil {
		t.Fatal(err)
	}
	if err := k.Await(ctx, session.Waiting, session.AwaitsParticipant); err != nil {
		t.Fatal(err)
	}
	k.Arrive()
	if err := k.Await(ctx, session.Active, ""); err != nil {
		t.Fatal(err)
	}
	b, socket := newBetween(t, k.Socket)
	c := client.New(socket)
	defer c.Close()
	b.lose <- func() {}
	if a, err := c.Mute(ctx, nil); err != nil || !a.Session.Audio.Muted {
		t.Errorf("a toggle whose answer was lost: %+v, %v; want it done once", a.Session, err)
	}
	b.lose <- func() {}
	if a, err := c.SendMessage(ctx, "once"); err != nil || a.Message.Text != "once" || a.Session.Chat.Total != 1 {
		t.Errorf("a message whose answer was lost: %+v, %v", a, err)
	}
	b.lose <- func() {}
	if a, err := c.SubmitReport(ctx, "once"); err != nil || a.Session.Report.Submitted == "" {
		t.Errorf("a report whose answer was lost: %+v, %v", a, err)
	}
	if list, err := direct.Reports(ctx); err != nil || len(list) != 1 {
		t.Errorf("%d reports are there, want 1 (%v)", len(list), err)
	}
	var asked int
	for _, text := range k.Audit.Texts() {
		if strings.HasPrefix(text, "mute") {
			asked++
		}
	}
	if asked != 2 {
		t.Errorf("the audit has the mute %d times, want both requests: %q", asked, k.Audit.Texts())
	}
}

// TestRootRestartBetweenLosesNothing: the daemon ends after it has done the
// command and before its answer is out, and comes back a while later. The client
// waits for it, and the toggle acts once.
func TestRootRestartBetweenLosesNothing(t *testing.T) {
	socket := filepath.Join(t.TempDir(), "s")
	k, err := apitest.StartAt(socket)
	if err != nil {
		t.Fatal(err)
	}
	ctx := deadline(t)
	c := client.New(socket)
	defer c.Close()
	if _, err := c.Open(ctx, "A-1"); err != nil {
		t.Fatal(err)
	}
	if err := k.Await(ctx, session.Waiting, session.AwaitsParticipant); err != nil {
		t.Fatal(err)
	}
	b, front := newBetween(t, socket)
	var back *apitest.Kiosk
	b.lose <- func() {
		if err := k.Close(); err != nil {
			t.Error(err)
		}
		_ = b.ln.Close() // nobody listens for a while
		time.AfterFunc(150*time.Millisecond, func() {
			var err error
			if back, err = k.Again(); err != nil {
				t.Error(err)
			}
			ln, err := net.Listen("unix", front)
			if err != nil {
				t.Error(err)
				return
			}
			b.ln = ln
			b.wg.Go(func() {
				for {
					c, err := ln.Accept()
					if err != nil {
						return
					}
					b.wg.Go(func() { b.pass(c) })
				}
			})
		})
	}
	through := client.New(front)
	defer through.Close()
	a, err := through.Mute(ctx, nil)
	if err != nil || a.Session == nil || !a.Session.Audio.Muted {
		t.Errorf("a toggle with a restart in between: %+v, %v; want muted", a.Session, err)
	}
	if s, err := c.Session(ctx); err != nil || s == nil || !s.Audio.Muted {
		t.Errorf("afterwards the session is %+v, %v", s, err)
	}
	_ = b.ln.Close()
	if back != nil {
		if err := back.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A daemon that was not there to begin with is not waited for.
func TestCommandWithoutDaemonFailsAtOnce(t *testing.T) {
	begin := time.Now()
	_, err := client.New(filepath.Join(t.TempDir(), "none")).EndCall(deadline(t))
	if !errors.Is(err, client.ErrUnreachable) || time.Since(begin) > 2*time.Second {
		t.Errorf("got %v after %v", err, time.Since(begin))
	}
}
