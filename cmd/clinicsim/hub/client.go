package hub

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/coder/websocket"

	"kioskd/daemon/room/direct/signal"
)

// client is one connection: a reader (the handler's goroutine), a writer and a
// pinger. room and self are set once, before join.
type client struct {
	hub  *Hub
	conn *websocket.Conn
	room string
	self signal.Peer

	out  chan []byte // never closed: cut ends the writer
	last chan []byte // one message after which the connection is closed
	cut  context.CancelFunc
	slow sync.Once // says once that the client reads too slowly
}

func newClient(h *Hub, conn *websocket.Conn) *client {
	return &client{hub: h, conn: conn, out: make(chan []byte, h.opts.Queue), last: make(chan []byte, 1), cut: func() {}}
}

// serve runs the client until it leaves, is lost or is thrown out.
func (c *client) serve(life context.Context) {
	ctx, cut := context.WithCancel(life)
	c.cut = cut
	var wg sync.WaitGroup
	wg.Go(func() {
		defer cut()
		c.write(ctx)
	})
	why, err := c.read(ctx)
	var no refusal
	if errors.As(err, &no) {
		c.dismiss(no.code, no.detail)
	}
	c.hub.leave(c, why)
	switch {
	case err == nil: // it said away or bye
		_ = c.conn.Close(websocket.StatusNormalClosure, "") // its word counts, not the close frame
		cut()
	case no.code == "":
		cut() // lost: there is nobody to write to
	}
	wg.Wait() // after a dismissal the writer ends by itself, each write has its deadline
	cut()
	_ = c.conn.CloseNow() // closed already or broken
}

// read handles what the client says until it leaves. The error is nil after
// away and bye.
func (c *client) read(ctx context.Context) (signal.Reason, error) {
	if err := c.greet(ctx); err != nil {
		return signal.ReasonLost, err
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	wg.Go(func() { c.ping(ctx) })
	for {
		m, err := c.next(ctx)
		if err != nil {
			return signal.ReasonLost, err
		}
		switch m.Type {
		case signal.Away:
			return signal.ReasonAway, nil
		case signal.Bye:
			return signal.ReasonBye, nil
		case signal.Ping:
			c.send(signal.Message{Type: signal.Pong})
		case signal.Pong:
		case signal.Offer, signal.Answer, signal.Trickle:
			if err := c.hub.relay(c, m); err != nil {
				return signal.ReasonLost, err
			}
		default:
			return signal.ReasonLost, refusal{signal.CodeNotAllowed, "A client may not send this message now."}
		}
	}
}

// greet waits for the hello and joins the room that its token opens.
func (c *client) greet(ctx context.Context) error {
	// A read whose context ends closes the connection, so the reason goes out
	// from a timer, before that.
	late := time.AfterFunc(c.hub.opts.HelloTimeout, func() {
		c.dismiss(signal.CodeHelloTimeout, "No hello came in time.")
	})
	m, err := c.next(ctx)
	if !late.Stop() && err == nil {
		return refusal{signal.CodeHelloTimeout, "No hello came in time."}
	}
	if err != nil {
		return err
	}
	if m.Type != signal.Hello {
		return refusal{signal.CodeNotAllowed, "The first message must be a hello."}
	}
	room, ok := c.hub.opts.Authorize(m.Token)
	if !ok {
		return refusal{signal.CodeUnauthorized, "The token opens no room. Open the appointment anew."}
	}
	c.room, c.self = room, signal.Peer{Peer: m.Peer, Name: m.Name, Role: m.Role}
	return c.hub.join(c)
}

// next reads one message that a client may send.
func (c *client) next(ctx context.Context) (signal.Message, error) {
	kind, b, err := c.conn.Read(ctx)
	if err != nil {
		return signal.Message{}, err
	}
	if kind != websocket.MessageText {
		return signal.Message{}, refusal{signal.CodeBadMessage, "Messages are JSON text."}
	}
	m, err := signal.Parse(b)
	if err != nil {
		return signal.Message{}, refusal{signal.CodeBadMessage, err.Error()}
	}
	if !m.FromClient() {
		return signal.Message{}, refusal{signal.CodeNotAllowed, "Only a server sends this message."}
	}
	return m, nil
}

// ping ends the client when it leaves a ping unanswered.
func (c *client) ping(ctx context.Context) {
	tick := time.NewTicker(c.hub.opts.PingEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		wait, stop := context.WithTimeout(ctx, c.hub.opts.PingWait)
		err := c.conn.Ping(wait)
		stop()
		if err != nil {
			c.cut()
			return
		}
	}
}

// send queues m. It never waits: a client whose queue is full is closed.
func (c *client) send(m signal.Message) {
	b, err := signal.Marshal(m)
	if err != nil {
		c.hub.opts.Log.Error("cannot send", "type", string(m.Type), "error", err)
		return
	}
	select {
	case c.out <- b:
	default:
		c.slow.Do(func() {
			c.hub.opts.Log.Warn("client reads too slowly, closing it", "peer", c.self.Peer)
			c.dismiss(signal.CodeTooSlow, "Messages were not read in time.")
			c.cut() // its socket is full as well: the word may not get through, the end must
		})
	}
}

// dismiss tells the client why and closes it after that. Only the first reason counts.
func (c *client) dismiss(code, detail string) {
	b, err := signal.Marshal(signal.Message{Type: signal.Error, Code: code, Detail: detail})
	if err != nil {
		b = nil // a text of ours that breaks our own rules: close without it
	}
	select {
	case c.last <- b:
	default:
	}
}

// write sends what is queued, each message with its deadline, until the
// connection is cut or dismissed.
func (c *client) write(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-c.last:
			// What was queued before the last word goes out before it.
			for len(c.out) > 0 {
				if c.writeOne(ctx, <-c.out) != nil {
					return
				}
			}
			if b != nil && c.writeOne(ctx, b) == nil {
				_ = c.conn.Close(websocket.StatusPolicyViolation, "see the error message") // the word is out
			}
			return
		case b := <-c.out:
			if c.writeOne(ctx, b) != nil {
				return
			}
		}
	}
}

func (c *client) writeOne(ctx context.Context, b []byte) error {
	ctx, stop := context.WithTimeout(ctx, c.hub.opts.WriteTimeout)
	defer stop()
	return c.conn.Write(ctx, websocket.MessageText, b)
}
