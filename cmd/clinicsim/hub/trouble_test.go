package hub_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kioskd/cmd/clinicsim/hub"
	"kioskd/daemon/room/direct/signal"
)

func (l *lobby) wantRefused(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, l.url, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a connection in trouble: %v", err)
	}
}

func TestTroubleRefuses(t *testing.T) {
	l := open(t, hub.Options{})
	stays, _ := l.join(t, "a", "k1", signal.Kiosk)
	l.Trouble(hub.Trouble{Refuse: true})
	l.wantRefused(t)
	stays.quiet()
	l.Trouble(hub.Trouble{})
	l.join(t, "a", "doc", signal.Clinician)
	stays.hear(signal.PeerJoined)
}

func TestTroubleDrops(t *testing.T) {
	l := open(t, hub.Options{})
	joined, _ := l.join(t, "a", "k1", signal.Kiosk)
	fresh := l.dial(t)
	for range 2 { // a second drop finds nobody
		l.Trouble(hub.Trouble{Drop: true})
	}
	if s := joined.hearEnd(); s != -1 {
		t.Errorf("dropped with the words of status %d", s)
	}
	fresh.hearEnd()
	l.wantRefused(t)
	l.Trouble(hub.Trouble{})
	again, _ := l.join(t, "a", "k1", signal.Kiosk)
	again.quiet()
}

func TestTroubleIsSilent(t *testing.T) {
	l := open(t, hub.Options{HelloTimeout: 20 * time.Millisecond})
	l.Trouble(hub.Trouble{Silent: true})
	g := l.dial(t)
	g.say(signal.Message{Type: signal.Hello, Token: "a", Peer: "k1", Role: signal.Kiosk})
	heard := make(chan error, 1)
	go func() {
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		_, _, err := g.conn.Read(ctx)
		heard <- err
	}()
	ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
	defer cancel()
	if err := g.conn.Ping(ctx); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a ping in silence: %v", err)
	}
	select {
	case err := <-heard:
		t.Fatalf("something came: %v", err)
	default:
	}
	l.Trouble(hub.Trouble{})
	if err := <-heard; err == nil {
		t.Error("a word came after the silence")
	}
	if len(l.Members()) != 0 {
		t.Error("a silent hub has members")
	}
}

func TestCloseEndsTheSilence(t *testing.T) {
	l := open(t, hub.Options{})
	l.Trouble(hub.Trouble{Silent: true})
	g := l.dial(t)
	l.Close()
	g.hearEnd()
}
