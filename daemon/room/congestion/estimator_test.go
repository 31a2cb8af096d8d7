package congestion_test

import (
	"testing"
	"time"

	"kioskd/daemon/room/congestion"
)

var fast = link{bps: 20_000_000, queue: 200 * time.Millisecond, delay: 10 * time.Millisecond, jitter: 2 * time.Millisecond}

const full = (videoMost + audioBPS) * 0.98

// reaches plays until the estimate is at least bps and gives how long it took.
func reaches(t *testing.T, w *world, bps float64, within time.Duration) time.Duration {
	t.Helper()
	took := time.Duration(-1)
	w.run(within, func(past time.Duration) {
		if took < 0 && float64(w.est.Rate()) >= bps {
			took = past
		}
	})
	if took < 0 {
		t.Errorf("the estimate is %d after %v, want %.0f", w.est.Rate(), within, bps)
	}
	return took
}

func TestBegins(t *testing.T) {
	w := newWorld(1, fast)
	t.Logf("full rate after %v", reaches(t, w, full, 3*time.Second))
}

// TestBottleneck plays the promise: a bottleneck comes and goes, with short and long
// queues, near and far.
func TestBottleneck(t *testing.T) {
	for name, l := range map[string]link{
		"near, short queue":  {bps: 300_000, queue: 100 * time.Millisecond, delay: 5 * time.Millisecond},
		"near, middle queue": {bps: 300_000, queue: 400 * time.Millisecond, delay: 5 * time.Millisecond},
		"long queue":         {bps: 300_000, queue: time.Second, delay: 20 * time.Millisecond, jitter: 5 * time.Millisecond},
		"far":                {bps: 300_000, queue: 300 * time.Millisecond, delay: 100 * time.Millisecond, jitter: 10 * time.Millisecond},
		"half a megabit":     {bps: 500_000, queue: 300 * time.Millisecond, delay: 30 * time.Millisecond, jitter: 5 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			for seed := range uint64(5) {
				w := newWorld(seed, fast)
				w.run(8*time.Second, nil)
				w.link = l
				w.link.freeAt = w.now
				w.through(time.Second)
				least, most, sum, n := 1e9, 0.0, 0.0, 0
				past, through := time.Duration(0), []float64{}
				w.run(30*time.Second, func(at time.Duration) {
					through = append(through, w.through(100*time.Millisecond))
					past = at
					if at <= 3*time.Second {
						return
					}
					second := 0.0
					for _, b := range through[len(through)-10:] {
						second += b / 10
					}
					if r := float64(w.est.Rate()); r > 1.5*second {
						t.Errorf("seed %d: at %v the estimate is %.0f, and %.0f get through", seed, at, r, second)
					}
					if at > 10*time.Second {
						r := float64(w.est.Rate())
						least, most, sum, n = min(least, r), max(most, r), sum+r, n+1
					}
				})
				mean := sum / float64(n)
				if mean < 0.8*l.bps || mean > 1.2*l.bps || least < 0.6*l.bps || most > 1.4*l.bps {
					t.Errorf("seed %d: after 10 s the estimate is %.0f to %.0f, mean %.0f", seed, least, most, mean)
				}
				_ = past
				w.link = fast
				w.link.freeAt = w.now
				back := reaches(t, w, full, 15*time.Second)
				t.Logf("seed %d: %.0f to %.0f, mean %.0f of %.0f; back after %v", seed, least, most, mean, l.bps, back)
			}
		})
	}
}

// TestAppLimited: who sends little, and wants no more, does not get to believe in much;
// when it wants more again it has it at once.
func TestAppLimited(t *testing.T) {
	w := newWorld(3, fast)
	w.run(5*time.Second, nil)
	w.most, w.share = 30_000, 0.5
	w.run(5*time.Second, nil)
	through := []float64{}
	w.through(time.Second)
	w.run(time.Minute, func(time.Duration) {
		through = append(through, w.through(100*time.Millisecond))
		if len(through) < 10 {
			return
		}
		second := 0.0
		for _, b := range through[len(through)-10:] {
			second += b / 10
		}
		if r := float64(w.est.Rate()); r > 1.5*second {
			t.Fatalf("the estimate is %.0f, and %.0f get through", r, second)
		}
	})
	w.most, w.share = videoMost, 1
	t.Logf("%d while it wanted little, full after %v", w.est.Rate(), reaches(t, w, full, 2*time.Second))
}

// TestStillScene: an encoder that needs little at the moment but may need all of it
// keeps its rate, at a small price.
func TestStillScene(t *testing.T) {
	w := newWorld(3, fast)
	w.run(5*time.Second, nil)
	w.share = 0.1
	w.run(5*time.Second, nil)
	w.sent = 0
	w.run(time.Minute, func(time.Duration) {
		if r := float64(w.est.Rate()); r < full || r > 1.2*full {
			t.Fatalf("the estimate is %.0f, %.0f are wanted", r, full)
		}
	})
	sent := float64(8*w.sent) / 60
	t.Logf("%.0f bit/s for a scene that needs %.0f", sent, audioBPS+0.1*videoMost)
	if sent > audioBPS+0.1*videoMost+0.06*full {
		t.Errorf("%.0f bit/s were sent for a scene that needs %.0f", sent, audioBPS+0.1*videoMost)
	}
}

// TestOwnLoss: loss that the path has anyway does not keep the rate down.
func TestOwnLoss(t *testing.T) {
	for seed := range uint64(5) {
		w := newWorld(seed, link{bps: 20_000_000, queue: 200 * time.Millisecond, delay: 100 * time.Millisecond, jitter: 20 * time.Millisecond, loss: 0.05})
		w.run(15*time.Second, nil)
		least := 1e9
		w.run(30*time.Second, func(time.Duration) { least = min(least, float64(w.est.Rate())) })
		if least < 500_000 {
			t.Errorf("seed %d: with 5 %% loss the estimate falls to %.0f", seed, least)
		}
		t.Logf("seed %d: at least %.0f", seed, least)
	}
}

// TestOwnLossOfLittle: the same with few packets, where chance makes more of it, and
// a delay that jumps.
func TestOwnLossOfLittle(t *testing.T) {
	for seed := range uint64(5) {
		w := newWorld(seed, fast)
		w.share = 0.5
		w.run(5*time.Second, nil)
		w.link = link{bps: 20_000_000, queue: 200 * time.Millisecond, delay: 100 * time.Millisecond, jitter: 20 * time.Millisecond, loss: 0.05}
		w.run(10*time.Second, nil)
		if w.est.Rate() < 1_000_000 {
			t.Errorf("seed %d: ten seconds with 5 %% loss and the estimate is %d", seed, w.est.Rate())
		}
		t.Logf("seed %d: %d", seed, w.est.Rate())
		w.link = fast
		reaches(t, w, full, 8*time.Second)
	}
}

// TestHeavyLoss: a path that drops what is too much, without a queue, is found too.
func TestHeavyLoss(t *testing.T) {
	w := newWorld(2, link{bps: 400_000, queue: 20 * time.Millisecond, delay: 20 * time.Millisecond})
	w.run(15*time.Second, nil)
	sum, n := 0.0, 0
	w.run(20*time.Second, func(time.Duration) { sum += float64(w.est.Rate()); n++ })
	if mean := sum / float64(n); mean < 250_000 || mean > 560_000 {
		t.Errorf("the mean is %.0f of 400000", mean)
	}
}

// TestOutage: a path that was dead for a while does not begin anew.
func TestOutage(t *testing.T) {
	for _, d := range []time.Duration{time.Second, 5 * time.Second, 20 * time.Second} {
		w := newWorld(4, fast)
		w.run(8*time.Second, nil)
		w.link.dead = true
		w.run(d, nil)
		w.link.dead = false
		t.Logf("%v dead: %d when it comes back, full after %v", d, w.est.Rate(), reaches(t, w, full, 8*time.Second))
	}
}

// TestNonsense: feedback about what was never sent changes nothing and breaks nothing.
func TestNonsense(t *testing.T) {
	e := congestion.New(congestion.Config{Start: 500_000, Min: 50_000, Max: 1_000_000})
	now := time.Unix(1000, 0)
	for i := range 70_000 {
		e.Feedback([]congestion.Arrival{{Seq: uint16(i * 7), Received: i%2 == 0, At: time.Duration(i*i) * time.Millisecond}}, now)
	}
	if e.Rate() != 500_000 {
		t.Errorf("the rate is %d", e.Rate())
	}
	e.Sent(65_535, 1200, now)
	e.Sent(0, 1200, now)
	for range 3 { // again and again, with times that go backwards
		e.Feedback([]congestion.Arrival{{Seq: 65_535, Received: true, At: -time.Hour}, {Seq: 0, Received: true, At: -2 * time.Hour}}, now)
	}
	if r := e.Rate(); r < 50_000 || r > 1_000_000 {
		t.Errorf("the rate is %d", r)
	}
}
