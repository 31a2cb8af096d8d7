package hub

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

// Trouble is what a test wants to go wrong with the signalling. The zero
// Trouble is none.
type Trouble struct {
	// Refuse answers new connections with 503; those that are there stay.
	Refuse bool `json:"refuse"`
	// Drop cuts all connections once and refuses new ones from then on.
	Drop bool `json:"drop"`
	// Silent takes new connections and never says a word to them, not even a
	// pong; those that are there stay.
	Silent bool `json:"silent"`
}

// Trouble sets the trouble from now on, instead of any before. Connections that
// were kept silent end, so that their clients can dial again.
func (h *Hub) Trouble(t Trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.trouble = t
	h.stir()
	h.calm, h.stir = context.WithCancel(h.life)
	if t.Drop {
		h.drop()
		h.epoch, h.drop = context.WithCancel(h.life)
	}
}

// ignore takes a WebSocket and only reads from it until it ends or ctx does.
func (h *Hub) ignore(ctx context.Context, w http.ResponseWriter, r *http.Request) {
	conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
		OnPingReceived: func(context.Context, []byte) bool { return false },
	})
	if err != nil {
		return // Accept has answered
	}
	for {
		if _, _, err := conn.Read(ctx); err != nil {
			_ = conn.CloseNow() // broken or unwanted
			return
		}
	}
}
