package direct

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/coder/websocket"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/signal"
)

// signalling is what is known of the connection to the room's server, or of the
// tries to make one.
type signalling struct {
	began time.Time
	last  atomic.Int64 // when the server was heard last, since began

	mu     sync.Mutex
	hasten context.CancelFunc // ends the try under way, and the pause after it
}

func newSignalling() *signalling { return &signalling{began: time.Now()} }

func (s *signalling) heard() { s.last.Store(int64(time.Since(s.began))) }

// quiet is how long the server has said nothing, a pong included.
func (s *signalling) quiet() time.Duration {
	return time.Since(s.began) - time.Duration(s.last.Load())
}

// try is the life of one try, for hurry to end.
func (s *signalling) try(life context.Context) (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(life)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.hasten = cancel
	return ctx, cancel
}

// hurry has a try that is under way or waited for begin anew, at once.
func (s *signalling) hurry() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hasten != nil {
		s.hasten()
	}
}

// startReader reads conn until it breaks, and pings it: a server that is gone
// without a word is noticed after pingEvery + pingTimeout.
func (r *directRoom) startReader(conn *websocket.Conn) <-chan signal.Message {
	in := make(chan signal.Message, 16)
	r.server.heard()
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
			r.server.heard()
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
			r.server.heard()
		}
	})
	return in
}

type redialed struct {
	dialed
	err error
}

// startRedial tries until it is in, refused, or the room is left.
func (r *directRoom) startRedial() <-chan redialed {
	out := make(chan redialed)
	// The first packet of a TCP connection is repeated ever less often, so a fresh try
	// is sooner through when the way is open again; a way that is only slow gets its
	// time too.
	tries := [...]time.Duration{1200 * time.Millisecond, 1200 * time.Millisecond, dialTimeout}
	r.wg.Go(func() {
		wait := redialFirst
		for n := 0; ; n++ {
			try, done := r.server.try(r.life)
			d, err := r.provider.dial(try, r.params, tries[n%len(tries)])
			if err == nil || errors.Is(err, room.ErrRefused) {
				done()
				select {
				case out <- redialed{d, err}:
				case <-r.life.Done():
					if err == nil {
						_ = d.conn.CloseNow() // left meanwhile
					}
				}
				return
			}
			pause := time.NewTimer(wait)
			select {
			case <-pause.C:
				wait = min(2*wait, redialMost)
			case <-try.Done(): // told to hurry, or left
				wait = redialFirst
			}
			pause.Stop()
			done()
			if r.life.Err() != nil {
				return
			}
		}
	})
	return out
}
