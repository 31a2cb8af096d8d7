package microphone

import (
	"context"
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"
)

// sim drives a pump by hand, on a clock of its own.
type sim struct {
	*pump
	now  time.Time
	put  int // chunks
	loud int // chunks that were not silence
}

func newSim() *sim {
	s := &sim{now: time.Unix(5000, 0)}
	s.pump = &pump{k: NewKeeper(KeeperConfig{}), clock: s.now, lastLive: s.now, silent: true}
	s.pump.put = func(pcm []int16, _ time.Time) {
		s.put++
		if slices.Max(pcm) > 0 {
			s.loud++
		}
	}
	return s
}

// chunks brings n live chunks, gap apart, the ticker running between.
func (s *sim) chunks(n int, gap time.Duration) {
	c := chunk{}
	c.pcm[7] = 1000
	for range n {
		s.now = s.now.Add(gap)
		s.fill(s.now)
		s.live(&c, s.now)
	}
}

func (s *sim) idle(d time.Duration) {
	for end := s.now.Add(d); s.now.Before(end); s.fill(s.now) {
		s.now = s.now.Add(ChunkTime)
	}
}

func TestPumpCounts(t *testing.T) {
	s := newSim()
	s.idle(time.Second)
	if s.put != 100 || s.loud != 0 {
		t.Fatalf("%d chunks, %d loud, in a second without a device", s.put, s.loud)
	}
	s.chunks(500, ChunkTime)
	// One more chunk: silence had just been put when the first one came.
	if s.put != 601 || s.loud != 500 {
		t.Fatalf("%d chunks, %d loud, want 601 and 500", s.put, s.loud)
	}
	// A hole shorter than slack is not filled, a burst after it is taken.
	s.now = s.now.Add(60 * time.Millisecond)
	s.fill(s.now)
	s.chunks(6, 0)
	if s.put != 607 || s.loud != 506 {
		t.Fatalf("%d chunks, %d loud after a burst, want 607 and 506", s.put, s.loud)
	}
	// One that is longer is filled to the chunk, and what comes late is dropped.
	s.idle(300 * time.Millisecond)
	s.chunks(30, 0)
	if s.put < 634 || s.put > 640 {
		t.Fatalf("%d chunks after a hole of 300 ms and its sound coming late, want 636", s.put)
	}
}

// A card whose clock is off by 0.1 % loses nothing and gets nothing added.
func TestPumpFollowsTheDevice(t *testing.T) {
	for _, gap := range []time.Duration{ChunkTime * 999 / 1000, ChunkTime * 1001 / 1000} {
		s := newSim()
		s.chunks(20_000, gap)
		if s.put > 20_001 || s.loud != 20_000 || s.k.Dropped() != 0 {
			t.Errorf("%v apart: %d chunks, %d loud of 20000, %d dropped", gap, s.put, s.loud, s.k.Dropped())
		}
	}
}

// A machine that slept does not get the whole night as silence.
func TestPumpFillsAtMostASecond(t *testing.T) {
	s := newSim()
	s.now = s.now.Add(time.Hour)
	s.fill(s.now)
	if s.put != 100 {
		t.Errorf("%d chunks for an hour's sleep, want 100", s.put)
	}
}

func TestPumpMute(t *testing.T) {
	s := newSim()
	s.k.SetMuted(true)
	s.chunks(10, ChunkTime)
	if s.put < 10 || s.loud != 0 {
		t.Errorf("%d chunks, %d loud", s.put, s.loud)
	}
	s.k.SetMuted(false)
	s.chunks(10, ChunkTime)
	if s.loud != 10 {
		t.Errorf("%d of 10 chunks are loud after unmute", s.loud)
	}
}

func TestMeter(t *testing.T) {
	var m meter
	if m.level() != (Level{}) {
		t.Error("not zero at the start")
	}
	pcm := make([]int16, ChunkSamples)
	for n := range 20 {
		for i := range pcm {
			pcm[i] = int16(math.Round(16384 * math.Sin(2*math.Pi*400*float64(n*ChunkSamples+i)/Rate)))
		}
		m.add(pcm)
	}
	if l := m.level(); math.Abs(l.Peak-0.5) > 0.001 || math.Abs(l.RMS-0.5/math.Sqrt2) > 0.001 {
		t.Errorf("a half-scale sine has %+v", l)
	}
	clear(pcm)
	for range 9 {
		m.add(pcm)
	}
	if l := m.level(); l.Peak < 0.49 || l.RMS > 0.2 {
		t.Errorf("90 ms after the sine's end: %+v", l)
	}
	m.add(pcm)
	if m.level() != (Level{}) {
		t.Errorf("100 ms after the sine's end: %+v", m.level())
	}
	pcm[3] = math.MinInt16
	m.add(pcm)
	m.add(nil)
	if l := m.level(); l.Peak != 1 {
		t.Errorf("the lowest sample has %+v", l)
	}
	if n := testing.AllocsPerRun(10, func() { m.add(pcm) }); n != 0 {
		t.Errorf("%v allocations a chunk", n)
	}
}

// quiets collects what a pump says of silence.
func quiets(s *sim) *[]bool {
	said := &[]bool{}
	s.k.cfg.Silent = func(on bool) { *said = append(*said, on) }
	return said
}

// zeros brings n live chunks of digital silence.
func (s *sim) zeros(n int) {
	for range n {
		s.now = s.now.Add(ChunkTime)
		s.live(&chunk{}, s.now)
		s.report()
	}
}

func TestPumpTellsOfSilence(t *testing.T) {
	s := newSim()
	said := quiets(s)
	s.zeros(499)
	if len(*said) != 0 {
		t.Fatalf("told after 4.99 s: %v", *said)
	}
	// A hole that silence stands in for neither counts nor breaks the row.
	s.idle(10 * time.Second)
	s.report()
	if len(*said) != 0 {
		t.Fatalf("stand-in silence counted: %v", *said)
	}
	s.zeros(1)
	s.zeros(500)
	if !slices.Equal(*said, []bool{true}) {
		t.Fatalf("after 5 s: %v", *said)
	}
	// One sample that is not zero is a sound, muted or not.
	s.k.SetMuted(true)
	c := chunk{}
	c.pcm[479] = -1
	s.live(&c, s.now)
	s.report()
	if !slices.Equal(*said, []bool{true, false}) {
		t.Fatalf("after a sound: %v", *said)
	}
	// The end of the device is the end of its silence.
	s.zeros(500)
	s.k.latest.Store(newState("x", ErrGone))
	s.report()
	s.k.latest.Store(newState("x", nil))
	s.zeros(499)
	if !slices.Equal(*said, []bool{true, false, true, false}) {
		t.Fatalf("after another device's 4.99 s: %v", *said)
	}
}

// On a clock: five seconds of the device's, to the chunk.
func TestPumpTellsOfSilenceInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var at []time.Duration
		k := NewKeeper(KeeperConfig{Silent: func(bool) { at = append(at, time.Since(began)) }})
		p := &pump{k: k, put: func([]int16, time.Time) {}, clock: began, lastLive: began, silent: true}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Second)
		defer cancel()
		queue, fed := make(chan chunk), make(chan struct{})
		go func() {
			defer close(fed)
			for n := 1; ctx.Err() == nil; n++ {
				time.Sleep(ChunkTime)
				c := chunk{}
				c.pcm[0] = int16(n / 1000) // from 10 s on it is a sound
				select {
				case queue <- c:
				case <-ctx.Done():
				}
			}
		}()
		p.run(ctx, queue)
		<-fed
		if !slices.Equal(at, []time.Duration{5 * time.Second, 10 * time.Second}) {
			t.Errorf("told at %v", at)
		}
	})
}
