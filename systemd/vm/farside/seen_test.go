package farside

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestAwaitWhatComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Seen
		at := time.Now()
		go func() {
			time.Sleep(time.Second)
			s.add(time.Now(), Live)
			time.Sleep(time.Second)
			s.add(time.Now(), Slate)
		}()
		if d, err := s.Await(t.Context(), Slate, at, time.Minute); err != nil || d != 2*time.Second {
			t.Errorf("%v, %v", d, err)
		}
		// What is over counts from the same time.
		if d, err := s.Await(t.Context(), Live, at, time.Minute); err != nil || d != time.Second {
			t.Errorf("%v, %v", d, err)
		}
		if s.Count(Live) != 1 || s.Count(Tone) != 0 {
			t.Errorf("%d live, %d tones", s.Count(Live), s.Count(Tone))
		}
	})
}

func TestAwaitWhatDoesNotCome(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var s Seen
		at := time.Now()
		s.add(at, Live) // not after
		time.Sleep(time.Minute)
		s.add(time.Now(), Live) // too late
		if _, err := s.Await(t.Context(), Live, at, time.Second); err == nil || !strings.Contains(err.Error(), "cannot see a live picture") {
			t.Errorf("got %v", err)
		}
		now := time.Now()
		if _, err := s.Await(t.Context(), Tone, now, time.Second); err == nil || time.Since(now) != time.Second {
			t.Errorf("%v after %v", err, time.Since(now))
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := s.Await(ctx, Tone, now, time.Hour); err == nil || time.Since(now) != time.Second {
			t.Errorf("%v after %v", err, time.Since(now))
		}
	})
}

func TestGap(t *testing.T) {
	var s Seen
	t0 := time.Unix(1000, 0)
	for _, ms := range []int{0, 100, 200, 900, 1000} {
		s.add(t0.Add(time.Duration(ms)*time.Millisecond), Live)
	}
	s.add(t0.Add(500*time.Millisecond), Slate) // no picture of a camera
	if n := s.Between(Live, t0, t0.Add(900*time.Millisecond)); n != 2 {
		t.Errorf("%d pictures between the first and the fourth", n)
	}
	for _, c := range []struct{ from, to, want int }{
		{0, 1001, 700}, {0, 250, 100}, {300, 400, 100}, {0, 2000, 1000}, {950, 960, 10},
	} {
		got := s.Gap(Live, t0.Add(time.Duration(c.from)*time.Millisecond), t0.Add(time.Duration(c.to)*time.Millisecond))
		if got != time.Duration(c.want)*time.Millisecond {
			t.Errorf("from %d to %d: %v, want %d ms", c.from, c.to, got, c.want)
		}
	}
}

func TestSeenForgetsTheOldest(t *testing.T) {
	var s Seen
	t0 := time.Unix(1000, 0)
	s.add(t0, Tone)
	for i := range 2 * maxSeen {
		s.add(t0.Add(time.Duration(i)*time.Millisecond), Live)
	}
	if n := len(s.list); n > maxSeen || n < maxSeen/2 {
		t.Errorf("%d moments", n)
	}
	if last := s.list[len(s.list)-1].at; !last.Equal(t0.Add((2*maxSeen - 1) * time.Millisecond)) {
		t.Errorf("the newest is of %v", last)
	}
	if s.Count(Live) != 2*maxSeen || s.Count(Tone) != 1 {
		t.Errorf("%d live, %d tones", s.Count(Live), s.Count(Tone))
	}
}
