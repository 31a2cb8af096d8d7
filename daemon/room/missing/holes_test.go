package missing

import (
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

func start() time.Time { return time.Date(2026, 11, 26, 9, 0, 0, 0, time.UTC) }

// at is a moment of a test.
func at(ms int) time.Time { return start().Add(time.Duration(ms) * time.Millisecond) }

func TestHoles(t *testing.T) {
	var h holes
	for i, seq := range []uint16{65533, 65534, 1, 0} { // 65535 and 0 are missing, 0 comes late
		h.arrived(seq, at(10*i))
	}
	if len(h.list) != 1 || h.list[0].seq != 65535 {
		t.Fatalf("holes %+v", h.list)
	}
	if ask, next := h.due(at(30), 0); ask != nil || !next.Equal(at(20).Add(reorder)) {
		t.Errorf("asked for %v before it may be late, then at %v", ask, next)
	}
	var asked []int
	for ms := 30; ms < 2000; ms++ {
		if ask, _ := h.due(at(ms), 80*time.Millisecond); len(ask) > 0 {
			asked = append(asked, ms)
		}
	}
	if want := []int{40, 140, 240, 340, 440, 540, 640, 740, 840, 940}; !slices.Equal(asked, want) {
		t.Errorf("asked at %v, want %v", asked, want)
	}
	if since, ok := h.lost(); !ok || !since.Equal(at(20)) {
		t.Errorf("what was given up was missing since %v, %v", since, ok)
	}
	if _, ok := h.lost(); ok || len(h.list) != 0 {
		t.Error("it is given up twice")
	}
}

// What comes again, and what comes late, is not asked for any more.
func TestFilled(t *testing.T) {
	for name, fill := range map[string]func(*holes){
		"resent": func(h *holes) { h.repaired(11) },
		"late":   func(h *holes) { h.arrived(11, at(5)) },
	} {
		var h holes
		h.arrived(10, at(0))
		h.arrived(13, at(1))
		fill(&h)
		if ask, _ := h.due(at(100), 0); !slices.Equal(ask, []uint16{12}) {
			t.Errorf("%s: asked for %v", name, ask)
		}
		h.repaired(99) // nobody waits for it
		h.repaired(12)
		if ask, next := h.due(at(300), 0); ask != nil || !next.IsZero() {
			t.Errorf("%s: filled, and asked for %v", name, ask)
		}
	}
}

// After a silence nothing of before is asked for.
func TestDeadPath(t *testing.T) {
	var h holes
	h.arrived(1, at(0))
	h.arrived(3, at(10))
	if h.arrived(90, at(10).Add(deadFor)) || len(h.list) != 0 {
		t.Errorf("after a silence it waits for %d packets", len(h.list))
	}
	if !h.arrived(92, at(500)) { // and what is lost then is
		t.Error("a hole after it is no hole")
	}
	if _, ok := h.lost(); ok {
		t.Error("a keyframe is asked for twice")
	}
}

func TestTooMany(t *testing.T) {
	var h holes
	h.arrived(1, at(0))
	h.arrived(3, at(5))
	if !h.arrived(3+holesMost+1, at(10)) || len(h.list) != 0 {
		t.Errorf("it waits for %d packets", len(h.list))
	}
	if since, ok := h.lost(); !ok || !since.Equal(at(10)) {
		t.Errorf("no keyframe is asked for: %v", since)
	}
}

// FuzzHoles: whatever numbers come, when they come, the list is bounded and ordered,
// and nothing is asked for that came.
func FuzzHoles(f *testing.F) {
	f.Add([]byte{1, 0, 1, 3, 0, 1, 255, 255, 1, 0, 4, 200})
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 4 {
		b := make([]byte, 300)
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var h holes
		now := start()
		seen := map[uint16]int{}
		for i := 0; i+3 <= len(b); i += 3 {
			seq := uint16(b[i])<<8 | uint16(b[i+1])
			now = now.Add(time.Duration(b[i+2]) * time.Millisecond)
			h.arrived(seq, now)
			seen[seq] = i
			if len(h.list) > holesMost {
				t.Fatalf("%d holes", len(h.list))
			}
			ask, next := h.due(now, time.Duration(b[i+2])*time.Millisecond)
			if slices.Contains(ask, seq) {
				t.Fatalf("asked for %d, which has just come", seq)
			}
			if len(h.list) > 0 && next.IsZero() {
				t.Fatal("holes that nobody looks at")
			}
			for k, o := range h.list {
				if k > 0 && int16(o.seq-h.list[k-1].seq) <= 0 || int16(h.newest-o.seq) <= 0 {
					t.Fatalf("hole %d after %d, newest %d", o.seq, h.list[max(k-1, 0)].seq, h.newest)
				}
				if now.Sub(o.since) >= giveUp || o.asked > asksMost {
					t.Fatalf("a hole of %v, asked for %d times", now.Sub(o.since), o.asked)
				}
			}
		}
	})
}
