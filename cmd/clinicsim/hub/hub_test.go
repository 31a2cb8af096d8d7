package hub_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kioskd/cmd/clinicsim/hub"
	"kioskd/daemon/room/direct/signal"
)

func TestMeetAndTalk(t *testing.T) {
	l := open(t, hub.Options{})
	clinician, welcome := l.join(t, "desk", "doc", signal.Clinician)
	if len(welcome.Peers) != 0 || welcome.Peer != "doc" {
		t.Errorf("an empty room welcomed with %d peers", len(welcome.Peers))
	}
	kiosk, welcome := l.join(t, "a", "k1", signal.Kiosk)
	if len(welcome.Peers) != 1 || welcome.Peers[0] != (signal.Peer{Peer: "doc", Name: "Name of doc", Role: signal.Clinician}) {
		t.Errorf("the kiosk was not told of the clinician")
	}
	if m := clinician.hear(signal.PeerJoined); m.From != "k1" || m.Name != "Name of k1" || m.Role != signal.Kiosk {
		t.Error("the clinician was told of another kiosk")
	}
	kiosk.say(signal.Message{Type: signal.Offer, To: "doc", SDP: "v=0\r\n", Restart: true})
	if m := clinician.hear(signal.Offer); m.From != "k1" || m.To != "" || m.SDP != "v=0\r\n" || !m.Restart {
		t.Error("the offer came changed")
	}
	clinician.say(signal.Message{Type: signal.Answer, To: "k1", SDP: "v=1\r\n"})
	if m := kiosk.hear(signal.Answer); m.From != "doc" || m.SDP != "v=1\r\n" {
		t.Error("the answer came changed")
	}
	for _, c := range []*signal.Candidate{{Candidate: "candidate:1"}, nil} {
		kiosk.say(signal.Message{Type: signal.Trickle, To: "doc", Candidate: c})
		if m := clinician.hear(signal.Trickle); m.From != "k1" || (m.Candidate == nil) != (c == nil) {
			t.Error("the candidate came changed")
		}
	}
	clinician.say(signal.Message{Type: signal.Pong}) // an answer to nothing is no mistake
	clinician.quiet()
	if got := l.Members(); len(got) != 2 || got[0] != (hub.State{Room: "*", Peer: "doc", Role: signal.Clinician}) || got[1].Room != "A" {
		t.Errorf("members %v", got)
	}
	if log := l.log.String(); strings.Contains(log, "Name of") {
		t.Errorf("a name in the log: %s", log)
	}
}

func TestLeaving(t *testing.T) {
	cases := []struct {
		leave func(*guest)
		want  signal.Reason
	}{
		{func(g *guest) { g.say(signal.Message{Type: signal.Bye}) }, signal.ReasonBye},
		{func(g *guest) { g.say(signal.Message{Type: signal.Away}) }, signal.ReasonAway},
		{func(g *guest) { _ = g.conn.CloseNow() }, signal.ReasonLost},
		{func(g *guest) { _ = g.conn.Close(websocket.StatusNormalClosure, "") }, signal.ReasonLost},
	}
	for _, c := range cases {
		l := open(t, hub.Options{})
		stays, _ := l.join(t, "a", "k1", signal.Kiosk)
		goes, _ := l.join(t, "a", "doc", signal.Clinician)
		stays.hear(signal.PeerJoined)
		c.leave(goes)
		if m := stays.hear(signal.PeerLeft); m.From != "doc" || m.Reason != c.want {
			t.Errorf("left with %s, want %s", m.Reason, c.want)
		}
		if c.want != signal.ReasonLost {
			if s := goes.hearEnd(); s != websocket.StatusNormalClosure {
				t.Errorf("%s was answered with status %d", c.want, s)
			}
		}
	}
}

func TestSupersede(t *testing.T) {
	l := open(t, hub.Options{})
	other, _ := l.join(t, "a", "doc", signal.Clinician)
	old, _ := l.join(t, "a", "k1", signal.Kiosk)
	other.hear(signal.PeerJoined)
	fresh, welcome := l.join(t, "a", "k1", signal.Kiosk)
	if len(welcome.Peers) != 1 || welcome.Peers[0].Peer != "doc" {
		t.Error("the fresh connection sees itself")
	}
	old.hearRefusal(signal.CodeSuperseded)
	if m := other.hear(signal.PeerJoined); m.From != "k1" {
		t.Error("no fresh peer-joined")
	}
	other.quiet() // and no peer-left
	other.say(signal.Message{Type: signal.Answer, To: "k1", SDP: "v=0"})
	fresh.hear(signal.Answer)
}

func TestRoomsAreApart(t *testing.T) {
	l := open(t, hub.Options{})
	desk, _ := l.join(t, "desk", "doc", signal.Clinician)
	inA, _ := l.join(t, "a", "k1", signal.Kiosk)
	desk.hear(signal.PeerJoined)
	inB, welcome := l.join(t, "b", "k2", signal.Kiosk)
	desk.hear(signal.PeerJoined)
	if len(welcome.Peers) != 1 {
		t.Errorf("room B shows %d peers", len(welcome.Peers))
	}
	inA.quiet()
	inB.say(signal.Message{Type: signal.Offer, To: "k1", SDP: "v=0"})
	if m := inB.hear(signal.Error); m.Code != signal.CodeNoPeer {
		t.Errorf("over the wall: %s", m.Code)
	}
	inA.quiet()

	// A kiosk may go to another appointment: the desk sees it leave and come.
	moved, _ := l.join(t, "b", "k1", signal.Kiosk)
	inA.hearRefusal(signal.CodeSuperseded)
	if m := desk.hear(signal.PeerLeft); m.From != "k1" || m.Reason != signal.ReasonBye {
		t.Error("the desk did not see the kiosk leave room A")
	}
	desk.hear(signal.PeerJoined)
	inB.hear(signal.PeerJoined)
	moved.quiet()

	// But nobody else takes a peer id from another room.
	thief := l.dial(t)
	thief.say(signal.Message{Type: signal.Hello, Token: "a", Peer: "doc", Role: signal.Clinician})
	thief.hearRefusal(signal.CodeNotAllowed)
	desk.quiet()
}

func TestRefusals(t *testing.T) {
	hello := `{"type":"hello","token":"a","peer":"p","name":"","role":"clinician"}`
	cases := []struct {
		name  string
		after bool // the message comes after a proper hello
		kind  websocket.MessageType
		text  string
		code  string
	}{
		{"wrong token", false, websocket.MessageText, `{"type":"hello","token":"x","peer":"p","role":"kiosk"}`, signal.CodeUnauthorized},
		{"no hello", false, websocket.MessageText, `{"type":"bye"}`, signal.CodeNotAllowed},
		{"no JSON", false, websocket.MessageText, `hello`, signal.CodeBadMessage},
		{"binary", false, websocket.MessageBinary, hello, signal.CodeBadMessage},
		{"second hello", true, websocket.MessageText, hello, signal.CodeNotAllowed},
		{"a server's word", true, websocket.MessageText, `{"type":"peer-left","from":"p","reason":"bye"}`, signal.CodeNotAllowed},
		{"a relayed word", true, websocket.MessageText, `{"type":"answer","from":"p","sdp":"v=0"}`, signal.CodeNotAllowed},
		{"a clinician's offer", true, websocket.MessageText, `{"type":"offer","to":"p","sdp":"v=0"}`, signal.CodeNotAllowed},
		{"unknown type", true, websocket.MessageText, `{"type":"shout"}`, signal.CodeBadMessage},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			l := open(t, hub.Options{})
			g := l.dial(t)
			if c.after {
				g.write(websocket.MessageText, []byte(hello))
				g.hear(signal.Welcome)
			}
			g.write(c.kind, []byte(c.text))
			g.hearRefusal(c.code)
		})
	}
}

func TestBounds(t *testing.T) {
	t.Run("hello", func(t *testing.T) {
		l := open(t, hub.Options{HelloTimeout: 50 * time.Millisecond})
		l.dial(t).hearRefusal(signal.CodeHelloTimeout)
	})
	t.Run("size", func(t *testing.T) {
		l := open(t, hub.Options{})
		other, _ := l.join(t, "a", "k1", signal.Kiosk)
		g, _ := l.join(t, "a", "doc", signal.Clinician)
		other.hear(signal.PeerJoined)
		g.write(websocket.MessageText, []byte(`{"type":"ping","pad":"`+strings.Repeat("x", signal.MaxMessage)+`"}`))
		if s := g.hearEnd(); s != websocket.StatusMessageTooBig {
			t.Errorf("closed with status %d", s)
		}
		if m := other.hear(signal.PeerLeft); m.Reason != signal.ReasonLost {
			t.Errorf("left with %s", m.Reason)
		}
	})
	t.Run("peers", func(t *testing.T) {
		l := open(t, hub.Options{MaxPeers: 1})
		l.join(t, "a", "k1", signal.Kiosk)
		g := l.dial(t)
		g.say(signal.Message{Type: signal.Hello, Token: "a", Peer: "doc", Role: signal.Clinician})
		g.hearRefusal(signal.CodeRoomFull)
		l.join(t, "a", "k1", signal.Kiosk) // coming back takes the own place
	})
	t.Run("connections", func(t *testing.T) {
		l := open(t, hub.Options{MaxConns: 1})
		l.dial(t)
		ctx, cancel := context.WithTimeout(context.Background(), wait)
		defer cancel()
		_, resp, err := websocket.Dial(ctx, l.url, nil)
		if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
			t.Errorf("a second connection: %v", err)
		}
	})
}

// A peer whose machine is gone answers no pings: here it does not read, so its
// library does not answer.
func TestSilentPeerIsLost(t *testing.T) {
	l := open(t, hub.Options{PingEvery: 50 * time.Millisecond, PingWait: 500 * time.Millisecond})
	stays, _ := l.join(t, "a", "k1", signal.Kiosk)
	l.join(t, "a", "doc", signal.Clinician)
	stays.hear(signal.PeerJoined) // reading on, stays answers its own pings
	if m := stays.hear(signal.PeerLeft); m.From != "doc" || m.Reason != signal.ReasonLost {
		t.Errorf("%s left with %s", m.From, m.Reason)
	}
}

// A peer that does not read is closed, and nobody waits for it.
func TestLaggardIsClosed(t *testing.T) {
	l := open(t, hub.Options{Queue: 8, PingEvery: time.Hour, WriteTimeout: wait})
	kiosk, _ := l.join(t, "a", "k1", signal.Kiosk)
	l.join(t, "a", "doc", signal.Clinician)
	kiosk.hear(signal.PeerJoined)
	gone := make(chan signal.Message, 1)
	go func() { gone <- kiosk.hear(signal.PeerLeft) }()
	offer := signal.Message{Type: signal.Offer, To: "doc", SDP: strings.Repeat("x", 30<<10)}
	deadline := time.After(wait)
	for sent := 0; ; sent++ {
		select {
		case m := <-gone:
			if m.From != "doc" || m.Reason != signal.ReasonLost {
				t.Errorf("%s left with %s", m.From, m.Reason)
			}
			if n := strings.Count(l.log.String(), "too slowly"); n != 1 {
				t.Errorf("the log says it %d times after %d offers", n, sent)
			}
			return
		case <-deadline:
			t.Fatalf("still there after %d offers", sent)
		default:
			kiosk.say(offer)
		}
	}
}

func TestForeignOriginIsRefused(t *testing.T) {
	l := open(t, hub.Options{})
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, l.url, &websocket.DialOptions{HTTPHeader: http.Header{"Origin": {"http://evil.example"}}})
	if err == nil || resp == nil || resp.StatusCode != http.StatusForbidden {
		t.Errorf("a foreign page was let in: %v", err)
	}
}

func TestCloseEndsEveryConnection(t *testing.T) {
	l := open(t, hub.Options{})
	joined, _ := l.join(t, "a", "k1", signal.Kiosk)
	fresh := l.dial(t)
	l.Close()
	joined.hearEnd()
	fresh.hearEnd()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, resp, err := websocket.Dial(ctx, l.url, nil)
	if err == nil || resp == nil || resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("a closed hub took a connection: %v", err)
	}
}
