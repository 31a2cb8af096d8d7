package ladder_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/call/ladder"
)

// tick is how often the room lets the ladder look.
const tick = 200 * time.Millisecond

// world is a call as the ladder sees it, with a clock of its own.
type world struct {
	l     ladder.Ladder
	start time.Time
	now   time.Time
	f     ladder.Facts
	talks map[string]string // whose counters grow: any of h(eard), m(edia), t(aken)
	said  []string
}

// newWorld is a call that runs: everybody is heard, and hears us.
func newWorld(ids ...string) *world {
	start := time.Unix(1000, 0)
	w := &world{start: start, now: start, f: ladder.Facts{Link: true, Signalling: true, Joins: 1}, talks: map[string]string{}}
	for _, id := range ids {
		w.f.Peers = append(w.f.Peers, ladder.Peer{ID: id, Connection: 1, Path: ladder.Up})
		w.talks[id] = "hmt"
	}
	w.run(20 * time.Second)
	w.start, w.said = w.now, nil
	return w
}

func (w *world) peer(id string) *ladder.Peer {
	return &w.f.Peers[slices.IndexFunc(w.f.Peers, func(p ladder.Peer) bool { return p.ID == id })]
}

// run lets d pass, with a look at each tick.
func (w *world) run(d time.Duration) {
	for end := w.now.Add(d); w.now.Before(end); {
		w.now = w.now.Add(tick)
		for i := range w.f.Peers {
			p := &w.f.Peers[i]
			talk := w.talks[p.ID]
			if p.Path != ladder.Up {
				talk = ""
			}
			p.Heard += uint64(strings.Count(talk, "h"))
			p.Media += uint64(strings.Count(talk, "m"))
			p.Taken += uint64(strings.Count(talk, "t"))
		}
		w.look()
	}
}

func (w *world) look() {
	for _, a := range w.l.Look(w.now, w.f) {
		name := strings.TrimPrefix(fmt.Sprintf("%T", a), "ladder.")
		if text := strings.Trim(fmt.Sprint(a), "{}"); text != "" {
			name += " " + text
		}
		w.said = append(w.said, fmt.Sprintf("%.1f %s", w.now.Sub(w.start).Seconds(), name))
	}
}

// wants compares what was said since the last time with a list.
func (w *world) wants(t *testing.T, want ...string) {
	t.Helper()
	if !slices.Equal(w.said, want) {
		t.Errorf("the ladder said\n  %s\nwant\n  %s", strings.Join(w.said, "\n  "), strings.Join(want, "\n  "))
	}
	w.said = nil
}

func TestRungs(t *testing.T) {
	silent := func(w *world) { w.talks["a"] = "" }
	for _, c := range []struct {
		name string
		play func(w *world)
		want []string
	}{
		{"a call that runs", func(w *world) { w.run(time.Hour) }, nil},
		{"packets dropped for 1 s", func(w *world) {
			silent(w)
			w.run(time.Second)
			w.talks["a"] = "hmt"
			w.run(time.Minute)
		}, nil},
		{"dropped for 5 s, the signalling too: what is there heals by itself", func(w *world) {
			silent(w)
			w.f.Signalling = false
			w.run(5 * time.Second)
			w.talks["a"] = "hmt"
			w.run(time.Minute)
		}, []string{"1.2 Lost a", "5.6 Back a"}},
		{"the same, before anybody noticed that the signalling is gone, and a late word of the network", func(w *world) {
			silent(w)
			w.f.Quiet = tick
			w.run(tick)
			w.f.Moves++
			for range 6 {
				w.f.Quiet += tick
				w.run(tick)
			}
			w.f.Quiet = 0
			w.talks["a"] = "hmt"
			w.run(time.Minute)
		}, []string{"0.4 Hurry", "1.2 Lost a", "2.0 Back a"}},
		{"silence with the signalling there: each rung in turn", func(w *world) {
			silent(w)
			w.run(19 * time.Second)
		}, []string{"1.2 Lost a", "3.0 RestartICE a", "6.0 RestartICE a", "9.0 RestartICE a", "10.0 JoinAgain", "18.0 Renew a"}},
		{"one restart at a time", func(w *world) {
			silent(w)
			w.run(4 * time.Second)
			w.peer("a").Waiting = true
			w.run(5 * time.Second)
			w.peer("a").Waiting = false
			w.run(tick)
		}, []string{"1.2 Lost a", "3.0 RestartICE a", "9.2 RestartICE a"}},
		{"the signalling comes back: a restart at once", func(w *world) {
			silent(w)
			w.f.Signalling = false
			w.run(6 * time.Second)
			w.f.Signalling = true
			w.f.Joins++
			w.run(time.Second)
		}, []string{"1.2 Lost a", "6.2 RestartICE a"}},
		{"back after 20 s: the old connection is given up, and nobody joins twice", func(w *world) {
			silent(w)
			w.f.Signalling = false
			w.run(20 * time.Second)
			w.f.Signalling = true
			w.f.Joins++
			w.run(time.Second)
		}, []string{"1.2 Lost a", "20.2 Renew a"}},
		{"the link goes and comes", func(w *world) {
			silent(w)
			w.f.Link = false
			w.f.Moves++
			w.run(4 * time.Second)
			w.f.Link = true
			w.f.Moves++
			w.run(600 * time.Millisecond)
		}, []string{"0.2 Hurry", "0.2 Lost a", "4.2 Hurry", "4.6 RestartICE a"}},
		{"the link comes back, and the path with it", func(w *world) {
			silent(w)
			w.f.Link = false
			w.f.Moves++
			w.run(time.Second)
			w.f.Link = true
			w.f.Moves++
			w.talks["a"] = "hmt"
			w.run(20 * time.Second)
		}, []string{"0.2 Hurry", "0.2 Lost a", "1.2 Hurry", "1.6 Back a"}},
		{"another link moves, and the path does not mind", func(w *world) {
			w.f.Moves++
			w.run(time.Minute)
		}, []string{"0.2 Hurry"}},
		{"the address is gone: no waiting for silence", func(w *world) {
			silent(w)
			w.f.Moves++
			w.peer("a").Stranded = true
			w.run(tick)
			w.peer("a").Stranded = false
			w.peer("a").Waiting = true
			w.run(tick)
			w.peer("a").Waiting = false
			w.talks["a"] = "hmt"
			w.run(20 * time.Second)
		}, []string{"0.2 Hurry", "0.2 RestartICE a"}},
		{"the far side closed the connection", func(w *world) {
			w.peer("a").Path = ladder.Over
			silent(w)
			w.run(tick)
			w.peer("a").Path = ladder.Offered
			w.peer("a").Connection++
			w.run(tick)
			w.peer("a").Path = ladder.Up
			w.talks["a"] = "hmt"
			w.run(20 * time.Second)
		}, []string{"0.2 Lost a", "0.2 Renew a", "0.6 Back a"}},
		{"only pongs come: that is a sign of life, but no media", func(w *world) {
			w.talks["a"] = "ht"
			w.run(9 * time.Second)
		}, []string{"3.0 OneWay a from_us", "8.0 Renew a"}},
		{"nothing of ours arrives any more", func(w *world) {
			w.talks["a"] = "hm"
			w.run(12 * time.Second)
			w.talks["a"] = "hmt"
			w.run(tick)
		}, []string{"8.0 OneWay a from_them", "9.6 Renew a", "12.2 OneWay a both"}},
		{"one of two is silent: the other's call is left alone", func(w *world) {
			w.f.Peers = append(w.f.Peers, ladder.Peer{ID: "b", Connection: 1, Path: ladder.Up})
			w.talks["b"] = "hmt"
			w.run(tick)
			w.talks["a"] = ""
			w.run(11 * time.Second)
		}, []string{"1.4 Lost a", "3.2 RestartICE a", "6.2 RestartICE a", "9.2 RestartICE a", "10.2 Renew a"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := newWorld("a")
			c.play(w)
			w.wants(t, c.want...)
		})
	}
}

// A far side that never says what arrives is told of and left alone.
func TestNoReportsEver(t *testing.T) {
	w := newWorld()
	w.f.Peers = []ladder.Peer{{ID: "a", Connection: 1, Path: ladder.Up}}
	w.talks["a"] = "hm"
	w.run(time.Hour)
	w.wants(t, "8.2 OneWay a from_them")
}

// A path that comes and goes is told as gone until it stays: at a flicker of a
// second the screen must not blink.
func TestNoFlapping(t *testing.T) {
	w := newWorld("a")
	w.f.Signalling = false
	for range 60 {
		w.talks["a"] = ""
		w.run(1400 * time.Millisecond)
		w.talks["a"] = "hmt"
		w.run(600 * time.Millisecond)
	}
	if n := len(w.said); n > 8 {
		t.Errorf("told %d changes in 2 minutes of flicker: %v", n, w.said)
	}
	w.said = nil
	w.run(4 * time.Second)
	if n := len(w.said); n > 1 || n == 1 && !strings.HasSuffix(w.said[0], "Back a") {
		t.Errorf("after the flicker: %v", w.said)
	}
	// Later a loss is over as quickly as the first.
	w.run(time.Minute)
	w.start, w.said = w.now, nil
	w.talks["a"] = ""
	w.run(2 * time.Second)
	w.talks["a"] = "hmt"
	w.run(2 * time.Second)
	w.wants(t, "1.2 Lost a", "2.6 Back a")
}

// Who did not look has heard nobody: a machine that slept, or was too busy, is no
// loss of the others.
func TestLateLook(t *testing.T) {
	w := newWorld("a", "b")
	w.now = w.now.Add(time.Hour)
	w.look()
	w.run(10 * time.Second)
	w.wants(t)
	w.talks["a"] = ""
	w.run(time.Second)
	w.now = w.now.Add(30 * time.Second)
	w.look()
	w.run(tick)
	if len(w.said) == 0 || !strings.HasSuffix(w.said[0], "Lost a") || strings.Contains(strings.Join(w.said, ""), "b") {
		t.Errorf("said %v", w.said)
	}
}

// TestLose: a loss that somebody else decided is over like any other.
func TestLose(t *testing.T) {
	w := newWorld("a")
	w.l.Lose(w.now, "nobody") // is not in the room, and forgotten
	w.l.Lose(w.now, "a")
	w.run(20 * time.Second)
	w.wants(t, "0.6 Back a")
}

// TestWhoLeftIsForgotten: who comes again begins anew.
func TestWhoLeftIsForgotten(t *testing.T) {
	w := newWorld("a")
	w.talks["a"] = ""
	w.run(2 * time.Second)
	left := w.f.Peers
	w.f.Peers = nil
	w.run(time.Minute)
	w.wants(t, "1.2 Lost a")
	w.f.Peers = left
	w.talks["a"] = "hmt"
	w.run(time.Minute)
	w.wants(t)
}

// Whatever happens: nobody is told lost or back twice in a row, nothing is repaired
// without link and signalling, no restart while one waits, no more than one repair
// of a participant at a time, and what is done is bounded.
func TestRandomWorlds(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 7))
		w := newWorld("a", "b")
		lost := map[string]bool{}
		repairs := 0
		for range 2000 {
			w.shake(r)
			w.run(tick)
			done := map[string]bool{}
			for _, a := range w.said {
				f := strings.Fields(a)[1:]
				switch f[0] {
				case "Lost", "Back":
					if lost[f[1]] == (f[0] == "Lost") {
						t.Fatalf("seed %d: %s twice", seed, a)
					}
					lost[f[1]] = f[0] == "Lost"
				case "RestartICE", "Renew", "JoinAgain":
					who := append(f, "all")[1]
					if !w.f.Link || !w.f.Signalling || done[who] || f[0] == "RestartICE" && w.peer(who).Waiting {
						t.Fatalf("seed %d: %s in %+v, all of %v", seed, a, w.f, w.said)
					}
					done[who] = true
					repairs++
					w.repaired(f[0], who)
				}
			}
			w.said = nil
		}
		if repairs > 400 { // 400 s of a world that never rests
			t.Errorf("seed %d: %d repairs in 400 s", seed, repairs)
		}
	}
}

// shake changes one thing now and then.
func (w *world) shake(r *rand.Rand) {
	p := &w.f.Peers[r.IntN(len(w.f.Peers))]
	switch r.IntN(30) {
	case 0:
		w.talks[p.ID] = []string{"", "h", "hm", "ht", "hmt"}[r.IntN(5)]
	case 1:
		w.f.Link = r.IntN(4) > 0
		w.f.Moves++
	case 2:
		w.f.Signalling = !w.f.Signalling
		if w.f.Signalling {
			w.f.Joins++
		}
	case 3:
		p.Waiting = r.IntN(2) == 0
	case 4:
		p.Stranded = r.IntN(4) == 0
	case 5:
		p.Path = []ladder.Path{ladder.Offered, ladder.Up, ladder.Up, ladder.Over}[r.IntN(4)]
	}
}

// repaired does what the room would.
func (w *world) repaired(what, who string) {
	for i := range w.f.Peers {
		p := &w.f.Peers[i]
		if what == "RestartICE" || what == "Renew" && p.ID != who {
			continue
		}
		p.Connection++
		p.Path, p.Waiting, p.Stranded = ladder.Offered, false, false
	}
}
