// Package direct is the room without a server in the middle of the media: one
// WebSocket carries the signalling (package signal), one peer connection leads
// to each other participant. The kiosk always makes the offer.
//
// It owns that WebSocket and those connections. One goroutine, room.run, holds
// all state; what pion calls back arrives there as a closure.
package direct

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/coder/websocket"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/signal"
)

// Times and bounds of the signalling.
const (
	dialTimeout   = 5 * time.Second
	writeTimeout  = 2 * time.Second
	redialFirst   = 250 * time.Millisecond
	redialMost    = 5 * time.Second
	pingEvery     = 2 * time.Second
	pingTimeout   = 2 * time.Second
	connectWithin = 10 * time.Second // an offer without a working path by then is made anew
	maxPeers      = 3                // a clinician, a second one, an interpreter
	opsBound      = 128
)

// Provider joins direct rooms.
type Provider struct {
	// Client dials the WebSocket; nil is http.DefaultClient. It carries the
	// trusted CA and the proxy.
	Client *http.Client
}

// Join dials p.URL, says hello and waits for the welcome. It returns
// room.ErrRefused or room.ErrUnreachable, wrapped.
func (d *Provider) Join(ctx context.Context, p room.Params) (room.Room, error) {
	conn, welcome, err := d.dial(ctx, p)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	r := &directRoom{
		provider: d, params: p, log: p.Log, conn: conn, life: life, end: end,
		ops: make(chan func(), opsBound), left: make(chan struct{}),
		remotes: map[string]*remote{},
	}
	go r.run(welcome)
	return r, nil
}

func (d *Provider) dial(ctx context.Context, p room.Params) (*websocket.Conn, signal.Message, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	conn, resp, err := websocket.Dial(ctx, p.URL, &websocket.DialOptions{HTTPClient: d.Client})
	if resp != nil && resp.Body != nil {
		defer func() { _ = resp.Body.Close() }() // the library has drained it
	}
	if err != nil {
		// Its text holds the URL, which may hold a token: keep the kind only.
		if resp != nil && resp.StatusCode >= 400 && resp.StatusCode < 500 {
			return nil, signal.Message{}, fmt.Errorf("%w (status %d)", room.ErrRefused, resp.StatusCode)
		}
		return nil, signal.Message{}, room.ErrUnreachable
	}
	conn.SetReadLimit(signal.MaxMessage)
	hello := signal.Message{Type: signal.Hello, Token: p.Token, Peer: p.Peer, Name: "Kiosk", Role: signal.Kiosk}
	welcome, err := greet(ctx, conn, hello)
	if err != nil {
		_ = conn.CloseNow() // already failing: err says why
		return nil, signal.Message{}, err
	}
	return conn, welcome, nil
}

// greet sends the hello and reads up to the welcome.
func greet(ctx context.Context, conn *websocket.Conn, hello signal.Message) (signal.Message, error) {
	b, err := signal.Marshal(hello)
	if err != nil {
		return signal.Message{}, fmt.Errorf("%w: %w", room.ErrRefused, err)
	}
	if err := conn.Write(ctx, websocket.MessageText, b); err != nil {
		return signal.Message{}, room.ErrUnreachable
	}
	m, err := read(ctx, conn)
	switch {
	case err != nil:
		return signal.Message{}, fmt.Errorf("%w: no welcome: %w", room.ErrUnreachable, err)
	case m.Type == signal.Error:
		return signal.Message{}, fmt.Errorf("%w (%s)", room.ErrRefused, m.Code)
	case m.Type != signal.Welcome:
		return signal.Message{}, fmt.Errorf("%w: it said %s instead of welcome", room.ErrRefused, m.Type)
	}
	return m, nil
}

func read(ctx context.Context, conn *websocket.Conn) (signal.Message, error) {
	kind, b, err := conn.Read(ctx)
	if err != nil {
		return signal.Message{}, fmt.Errorf("cannot read from the room: %w", err)
	}
	if kind != websocket.MessageText {
		return signal.Message{}, errors.New("cannot read from the room: a binary message")
	}
	return signal.Parse(b)
}

// directRoom is one joined room.
type directRoom struct {
	provider *Provider
	params   room.Params
	log      *slog.Logger

	life context.Context //nolint:containedctx // the room's own life, ended by Leave
	end  context.CancelFunc
	ops  chan func() // what callbacks and Leave want done by run
	left chan struct{}
	wg   sync.WaitGroup // readers, RTCP readers, closers

	// Below: run's goroutine only.
	conn    *websocket.Conn // nil while the signalling is away
	remotes map[string]*remote
	closed  bool // Closed has been sent
}

// post hands op to run. It never blocks a callback for ever: the room's end frees it.
func (r *directRoom) post(op func()) {
	select {
	case r.ops <- op:
	case <-r.life.Done():
	}
}

// Leave implements room.Room.
func (r *directRoom) Leave(ctx context.Context, why room.Reason) error {
	word := signal.Bye
	if why == room.ReasonAway {
		word = signal.Away
	}
	said := make(chan struct{})
	op := func() {
		defer close(said)
		r.send(signal.Message{Type: word})
		if r.conn != nil {
			_ = r.conn.Close(websocket.StatusNormalClosure, "") // they have our word, a lost close frame changes nothing
		}
	}
	select {
	case r.ops <- op:
		select {
		case <-said:
		case <-ctx.Done():
		case <-r.life.Done():
		}
	case <-ctx.Done():
	case <-r.life.Done():
	}
	r.end()
	<-r.left
	return context.Cause(ctx)
}

// run owns the room until it is left or thrown out.
func (r *directRoom) run(welcome signal.Message) {
	defer close(r.left)
	defer r.wg.Wait()
	defer r.closeRemotes()
	defer r.end()
	in := r.startReader(r.conn)
	r.greetAll(welcome.Peers)
	var redial <-chan dialed
	for {
		select {
		case <-r.life.Done():
			return
		case op := <-r.ops:
			op()
		case m, ok := <-in:
			if !ok {
				in, r.conn = nil, nil
				r.params.Events(room.SignallingLost{})
				redial = r.startRedial()
				continue
			}
			r.message(m)
		case d := <-redial:
			redial = nil
			if d.err != nil {
				r.refused(d.err)
				continue
			}
			r.conn = d.conn
			in = r.startReader(d.conn)
			r.params.Events(room.SignallingBack{})
			r.greetAll(d.welcome.Peers)
		}
		if r.closed {
			return
		}
	}
}

func (r *directRoom) refused(err error) {
	r.closed = true
	r.params.Events(room.Closed{Err: err})
}

// startReader reads conn until it breaks, and pings it: a server that is gone
// without a word is noticed after pingEvery + pingTimeout.
func (r *directRoom) startReader(conn *websocket.Conn) <-chan signal.Message {
	in := make(chan signal.Message, 16)
	ctx, cancel := context.WithCancel(r.life)
	r.wg.Go(func() {
		defer close(in)
		defer cancel()
		defer func() { _ = conn.CloseNow() }() // broken or left, either way done
		for {
			m, err := read(ctx, conn)
			if err != nil {
				return
			}
			select {
			case in <- m:
			case <-ctx.Done():
				return
			}
		}
	})
	r.wg.Go(func() {
		tick := time.NewTicker(pingEvery)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			wait, stop := context.WithTimeout(ctx, pingTimeout)
			err := conn.Ping(wait)
			stop()
			if err != nil {
				cancel()
				return
			}
		}
	})
	return in
}

type dialed struct {
	conn    *websocket.Conn
	welcome signal.Message
	err     error
}

// startRedial tries until it is in, refused, or the room is left.
func (r *directRoom) startRedial() <-chan dialed {
	out := make(chan dialed, 1)
	r.wg.Go(func() {
		wait := redialFirst
		for {
			conn, welcome, err := r.provider.dial(r.life, r.params)
			if err == nil || errors.Is(err, room.ErrRefused) {
				if err == nil && r.life.Err() != nil {
					_ = conn.CloseNow() // left meanwhile, nobody will read out
				}
				out <- dialed{conn, welcome, err}
				return
			}
			select {
			case <-time.After(wait):
				wait = min(2*wait, redialMost)
			case <-r.life.Done():
				return
			}
		}
	})
	return out
}

// send writes one message; a failure shows at the reader, which ends conn.
func (r *directRoom) send(m signal.Message) {
	if r.conn == nil {
		return
	}
	b, err := signal.Marshal(m)
	if err != nil {
		r.log.Error("cannot send to the room", "type", string(m.Type), "error", err)
		return
	}
	ctx, cancel := context.WithTimeout(r.life, writeTimeout)
	defer cancel()
	if err := r.conn.Write(ctx, websocket.MessageText, b); err != nil {
		r.log.Warn("cannot send to the room, its connection broke", "type", string(m.Type))
	}
}
