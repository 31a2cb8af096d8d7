package peer

import (
	"net"
	"sync"
	"time"
)

const (
	// streamWaits are the messages that wait for a TURN server over TCP: a burst of
	// pictures and what else leaves with it.
	streamWaits = 128
	// streamStuck is how long TCP may not take one message before the connection is
	// given up. After a blackout of 5 s it repeats at 6.2 s at the latest.
	streamStuck = 7 * time.Second
	// streamLast bounds how long the last messages, which free the server's
	// allocation, hold Close up.
	streamLast = 200 * time.Millisecond
)

// stream is a connection to a TURN server over TCP or TLS whose writes never wait.
// Whoever writes to it holds locks that all of a call needs, and TCP takes nothing more
// soon after the way has gone. Each write is one whole message of STUN or ChannelData
// (RFC 8656, section 12.5), so that one that there is no room for can be left out, as
// UDP would lose it. A connection that takes nothing for long is closed.
type stream struct {
	net.Conn

	raw   net.Conn
	stuck time.Duration
	queue chan []byte
	over  chan struct{} // closed by Close
	ended chan struct{} // closed when the goroutine that writes is gone
	once  sync.Once
}

// newStream owns conn and raw, the TCP connection that it goes over, which may be the
// same; and a goroutine until Close, which must be called.
func newStream(conn, raw net.Conn, stuck time.Duration) *stream {
	s := &stream{
		Conn: conn, raw: raw, stuck: stuck, queue: make(chan []byte, streamWaits),
		over: make(chan struct{}), ended: make(chan struct{}),
	}
	go s.run()
	return s
}

// run writes what waits, one message after the other, until a write fails or Close.
func (s *stream) run() {
	defer close(s.ended)
	defer func() { _ = s.Conn.Close() }() // broken or done with, either way over
	for {
		select {
		case b := <-s.queue:
			if !s.write(b) {
				return
			}
		case <-s.over:
			for len(s.queue) > 0 {
				if !s.write(<-s.queue) {
					return
				}
			}
			return
		}
	}
}

func (s *stream) write(b []byte) bool {
	err := s.Conn.SetWriteDeadline(time.Now().Add(s.stuck))
	if err == nil {
		_, err = s.Conn.Write(b)
	}
	if err != nil {
		_ = s.raw.Close() // first, or TLS would wait to say goodbye
	}
	return err == nil
}

// Write takes one whole message, or leaves it out where there is no room. It does not wait.
func (s *stream) Write(b []byte) (int, error) {
	select {
	case <-s.over:
		return 0, net.ErrClosed
	case <-s.ended:
		return 0, net.ErrClosed
	default:
	}
	select {
	case s.queue <- append([]byte(nil), b...):
	default:
	}
	return len(b), nil
}

// Close implements net.Conn. What waits goes out where it can at once.
func (s *stream) Close() error {
	s.once.Do(func() { close(s.over) })
	last := time.NewTimer(streamLast)
	defer last.Stop()
	select {
	case <-s.ended:
	case <-last.C:
		_ = s.raw.Close() // frees the write
		<-s.ended
	}
	return nil
}

// SetDeadline is for reading: a write never waits.
func (s *stream) SetDeadline(t time.Time) error {
	return s.SetReadDeadline(t) //nolint:wrapcheck // pion looks at the error itself
}

// SetWriteDeadline has nothing to do: a write never waits.
func (s *stream) SetWriteDeadline(time.Time) error { return nil }
