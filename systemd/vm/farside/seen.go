package farside

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// Kind is what a moment of the call showed.
type Kind string

// The kinds. A picture is Live or Slate, a piece of sound Tone or Quiet.
const (
	Live  Kind = "live picture"
	Slate Kind = "slate" // a dark picture with words: no camera, or the video is off
	Tone  Kind = "tone"
	Quiet Kind = "quiet"
)

// maxSeen bounds what is remembered: some minutes of pictures and sound.
const maxSeen = 1 << 14

type moment struct {
	at   time.Time
	kind Kind
}

// Seen remembers what came and when. The zero value is ready; all goroutines may
// use it.
type Seen struct {
	mu     sync.Mutex
	list   []moment // oldest first
	news   chan struct{}
	counts map[Kind]int
}

// add notes one moment.
func (s *Seen) add(at time.Time, kind Kind) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) >= maxSeen {
		s.list = append(s.list[:0], s.list[maxSeen/2:]...)
	}
	s.list = append(s.list, moment{at, kind})
	if s.counts == nil {
		s.counts = map[Kind]int{}
	}
	s.counts[kind]++
	if s.news != nil {
		close(s.news)
		s.news = nil
	}
}

// Count is how many moments of a kind there were since the beginning.
func (s *Seen) Count(kind Kind) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counts[kind]
}

// first finds the first moment of a kind after a time, and a channel that is closed
// at the next moment of any kind.
func (s *Seen) first(kind Kind, after time.Time) (time.Time, bool, <-chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, m := range s.list {
		if m.kind == kind && m.at.After(after) {
			return m.at, true, nil
		}
	}
	if s.news == nil {
		s.news = make(chan struct{})
	}
	return time.Time{}, false, s.news
}

// Await waits for the first moment of a kind after a time, which may be over
// already, and gives its distance from that time.
func (s *Seen) Await(ctx context.Context, kind Kind, after time.Time, within time.Duration) (time.Duration, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Until(after.Add(within)))
	defer cancel()
	for {
		at, found, news := s.first(kind, after)
		if found && at.Sub(after) <= within {
			return at.Sub(after), nil
		}
		if !found {
			select {
			case <-news:
				continue
			case <-ctx.Done():
			}
		}
		return 0, fmt.Errorf("cannot see a %s at the far side within %v", kind, within)
	}
}

// Between counts the moments of a kind after one time and before another.
func (s *Seen) Between(kind Kind, from, to time.Time) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, m := range s.list {
		if m.kind == kind && m.at.After(from) && m.at.Before(to) {
			n++
		}
	}
	return n
}

// Gap is the longest time without a moment of a kind between two times.
func (s *Seen) Gap(kind Kind, from, to time.Time) time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest, last := time.Duration(0), from
	for _, m := range s.list {
		if m.kind == kind && m.at.After(from) && m.at.Before(to) {
			longest = max(longest, m.at.Sub(last))
			last = m.at
		}
	}
	return max(longest, to.Sub(last))
}
