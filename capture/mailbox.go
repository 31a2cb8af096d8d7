package capture

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// ErrClosed is what Mailbox.Get returns once the mailbox is closed.
var ErrClosed = errors.New("cannot get a frame: the mailbox is closed")

// Mailbox holds the newest frame for one consumer. A frame that nobody fetched
// in time is displaced by the next one: a slow consumer sees fewer frames, never
// old ones, and never slows the source.
type Mailbox struct {
	mu     sync.Mutex
	frame  *Frame
	closed bool

	full  chan struct{} // one token: a frame or the end may be there
	drops atomic.Uint64
}

// NewMailbox makes an empty mailbox.
func NewMailbox() *Mailbox { return &Mailbox{full: make(chan struct{}, 1)} }

// Put leaves f, whose reference it takes over, for the consumer. It never
// blocks. A frame still there is released and counted as dropped; after Close f
// itself is released.
func (m *Mailbox) Put(f *Frame) {
	m.mu.Lock()
	old := f
	if !m.closed {
		old, m.frame = m.frame, f
		if old != nil {
			m.drops.Add(1)
		}
	}
	m.mu.Unlock()
	if old != nil {
		old.Release()
	}
	m.signal()
}

// Get waits for a frame and hands its reference to the caller. It returns
// ErrClosed after Close and the context's error when ctx ends first. One
// goroutine at a time may call it.
func (m *Mailbox) Get(ctx context.Context) (*Frame, error) {
	for {
		m.mu.Lock()
		f, closed := m.frame, m.closed
		m.frame = nil
		m.mu.Unlock()
		switch {
		case f != nil:
			return f, nil
		case closed:
			return nil, ErrClosed
		}
		select {
		case <-m.full:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
}

// Drops tells how many frames were displaced before the consumer fetched them.
func (m *Mailbox) Drops() uint64 { return m.drops.Load() }

// Close releases a frame still there and ends Get now and later. It may be
// called more than once.
func (m *Mailbox) Close() {
	m.mu.Lock()
	f := m.frame
	m.frame, m.closed = nil, true
	m.mu.Unlock()
	if f != nil {
		f.Release()
	}
	m.signal()
}

func (m *Mailbox) signal() {
	select {
	case m.full <- struct{}{}:
	default:
	}
}
