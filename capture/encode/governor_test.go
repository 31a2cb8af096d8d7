package encode_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"kioskd/capture/encode"
)

// machine runs a governor on a machine where a 720p picture costs so many
// milliseconds, in proportion to its pixels.
type machine struct {
	g    *encode.Governor
	now  time.Time
	w, h int
}

func newMachine(c encode.GovernorConfig) *machine {
	return &machine{g: encode.NewGovernor(c), now: start(), w: c.Width, h: c.Height}
}

// run plays seconds of a 30 fps camera and gives the share of a core spent, the
// pictures encoded a second and the number of steps.
func (m *machine) run(seconds int, ms float64) (share, fps float64, steps int) {
	var spent time.Duration
	n := 0
	for range 30 * seconds {
		m.now = m.now.Add(time.Second / 30)
		if !m.g.Take() {
			continue
		}
		n++
		w, h := m.g.Size(m.w, m.h)
		d := time.Duration(ms * float64(w*h) / (1280 * 720) * float64(time.Millisecond))
		spent += d
		if m.g.Spent(m.now, d) {
			steps++
		}
	}
	return spent.Seconds() / float64(seconds), float64(n) / float64(seconds), steps
}

func config(p encode.Degradation) encode.GovernorConfig {
	return encode.GovernorConfig{Budget: 0.5, Prefer: p, Width: 1280, Height: 720, FPS: 30}
}

// TestGovernorKeepsTheBudget: overload is answered within the windows it takes, in
// the order that is preferred, and undone when it has passed.
func TestGovernorKeepsTheBudget(t *testing.T) {
	for _, c := range []struct {
		prefer encode.Degradation
		ms     float64
		size   string
		fps    float64
	}{
		{encode.Balanced, 10, "1280x720", 30},
		{encode.Balanced, 25, "960x540", 30},
		{encode.Balanced, 40, "960x540", 20},
		{encode.Balanced, 70, "640x360", 20},
		{"", 70, "640x360", 20},
		{encode.MaintainFramerate, 40, "640x360", 30},
		{encode.MaintainFramerate, 200, "320x180", 30},
		{encode.MaintainFramerate, 400, "320x180", 15},
		{encode.MaintainResolution, 40, "1280x720", 10},
		{encode.MaintainResolution, 200, "640x360", 5},
	} {
		t.Run(fmt.Sprintf("%s/%v", c.prefer, c.ms), func(t *testing.T) {
			m := newMachine(config(c.prefer))
			m.run(20, c.ms)
			w, h := m.g.Size(1280, 720)
			share, fps, _ := m.run(5, c.ms)
			if got := fmt.Sprintf("%dx%d", w, h); got != c.size || math.Abs(fps-c.fps) > 0.5 || math.Abs(m.g.FPS()-c.fps) > 0.01 {
				t.Errorf("%s at %.1f/s (FPS says %.1f), want %s at %v/s", got, fps, m.g.FPS(), c.size, c.fps)
			}
			if share > 0.55 && c.ms < 400 {
				t.Errorf("it still costs %.2f of a core", share)
			}
			want := encode.LimitCPU
			if c.ms == 10 {
				want = encode.LimitNone
			}
			if m.g.Reason() != want {
				t.Errorf("reason %s", m.g.Reason())
			}
			m.run(600, 5) // the neighbour has gone
			if w, h := m.g.Size(1280, 720); w != 1280 || h != 720 || m.g.FPS() != 30 || m.g.Reason() != encode.LimitNone {
				t.Errorf("not recovered: %dx%d at %v", w, h, m.g.FPS())
			}
		})
	}
}

// TestGovernorDoesNotFlap: where the larger picture turns out too expensive again
// and again, it is tried less and less often.
func TestGovernorDoesNotFlap(t *testing.T) {
	m := newMachine(config(encode.Balanced))
	steps := 0
	for range 60 { // ten minutes; a smaller picture costs next to nothing, which no model foresees
		for range 10 {
			ms := 25.0
			if w, _ := m.g.Size(1280, 720); w < 1280 {
				ms = 5
			}
			_, _, n := m.run(1, ms)
			steps += n
		}
	}
	if steps < 3 || steps > 20 {
		t.Errorf("%d steps in ten minutes", steps)
	}
	// A load that comes and goes every 20 s.
	m, steps = newMachine(config(encode.Balanced)), 0
	for i := range 30 {
		ms := 8.0
		if i%2 == 0 {
			ms = 25
		}
		_, _, n := m.run(20, ms)
		steps += n
	}
	if steps > 30 {
		t.Errorf("%d steps in ten minutes of a sawtooth", steps)
	}
}

func TestGovernorBounds(t *testing.T) {
	m := newMachine(config(encode.Balanced))
	m.run(120, 5000)
	if w, h := m.g.Size(1280, 720); w < 320 || h < 180 || m.g.FPS() < 5 || w%2+h%2 != 0 {
		t.Errorf("%dx%d at %v", w, h, m.g.FPS())
	}
	m = newMachine(encode.GovernorConfig{Width: 1280, Height: 720}) // no budget
	if m.run(60, 500); m.g.Reason() != encode.LimitNone {
		t.Error("limited without a budget")
	}
	m = newMachine(config(encode.Balanced))
	m.run(1, 100)
	m.now = m.now.Add(time.Hour) // video was off: nothing is known of now
	if _, _, n := m.run(1, 100); n != 0 {
		t.Error("a step on what was an hour ago")
	}
}
