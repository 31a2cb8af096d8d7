package hub_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kioskd/cmd/clinicsim/hub"
	"kioskd/daemon/room/direct/signal"
)

// wait is the deadline of anything that should happen at once on a busy machine.
const wait = 10 * time.Second

// lobby is a hub behind a real HTTP server. Tokens "a" and "b" open the rooms
// A and B, "desk" opens all rooms.
type lobby struct {
	*hub.Hub
	url string
	log *syncBuffer
}

func open(t *testing.T, opts hub.Options) *lobby {
	t.Helper()
	rooms := map[string]string{"a": "A", "b": "B", "desk": hub.AllRooms}
	opts.Authorize = func(token string) (string, bool) { room, ok := rooms[token]; return room, ok }
	log := &syncBuffer{}
	opts.Log = slog.New(slog.NewTextHandler(log, nil))
	h := hub.New(opts)
	server := httptest.NewServer(h)
	t.Cleanup(func() {
		h.Close()
		server.Close()
		if len(h.Members()) != 0 {
			t.Error("the hub has members after its end")
		}
	})
	return &lobby{Hub: h, url: "ws" + strings.TrimPrefix(server.URL, "http"), log: log}
}

// guest is one WebSocket client.
type guest struct {
	t    *testing.T
	conn *websocket.Conn
}

func (l *lobby) dial(t *testing.T) *guest {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	conn, _, err := websocket.Dial(ctx, l.url, &websocket.DialOptions{HTTPClient: &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}})
	if err != nil {
		t.Fatal(err)
	}
	conn.SetReadLimit(signal.MaxMessage)
	t.Cleanup(func() { _ = conn.CloseNow() }) // many have been closed by then
	return &guest{t, conn}
}

// join dials, says hello and reads the welcome.
func (l *lobby) join(t *testing.T, token, peer string, role signal.Role) (*guest, signal.Message) {
	t.Helper()
	g := l.dial(t)
	g.say(signal.Message{Type: signal.Hello, Token: token, Peer: peer, Name: "Name of " + peer, Role: role})
	return g, g.hear(signal.Welcome)
}

func (g *guest) say(m signal.Message) {
	g.t.Helper()
	b, err := signal.Marshal(m)
	if err != nil {
		g.t.Fatal(err)
	}
	g.write(websocket.MessageText, b)
}

func (g *guest) write(kind websocket.MessageType, b []byte) {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	if err := g.conn.Write(ctx, kind, b); err != nil {
		g.t.Fatal(err)
	}
}

// hear reads the next message, which must be of this type.
func (g *guest) hear(want signal.Type) signal.Message {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	_, b, err := g.conn.Read(ctx)
	if err != nil {
		g.t.Fatalf("no %s: %v", want, err)
	}
	m, err := signal.Parse(b)
	if err != nil {
		g.t.Fatal(err)
	}
	if m.Type != want {
		g.t.Fatalf("got %s instead of %s: %s", m.Type, want, b)
	}
	if !m.FromServer() {
		g.t.Errorf("%s is not a server's: %s", m.Type, b)
	}
	return m
}

// hearEnd reads until the connection ends and gives the close status.
func (g *guest) hearEnd() websocket.StatusCode {
	g.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), wait)
	defer cancel()
	for {
		if _, _, err := g.conn.Read(ctx); err != nil {
			if ctx.Err() != nil {
				g.t.Fatal("the connection did not end")
			}
			return websocket.CloseStatus(err)
		}
	}
}

// hearRefusal wants an error with the code and then the end.
func (g *guest) hearRefusal(code string) {
	g.t.Helper()
	if m := g.hear(signal.Error); m.Code != code {
		g.t.Errorf("refused with %q, want %q", m.Code, code)
	}
	if s := g.hearEnd(); s != websocket.StatusPolicyViolation {
		g.t.Errorf("closed with status %d", s)
	}
}

// quiet tells that nothing waits for g: the answer to its ping is the next message.
func (g *guest) quiet() {
	g.t.Helper()
	g.say(signal.Message{Type: signal.Ping})
	g.hear(signal.Pong)
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
