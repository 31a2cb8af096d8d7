// Package direct is the room without a server in the middle of the media: one
// WebSocket carries the signalling (package signal), one peer connection leads
// to each other participant, with a data channel for the chat (package chat) on
// it. The kiosk always makes the offer.
//
// It owns that WebSocket and those connections. One goroutine, room.run, holds
// all state; what pion calls back arrives there as a closure.
package direct

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/signal"
)

// Times and bounds of the signalling.
const (
	dialTimeout  = 5 * time.Second
	writeTimeout = 2 * time.Second
	redialFirst  = 250 * time.Millisecond
	redialMost   = 500 * time.Millisecond // somebody waits for it
	pingEvery    = time.Second
	pingTimeout  = 3500 * time.Millisecond // TCP repeats after a second without a network at 2.1 s at the latest
	maxPeers     = 3                       // a clinician, a second one, an interpreter
	opsBound     = 128
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
	line, err := d.dial(ctx, p, dialTimeout)
	if err != nil {
		return nil, err
	}
	life, end := context.WithCancel(context.Background())
	r := &directRoom{
		provider: d, params: p, log: p.Log, conn: line.conn, local: line.local, life: life, end: end,
		ops: make(chan func(), opsBound), left: make(chan struct{}),
		remotes: map[string]*remote{}, turns: map[string]*turns{}, mail: newMail(), server: newSignalling(), joins: 1,
	}
	go r.run(line.welcome)
	return r, nil
}

// dialed is a connection to the room's server that has let us in.
type dialed struct {
	conn    *websocket.Conn
	local   string // our address of it
	welcome signal.Message
}

func (d *Provider) dial(ctx context.Context, p room.Params, within time.Duration) (dialed, error) {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	var local atomic.Value
	ctx = httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GotConn: func(i httptrace.GotConnInfo) { local.Store(i.Conn.LocalAddr().String()) },
	})
	conn, resp, err := websocket.Dial(ctx, p.URL, &websocket.DialOptions{HTTPClient: d.Client})
	if resp != nil && resp.Body != nil {
		defer func() { _ = resp.Body.Close() }() // the library has drained it
	}
	if err != nil {
		// Its text holds the URL, which may hold a token: keep the kind only.
		if resp != nil && refusal(resp.StatusCode) {
			return dialed{}, fmt.Errorf("%w (status %d)", room.ErrRefused, resp.StatusCode)
		}
		return dialed{}, room.ErrUnreachable
	}
	conn.SetReadLimit(signal.MaxMessage)
	hello := signal.Message{Type: signal.Hello, Token: p.Token, Peer: p.Peer, Name: "Kiosk", Role: signal.Kiosk}
	welcome, err := greet(ctx, conn, hello)
	if err != nil {
		_ = conn.CloseNow() // already failing: err says why
		return dialed{}, err
	}
	own, _ := local.Load().(string)
	host, _, _ := net.SplitHostPort(own) // none where the client is a test's
	return dialed{conn, host, welcome}, nil
}

// refusal tells the answers that asking again will not change from those of a
// busy or broken server.
func refusal(status int) bool {
	switch status {
	case http.StatusUnauthorized, http.StatusForbidden, http.StatusNotFound, http.StatusGone:
		return true
	default:
		return false
	}
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

	life   context.Context //nolint:containedctx // the room's own life, ended by Leave
	end    context.CancelFunc
	ops    chan func() // what callbacks and Leave want done by run
	left   chan struct{}
	mail   *mail // what the call wants said and done
	server *signalling
	wg     sync.WaitGroup // readers, RTCP readers, closers

	// Below: run's goroutine only.
	conn     *websocket.Conn // nil while the signalling is away
	local    string          // our address of it
	given    bool            // it was given up, its reader will say so
	remotes  map[string]*remote
	turns    map[string]*turns // see hurries
	all      turns
	outbox   []room.Message // the newest that mail brought
	closed   bool           // Closed has been sent
	barred   error          // the server lets us in no more; media that flows goes on
	farewell func()         // says what Leave wants said, once there is a connection
	leaving  bool
	joins    int       // how often the server let us in
	moved    time.Time // the network did
	made     int       // connections, to number them
}

// post hands op to run. It never blocks a callback for ever: the room's end frees it.
func (r *directRoom) post(op func()) {
	select {
	case r.ops <- op:
	case <-r.life.Done():
	}
}

// Times of leaving.
const (
	sayWithin   = 2 * time.Second // the word itself, where ctx would wait longer
	closeWithin = time.Second     // the WebSocket's closing handshake: who cuts it short, cuts off the word, too, where the server is slow to read
	leaveMargin = time.Second     // beyond ctx, for connections that are slow to close
)

// Leave implements room.Room. Media stops at once; the word is said as soon as
// there is a connection to say it on, while ctx lasts.
func (r *directRoom) Leave(ctx context.Context, why room.Reason) error {
	ctx, cancel := context.WithTimeout(ctx, sayWithin)
	defer cancel()
	word := signal.Bye
	if why == room.ReasonAway {
		word = signal.Away
	}
	said := make(chan struct{})
	r.post(func() {
		r.leaving = true
		r.closeRemotes()
		r.farewell = func() {
			r.send(signal.Message{Type: word})
			conn := r.conn
			r.wg.Go(func() {
				defer close(said)
				_ = conn.Close(websocket.StatusNormalClosure, "") // they have our word, a lost close frame changes nothing
			})
		}
		if r.conn != nil {
			r.sayFarewell()
		}
	})
	var err error
	select {
	case <-said:
	case <-r.life.Done(): // thrown out meanwhile
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	r.end()
	margin := time.NewTimer(leaveMargin)
	defer margin.Stop()
	select {
	case <-r.left:
	case <-margin.C:
		// A TURN server that swallows packets can hold a connection's end up for
		// long. Nothing is sent any more; run ends when it does.
		r.log.Error("a room's connections are slow to close, not waiting for them")
	}
	return err
}

// sayFarewell does what Leave asked for. A peer that does not close in time is
// left without.
func (r *directRoom) sayFarewell() {
	say := r.farewell
	r.farewell = nil
	if say == nil {
		return
	}
	say()
	r.wg.Go(func() {
		t := time.NewTimer(closeWithin)
		defer t.Stop()
		select {
		case <-t.C:
			r.end()
		case <-r.life.Done():
		}
	})
}

// run owns the room until it is left or thrown out.
func (r *directRoom) run(welcome signal.Message) {
	defer close(r.left)
	defer r.wg.Wait()
	defer r.closeRemotes()
	defer r.end()
	in := r.startReader(r.conn)
	r.greetAll(welcome.Peers)
	var redial <-chan redialed
	look := time.NewTicker(lookEvery)
	defer look.Stop()
	for {
		select {
		case <-r.life.Done():
			return
		case <-look.C:
			r.look()
		case op := <-r.ops:
			op()
		case <-r.mail.due:
			r.repairs()
			r.sendMail()
		case m, ok := <-in:
			if !ok {
				in, r.conn = nil, nil
				r.unanswered()
				if !r.leaving {
					r.params.Events(room.SignallingLost{})
				}
				redial = r.startRedial()
				break
			}
			if !r.leaving {
				r.message(m)
			}
		case d := <-redial:
			redial = nil
			if d.err != nil {
				r.bar(d.err)
				break
			}
			r.conn, r.local, r.given, r.barred = d.conn, d.local, false, nil // it lets us in after all
			r.joins++
			in = r.startReader(d.conn)
			if r.leaving {
				r.sayFarewell()
				break
			}
			r.params.Events(room.SignallingBack{})
			r.greetAll(d.welcome.Peers)
			r.look()
		}
		if r.closed {
			return
		}
	}
}

// bar notes that the server lets us in no more. While media flows that is
// nobody's business; the room is closed when the last path fails.
func (r *directRoom) bar(err error) {
	if r.barred == nil {
		r.log.Warn("the room's server lets us in no more", "error", err)
	}
	r.barred = err
	for _, rem := range r.remotes {
		if rem.pc != nil && rem.stage == room.StageUp {
			return
		}
	}
	r.refused(err)
}

func (r *directRoom) refused(err error) {
	r.closed = true
	r.params.Events(room.Closed{Err: err})
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
