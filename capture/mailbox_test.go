package capture

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

func numbered(p *Pool, n uint64) *Frame {
	f := p.Get()
	f.Seq = n
	return f
}

func TestNewestWins(t *testing.T) {
	p := NewPool(16, 16)
	m := NewMailbox()
	defer m.Close()
	for i := range uint64(5) {
		m.Put(numbered(p, i))
	}
	f, err := m.Get(t.Context())
	if err != nil || f.Seq != 4 {
		t.Fatalf("got frame %v, error %v; want the newest, 4", f, err)
	}
	f.Release()
	if d := m.Drops(); d != 4 {
		t.Errorf("%d drops counted, want 4", d)
	}
	// 5 frames were never in use at once: each displaced one went back.
	if n := len(p.idle); n != 2 {
		t.Errorf("%d frames in the pool, want 2: the newest and the one it displaced", n)
	}
}

func TestGetWaitsForPut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(16, 16)
		m := NewMailbox()
		start := time.Now()
		go func() {
			time.Sleep(40 * time.Millisecond) // synctest's clock
			m.Put(numbered(p, 1))
		}()
		f, err := m.Get(t.Context())
		if err != nil || f.Seq != 1 {
			t.Fatalf("got %v, %v", f, err)
		}
		if d := time.Since(start); d != 40*time.Millisecond {
			t.Errorf("woke after %v", d)
		}
		f.Release()
	})
}

func TestGetEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		m := NewMailbox()
		if _, err := m.Get(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
		// The mailbox still works.
		m.Put(numbered(NewPool(16, 16), 3))
		f, err := m.Get(t.Context())
		if err != nil || f.Seq != 3 {
			t.Fatalf("got %v, %v", f, err)
		}
		f.Release()
	})
}

func TestClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := NewPool(16, 16)
		m := NewMailbox()
		done := make(chan error)
		go func() {
			_, err := m.Get(t.Context())
			done <- err
		}()
		synctest.Wait()
		m.Close()
		if err := <-done; !errors.Is(err, ErrClosed) {
			t.Errorf("the waiting Get returned %v", err)
		}
		m.Put(p.Get())
		m.Close()
		if _, err := m.Get(t.Context()); !errors.Is(err, ErrClosed) {
			t.Errorf("a later Get returned %v", err)
		}
		if n := len(p.idle); n != 1 {
			t.Errorf("%d frames in the pool, want 1: put after Close must release", n)
		}
		if d := m.Drops(); d != 0 {
			t.Errorf("%d drops counted after Close", d)
		}
	})
}

func TestCloseReleasesWhatWasWaiting(t *testing.T) {
	p := NewPool(16, 16)
	m := NewMailbox()
	m.Put(p.Get())
	m.Close()
	if n := len(p.idle); n != 1 {
		t.Errorf("%d frames in the pool, want 1", n)
	}
}

// TestEveryFrameIsGotOrDropped runs a fast source against a consumer that
// sometimes dawdles: nothing may be lost uncounted or come out of order.
func TestEveryFrameIsGotOrDropped(t *testing.T) {
	const frames = 5000
	p := NewPool(16, 16)
	m := NewMailbox()
	var wg sync.WaitGroup
	var got uint64
	wg.Go(func() {
		next := uint64(0)
		for {
			f, err := m.Get(t.Context())
			if err != nil {
				t.Error(err)
				return
			}
			n := f.Seq
			f.Release()
			if n < next {
				t.Errorf("frame %d came after %d", n, next-1)
			}
			next, got = n+1, got+1
			if n == frames-1 {
				return
			}
		}
	})
	for i := range uint64(frames) {
		m.Put(numbered(p, i))
	}
	wg.Wait()
	if got+m.Drops() != frames {
		t.Errorf("%d got and %d dropped of %d", got, m.Drops(), frames)
	}
}

// TestStuckConsumerHarmsNobody: one consumer never fetches, the other gets all.
func TestStuckConsumerHarmsNobody(t *testing.T) {
	p := NewPool(16, 16)
	var o Fanout
	stuck, quick := o.Add(), o.Add()
	const frames = 300
	for i := range uint64(frames) {
		o.Put(numbered(p, i))
		f, err := quick.Get(t.Context())
		if err != nil || f.Seq != i {
			t.Fatalf("got %v, %v, want frame %d", f, err, i)
		}
		f.Release()
	}
	if quick.Drops() != 0 || stuck.Drops() != frames-1 {
		t.Errorf("drops: quick %d, stuck %d; want 0 and %d", quick.Drops(), stuck.Drops(), frames-1)
	}
	o.Remove(stuck)
	o.Remove(quick)
	o.Remove(quick)
	o.Put(p.Get()) // nobody is there: it goes back
	if n := len(p.idle); n != 2 {
		t.Errorf("%d frames in the pool, want 2", n)
	}
	if _, err := quick.Get(t.Context()); !errors.Is(err, ErrClosed) {
		t.Errorf("Get after Remove: %v", err)
	}
}

// TestFanoutUnderRace adds and removes consumers while frames run.
func TestFanoutUnderRace(t *testing.T) {
	p := NewPool(16, 16)
	var o Fanout
	stop := make(chan struct{})
	var source, consumers sync.WaitGroup
	source.Go(func() {
		for i := uint64(0); ; i++ {
			select {
			case <-stop:
				return
			default:
				o.Put(numbered(p, i))
			}
		}
	})
	for range 4 {
		consumers.Go(func() {
			for range 50 {
				m := o.Add()
				f, err := m.Get(t.Context())
				if err != nil {
					t.Error(err)
					return
				}
				f.Release()
				o.Remove(m)
			}
		})
	}
	consumers.Wait()
	close(stop)
	source.Wait()
	if n := len(o.boxes); n != 0 {
		t.Errorf("%d mailboxes left", n)
	}
}
