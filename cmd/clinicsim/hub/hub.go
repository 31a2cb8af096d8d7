// Package hub is the signalling server of the direct room: it keeps who is in
// which room and passes their messages on. The messages and their rules are
// package signal's.
//
// It owns the WebSockets that come in and the goroutines that serve them; Close
// ends both. One mutex guards the membership, each client has a bounded queue
// of its own: a client that does not read is closed and nobody waits for it.
// For clinicsim and tests.
package hub

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/coder/websocket"

	"kioskd/daemon/room/direct/signal"
)

// AllRooms is the name of the room that sees into every other: the desk of the
// simulator's one clinician, who meets whatever kiosk opens an appointment.
const AllRooms = "*"

// Options configure a Hub. Zero durations and counts take the defaults.
type Options struct {
	// Authorize gives the room that a token opens, or false.
	Authorize func(token string) (room string, ok bool)
	// HelloTimeout bounds the wait for a hello; default signal.HelloTimeout.
	HelloTimeout time.Duration
	// PingEvery and PingWait: a client that leaves a WebSocket ping (RFC 6455
	// section 5.5.2) unanswered for PingWait is lost; defaults 2 s and 3 s.
	PingEvery, PingWait time.Duration
	// WriteTimeout bounds the writing of one message; default 5 s.
	WriteTimeout time.Duration
	// Queue is how many messages may wait for one client; default 256.
	Queue int
	// MaxConns bounds the connections, before their hello too; default 64.
	MaxConns int
	// MaxPeers bounds who is in the rooms together; default 16.
	MaxPeers int
	// Log gets one line a join and a leave, without names or tokens; nil discards.
	Log *slog.Logger
}

// State is one member, as tests ask for it.
type State struct {
	Room string      `json:"room"`
	Peer string      `json:"peer"`
	Role signal.Role `json:"role"`
}

// Hub serves one set of rooms. Make it with New, end it with Close.
type Hub struct {
	opts Options
	life context.Context //nolint:containedctx // the hub's own life, ended by Close
	end  context.CancelFunc
	wg   sync.WaitGroup // one a connection

	mu      sync.Mutex
	closed  bool
	trouble Trouble
	calm    context.Context    //nolint:containedctx // until the next trouble: the life of connections that are kept silent
	stir    context.CancelFunc // ends calm
	epoch   context.Context    //nolint:containedctx // until the next drop: the life of connections
	drop    context.CancelFunc // ends epoch
	conns   int
	members []*client // who has said hello, in the order of joining
}

// New returns a hub without rooms. opts.Authorize must not be nil.
func New(opts Options) *Hub {
	opts.HelloTimeout = cmp.Or(opts.HelloTimeout, signal.HelloTimeout)
	opts.PingEvery = cmp.Or(opts.PingEvery, 2*time.Second)
	opts.PingWait = cmp.Or(opts.PingWait, 3*time.Second)
	opts.WriteTimeout = cmp.Or(opts.WriteTimeout, 5*time.Second)
	opts.Queue = cmp.Or(opts.Queue, 256)
	opts.MaxConns = cmp.Or(opts.MaxConns, 64)
	opts.MaxPeers = cmp.Or(opts.MaxPeers, 16)
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	life, end := context.WithCancel(context.Background())
	h := &Hub{opts: opts, life: life, end: end}
	h.calm, h.stir = context.WithCancel(life)
	h.epoch, h.drop = context.WithCancel(life)
	return h
}

// ServeHTTP takes one WebSocket and serves it until it ends. Browsers of
// another origin are refused (RFC 6455 section 10.2).
func (h *Hub) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := h.admit(); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	defer h.release()
	h.mu.Lock()
	now, calm, epoch := h.trouble, h.calm, h.epoch
	h.mu.Unlock()
	if now.Refuse || now.Drop {
		http.Error(w, "The signalling is out of order.", http.StatusServiceUnavailable)
		return
	}
	if now.Silent {
		h.ignore(calm, w, r)
		return
	}
	conn, err := websocket.Accept(w, r, nil)
	if err != nil {
		return // Accept has answered
	}
	conn.SetReadLimit(signal.MaxMessage)
	newClient(h, conn).serve(epoch)
}

func (h *Hub) admit() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return errors.New("cannot take the connection: the server is stopping")
	case h.conns >= h.opts.MaxConns:
		return fmt.Errorf("cannot take the connection: %d are open already", h.conns)
	}
	h.conns++
	h.wg.Add(1)
	return nil
}

func (h *Hub) release() {
	h.mu.Lock()
	h.conns--
	h.mu.Unlock()
	h.wg.Done()
}

// Members lists who is in the rooms, in the order of joining.
func (h *Hub) Members() []State {
	h.mu.Lock()
	defer h.mu.Unlock()
	out := make([]State, 0, len(h.members))
	for _, c := range h.members {
		out = append(out, State{Room: c.room, Peer: c.self.Peer, Role: c.self.Role})
	}
	return out
}

// Close ends all connections and waits for their goroutines.
func (h *Hub) Close() {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.end()
	h.wg.Wait()
	// Children of life, ended with it; called for their own sake.
	h.stir()
	h.drop()
}

// sees tells whether two members are in a room together.
func sees(a, b *client) bool {
	return a != b && (a.room == b.room || a.room == AllRooms || b.room == AllRooms)
}

// join brings c, which has said hello, into its room. The same peer's older
// connection is told that it is superseded, and nobody hears of its end.
func (h *Hub) join(c *client) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i, old := range h.members {
		if old.self.Peer != c.self.Peer {
			continue
		}
		// A kiosk is in one appointment at a time, so it may also change the room.
		if old.room != c.room && (old.self.Role != signal.Kiosk || c.self.Role != signal.Kiosk) {
			return refusal{signal.CodeNotAllowed, "This peer id is taken in another room."}
		}
		h.members = slices.Delete(h.members, i, i+1)
		old.dismiss(signal.CodeSuperseded, "Another connection of this peer has joined.")
		if old.room != c.room {
			h.tell(old, signal.Message{Type: signal.PeerLeft, From: old.self.Peer, Reason: signal.ReasonBye})
		}
		break
	}
	if len(h.members) >= h.opts.MaxPeers {
		return refusal{signal.CodeRoomFull, "The room is full."}
	}
	welcome := signal.Message{Type: signal.Welcome, Peer: c.self.Peer, Peers: []signal.Peer{}}
	for _, m := range h.members {
		if sees(c, m) {
			welcome.Peers = append(welcome.Peers, m.self)
		}
	}
	c.send(welcome)
	h.members = append(h.members, c)
	h.tell(c, signal.Message{Type: signal.PeerJoined, From: c.self.Peer, Name: c.self.Name, Role: c.self.Role})
	h.opts.Log.Info("joined", "peer", c.self.Peer, "role", string(c.self.Role))
	return nil
}

// leave takes c out and tells the others why, unless it was superseded.
func (h *Hub) leave(c *client, why signal.Reason) {
	h.mu.Lock()
	defer h.mu.Unlock()
	i := slices.Index(h.members, c)
	if i < 0 {
		return
	}
	h.members = slices.Delete(h.members, i, i+1)
	h.tell(c, signal.Message{Type: signal.PeerLeft, From: c.self.Peer, Reason: why})
	h.opts.Log.Info("left", "peer", c.self.Peer, "reason", string(why))
}

// relay passes an offer, answer or candidate on to m.To.
func (h *Hub) relay(c *client, m signal.Message) error {
	if m.Type == signal.Offer && c.self.Role != signal.Kiosk {
		return refusal{signal.CodeNotAllowed, "Only the kiosk makes offers."}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if !slices.Contains(h.members, c) {
		return nil // superseded a moment ago: its words count no more
	}
	for _, to := range h.members {
		if to.self.Peer == m.To && sees(c, to) {
			m.From, m.To = c.self.Peer, ""
			to.send(m)
			return nil
		}
	}
	c.send(signal.Message{Type: signal.Error, Code: signal.CodeNoPeer, Detail: "The receiver is not in the room."})
	return nil
}

// tell sends m to everybody who sees c. The caller holds mu.
func (h *Hub) tell(c *client, m signal.Message) {
	for _, to := range h.members {
		if sees(c, to) {
			to.send(m)
		}
	}
}

// refusal is an error that the client gets as an error message before its
// connection is closed.
type refusal struct{ code, detail string }

func (r refusal) Error() string { return "cannot serve the client: " + r.code }
