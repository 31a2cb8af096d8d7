package encode

import (
	"math"
	"math/rand/v2"
	"testing"
	"time"
)

// feed gives the pacer n pictures, gap apart, moved by up to jitter, and
// returns the durations.
func feed(p *pacer, at *time.Time, n int, gap, jitter time.Duration) []int64 {
	rng := rand.New(rand.NewPCG(5, 6))
	durs := make([]int64, n)
	for i := range durs {
		*at = at.Add(gap)
		t := *at
		if jitter > 0 {
			t = t.Add(time.Duration(rng.Int64N(int64(2*jitter))) - jitter)
		}
		_, durs[i] = p.step(t)
	}
	return durs
}

func TestPacerFollowsTheSource(t *testing.T) {
	for _, fps := range []float64{5, 10, 15, 24, 30, 60} {
		p, at := newPacer(30), time.Unix(1000, 0)
		gap := time.Duration(float64(time.Second) / fps)
		feed(p, &at, int(4*fps), gap, 0)
		before := p.end
		feed(p, &at, int(10*fps), gap, 0)
		if got := (p.end - before) / ticksPerSecond; math.Abs(got-10) > 0.1 {
			t.Errorf("%v fps: 10 s are counted as %.2f s", fps, got)
		}
	}
}

func TestPacerIsSmoothUnderJitter(t *testing.T) {
	p, at := newPacer(30), time.Unix(1000, 0)
	durs := feed(p, &at, 600, time.Second/30, 20*time.Millisecond)
	for i, d := range durs {
		if d < 1800 || d > 4500 { // 3000 is the true one
			t.Errorf("picture %d lasts %d ticks", i, d)
		}
	}
	if got := p.end / ticksPerSecond; math.Abs(got-20) > 0.3 {
		t.Errorf("20 s are counted as %.2f s", got)
	}
}

func TestPacerTakesALoneGapForAPause(t *testing.T) {
	p, at := newPacer(30), time.Unix(1000, 0)
	feed(p, &at, 60, time.Second/30, 0)
	at = at.Add(time.Minute)
	for i, d := range feed(p, &at, 30, time.Second/30, 0) {
		if d > 3600 {
			t.Errorf("picture %d after the pause lasts %d ticks", i, d)
		}
	}
}

func TestPacerChangesOfRate(t *testing.T) {
	p, at := newPacer(30), time.Unix(1000, 0)
	feed(p, &at, 60, time.Second/30, 0)
	slow := feed(p, &at, 20, time.Second/5, 0)
	if d := slow[len(slow)-1]; d < 16000 || d > 20000 {
		t.Errorf("at 5 fps a picture lasts %d ticks, want about 18000", d)
	}
	before := p.end
	fast := feed(p, &at, 60, time.Second/30, 0)
	if d := fast[len(fast)-1]; d < 2600 || d > 3400 {
		t.Errorf("back at 30 fps a picture lasts %d ticks, want about 3000", d)
	}
	// Two seconds passed: speeding up must not spend much more than that.
	if got := (p.end - before) / ticksPerSecond; got > 2.8 {
		t.Errorf("speeding up counted 2 s as %.2f s", got)
	}
}

// Whatever the clock does, timestamps increase and durations stay sane.
func TestPacerTimestampsIncrease(t *testing.T) {
	p, rng := newPacer(30), rand.New(rand.NewPCG(7, 8))
	at, end := time.Unix(1000, 0), int64(0)
	for i := range 10_000 {
		switch rng.IntN(4) {
		case 0:
			at = at.Add(-time.Duration(rng.Int64N(int64(time.Hour))))
		case 1:
			at = at.Add(time.Duration(rng.Int64N(int64(100 * time.Hour))))
		case 2:
			at = at.Add(time.Duration(rng.Int64N(int64(50 * time.Millisecond))))
		}
		pts, dur := p.step(at)
		if pts < end || dur < 1 || dur > maxStep+1 {
			t.Fatalf("step %d: pts %d after %d, dur %d", i, pts, end, dur)
		}
		end = pts + dur
	}
}
