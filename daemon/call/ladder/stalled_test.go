package ladder_test

import (
	"strings"
	"testing"
	"time"

	"kioskd/daemon/call/ladder"
)

// A far side that joins and never answers, and one that answers and sends nothing,
// are each given up within 10 s, and not without end at that pace.
func TestStalledPeers(t *testing.T) {
	for name, path := range map[string]ladder.Path{"no answer": ladder.Offered, "no media": ladder.Up, "no media any more": ladder.Up} {
		t.Run(name, func(t *testing.T) {
			w := newWorld()
			if name == "no media any more" {
				w = newWorld("a")
			}
			w.f.Peers = []ladder.Peer{{ID: "a", Connection: 2, Path: path}}
			w.talks["a"] = "ht"
			renewals, oneWay := 0, 0
			for range 5 * 60 * 5 {
				w.run(tick)
				for _, s := range w.said {
					if strings.HasSuffix(s, "Renew a") {
						if renewals++; renewals == 1 && w.now.Sub(w.start) > 10*time.Second {
							t.Errorf("left at %s", s)
						}
						w.peer("a").Connection++
						w.l.Lose(w.now, "a") // the room gave up the old one
					}
					if strings.HasSuffix(s, "OneWay a from_us") {
						oneWay++
					}
					if strings.Contains(s, "Lost") || strings.Contains(s, "JoinAgain") {
						t.Errorf("said %s", s)
					}
				}
				w.said = nil
			}
			if renewals < 4 || renewals > 9 {
				t.Errorf("made anew %d times in 5 minutes", renewals)
			}
			if path == ladder.Up && oneWay < renewals {
				t.Errorf("told %d times that nothing comes, of %d connections", oneWay, renewals)
			}
		})
	}
}
