package report

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// box is an Outbox in memory.
type box struct {
	mu      sync.Mutex
	ids     []string
	lost    map[string]bool // Read gives ErrUnreadable
	failing error           // Waiting and Read give it
	stays   error           // Drop gives it and does nothing
}

func (b *box) Waiting() ([]string, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.ids), b.failing
}

func (b *box) Read(id string) ([]byte, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.lost[id] {
		return nil, fmt.Errorf("cannot open: %w", ErrUnreadable)
	}
	return []byte(`{"appointment":"a","text":"b","bundle":{"id":"` + id + `"}}`), b.failing
}

func (b *box) Drop(id string) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.stays != nil {
		return b.stays
	}
	b.ids = slices.DeleteFunc(b.ids, func(i string) bool { return i == id })
	return nil
}

func (b *box) put(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ids = append(b.ids, id)
}

// clinic is the backend: it says what answer gives and keeps what it took.
type clinic struct {
	mu     sync.Mutex
	answer func(id string) error
	posts  []string
	times  []time.Time
}

func (c *clinic) post(_ context.Context, id string, _ Record) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posts, c.times = append(c.posts, id), append(c.times, time.Now())
	if c.answer == nil {
		return nil
	}
	return c.answer(id)
}

type bench struct {
	*Sender
	box    *box
	clinic *clinic
	mu     sync.Mutex
	sent   []string
	stuck  int
	stop   func()
}

func start(t *testing.T, prepare func(*bench), ids ...string) *bench {
	t.Helper()
	b := &bench{box: &box{ids: ids, lost: map[string]bool{}}, clinic: &clinic{}}
	b.Sender = NewSender(Sender{
		Outbox: b.box, Post: b.clinic.post, Log: slog.New(slog.DiscardHandler),
		Sent:  func(id string) { b.mu.Lock(); defer b.mu.Unlock(); b.sent = append(b.sent, id) },
		Stuck: func(n int) { b.mu.Lock(); defer b.mu.Unlock(); b.stuck = n },
	})
	if prepare != nil {
		prepare(b)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	b.stop = func() { cancel(); <-done }
	go func() { defer close(done); b.Run(ctx) }()
	return b
}

func TestReportsAreSentInOrderAndOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil, "one", "two")
		defer b.stop()
		synctest.Wait()
		b.box.put("three")
		b.Poke()
		synctest.Wait()
		if want := []string{"one", "two", "three"}; !slices.Equal(b.clinic.posts, want) || !slices.Equal(b.sent, want) {
			t.Errorf("posted %v, told %v", b.clinic.posts, b.sent)
		}
		time.Sleep(24 * time.Hour)
		synctest.Wait()
		if len(b.clinic.posts) != 3 || b.stuck != 0 {
			t.Errorf("%d posts, %d stuck after a day", len(b.clinic.posts), b.stuck)
		}
	})
}

func TestAFailureIsTriedAgainEverLessOften(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(b *bench) {
			b.clinic.answer = func(string) error { return errors.New("no network") }
		}, "one", "two")
		defer b.stop()
		time.Sleep(24*time.Hour + time.Minute)
		synctest.Wait()
		n := len(b.clinic.posts)
		if n < 30 || n > 40 {
			t.Errorf("%d tries in a day", n)
		}
		for i, id := range b.clinic.posts {
			if want := []string{"one", "two"}[i%2]; id != want {
				t.Fatalf("try %d is of %s, want one report a round, in turn", i, id)
			}
		}
		last := b.clinic.times[n-1].Sub(b.clinic.times[n-2])
		if first := b.clinic.times[1].Sub(b.clinic.times[0]); first != firstPause || last != longPause {
			t.Errorf("the first pause was %v, the last %v", first, last)
		}
		if b.stuck != 2 {
			t.Errorf("%d stuck", b.stuck)
		}
		b.clinic.mu.Lock()
		b.clinic.answer = nil
		b.clinic.mu.Unlock()
		b.Poke() // the link came back
		synctest.Wait()
		if len(b.sent) != 2 || b.sent[0] == b.sent[1] || b.stuck != 0 {
			t.Errorf("after the poke: sent %v, stuck %d", b.sent, b.stuck)
		}
	})
}

func TestTheBackendsWishIsHeard(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(b *bench) {
			b.After = func(err error) time.Duration {
				if err == nil {
					t.Error("asked without an error")
				}
				return 10 * time.Minute
			}
			b.clinic.answer = func(string) error { return errors.New("busy") }
		}, "one")
		defer b.stop()
		time.Sleep(15 * time.Minute)
		synctest.Wait()
		if n := len(b.clinic.times); n != 2 || b.clinic.times[1].Sub(b.clinic.times[0]) != 10*time.Minute {
			t.Errorf("%d tries in a quarter of an hour", n)
		}
	})
}

func TestARefusedReportDoesNotHoldTheOthersUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(b *bench) {
			b.clinic.answer = func(id string) error {
				if id == "bad" {
					return fmt.Errorf("status 413: %w", ErrRefused)
				}
				return nil
			}
		}, "bad", "good")
		defer b.stop()
		synctest.Wait()
		if !slices.Equal(b.sent, []string{"good"}) || b.stuck != 1 {
			t.Errorf("sent %v, stuck %d", b.sent, b.stuck)
		}
	})
}

// TestAReportThatTripsTheBackendDoesNotHoldTheOthersUp: a backend that answers
// 500 to one report, or a gateway 403, says nothing of the others.
func TestAReportThatTripsTheBackendDoesNotHoldTheOthersUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(b *bench) {
			b.clinic.answer = func(id string) error {
				if id[:3] == "bad" {
					return errors.New("status 500")
				}
				return nil
			}
		}, "bad1", "bad2", "good1", "good2")
		defer b.stop()
		time.Sleep(5 * firstPause)
		synctest.Wait()
		if !slices.Equal(b.sent, []string{"good1", "good2"}) || b.stuck != 2 {
			t.Errorf("sent %v, stuck %d", b.sent, b.stuck)
		}
	})
}

// TestSentIsToldThoughTheCopyStays: the screen must not wait for a disk.
func TestSentIsToldThoughTheCopyStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(b *bench) { b.box.stays = errors.New("disk") }, "one")
		defer b.stop()
		synctest.Wait()
		if !slices.Equal(b.sent, []string{"one"}) || b.stuck != 1 {
			t.Errorf("sent %v, stuck %d", b.sent, b.stuck)
		}
	})
}

func TestALostRecordIsGivenUpAndADoubtfulOneIsNot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(b *bench) { b.box.lost["lost"] = true }, "lost", "good")
		defer b.stop()
		synctest.Wait()
		if left, _ := b.box.Waiting(); len(left) != 0 || !slices.Equal(b.sent, []string{"good"}) {
			t.Errorf("left %v, sent %v", left, b.sent)
		}
		b.box.mu.Lock()
		b.box.failing = errors.New("disk")
		b.box.mu.Unlock()
		b.box.put("kept")
		b.Poke()
		synctest.Wait()
		b.box.mu.Lock()
		b.box.failing = nil
		b.box.mu.Unlock()
		if left, _ := b.box.Waiting(); !slices.Equal(left, []string{"kept"}) {
			t.Errorf("left %v", left)
		}
		time.Sleep(firstPause)
		synctest.Wait()
		if !slices.Equal(b.sent, []string{"good", "kept"}) {
			t.Errorf("sent %v", b.sent)
		}
	})
}
