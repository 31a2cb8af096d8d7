package main

import (
	"context"
	"fmt"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
)

// maxStates bounds what states remembers; a run has some dozens.
const maxStates = 1024

// states remembers what the session was, and when, as the event stream told it.
type states struct {
	mu   sync.Mutex
	list []stateAt
	news chan struct{}
}

type stateAt struct {
	at    time.Time
	state string // "": no session
}

// event takes one event of the stream.
func (s *states) event(e apitype.Event) error {
	if e.Name != apitype.EventSnapshot && e.Name != apitype.EventChange {
		return nil
	}
	st, err := e.Status()
	if err != nil {
		return err
	}
	state := ""
	if st.Session != nil {
		state = st.Session.State
	}
	s.add(time.Now(), state)
	return nil
}

func (s *states) add(at time.Time, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.list); n == maxStates || n > 0 && s.list[n-1].state == state {
		return
	}
	s.list = append(s.list, stateAt{at, state})
	if s.news != nil {
		close(s.news)
		s.news = nil
	}
}

// now is the newest state, and a channel that is closed at the next.
func (s *states) now() (string, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.news == nil {
		s.news = make(chan struct{})
	}
	if len(s.list) == 0 {
		return "", s.news
	}
	return s.list[len(s.list)-1].state, s.news
}

// await waits for a state.
func (s *states) await(ctx context.Context, want string, within time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, within)
	defer cancel()
	for {
		state, news := s.now()
		if state == want {
			return nil
		}
		select {
		case <-news:
		case <-ctx.Done():
			return fmt.Errorf("cannot see the session %s within %v: it is %q", want, within, state)
		}
	}
}

// stayed says whether the session was active all the time since then.
func (s *states) stayed(since time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	current := ""
	for _, m := range s.list {
		if m.at.After(since) && m.state != apitype.StateActive {
			return fmt.Errorf("the session did not stay active: it became %q after %v", m.state, m.at.Sub(since).Round(time.Millisecond))
		}
		current = m.state
	}
	if current != apitype.StateActive {
		return fmt.Errorf("the session is not active but %q", current)
	}
	return nil
}
