package microphone_test

import (
	"math"
	"sync"
	"testing"
	"time"

	"kioskd/capture/microphone"
	"kioskd/capture/microphone/pulsetest"
	"kioskd/capture/soundcard/soundtest"
)

func TestMain(m *testing.M) { soundtest.Main(m) }

// toneShare is the part of pcm's energy at the test tone (Goertzel), 0 to 1.
func toneShare(pcm []int16) float64 {
	k := 2 * math.Cos(2*math.Pi*pulsetest.ToneHz/microphone.Rate)
	var s1, s2, energy float64
	for _, v := range pcm {
		x := float64(v)
		s1, s2 = x+k*s1-s2, s1
		energy += x * x
	}
	if energy == 0 {
		return 0
	}
	return 2 * (s1*s1 + s2*s2 - k*s1*s2) / (float64(len(pcm)) * energy)
}

func isSilent(pcm []int16) bool {
	for _, v := range pcm {
		if v != 0 {
			return false
		}
	}
	return true
}

// recorder keeps what came and lets a test wait for
// what it looks for.
type recorder struct {
	mu      sync.Mutex
	pcm     []int16
	times   []time.Time // when each chunk was put
	ats     []time.Time
	states  []microphone.State
	changed chan struct{}
}

func newRecorder() *recorder { return &recorder{changed: make(chan struct{}, 1)} }

func (r *recorder) put(pcm []int16, at time.Time) {
	r.mu.Lock()
	r.pcm, r.times, r.ats = append(r.pcm, pcm...), append(r.times, time.Now()), append(r.ats, at)
	r.mu.Unlock()
	r.poke()
}

func (r *recorder) state(s microphone.State) {
	r.mu.Lock()
	r.states = append(r.states, s)
	r.mu.Unlock()
	r.poke()
}

func (r *recorder) poke() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// wait returns when ok, called with r locked, holds; within limit.
func (r *recorder) wait(t *testing.T, what string, limit time.Duration, ok func(*recorder) bool) {
	t.Helper()
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	for {
		r.mu.Lock()
		done := ok(r)
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-r.changed:
		case <-deadline.C:
			r.mu.Lock()
			defer r.mu.Unlock()
			t.Fatalf("no %s within %v; %d chunks, states %+v", what, limit, len(r.times), r.states)
		}
	}
}

// count is the number of chunks so far.
func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.times)
}

// last gives the newest n chunks, nil while there are fewer.
func (r *recorder) last(n int) []int16 {
	if n *= microphone.ChunkSamples; len(r.pcm) >= n {
		return r.pcm[len(r.pcm)-n:]
	}
	return nil
}

func hearsTone(r *recorder) bool { return toneShare(r.last(10)) > 0.9 }

func hearsSilence(r *recorder) bool { return len(r.last(10)) > 0 && isSilent(r.last(10)) }

func code(want microphone.Code) func(*recorder) bool {
	return func(r *recorder) bool { return len(r.states) > 0 && r.states[len(r.states)-1].Code == want }
}
