package calls

import (
	"strings"
	"testing"

	"kioskd/daemon/e2e/stage"
)

// kept is a series in which every promise is kept.
func kept() *Report {
	r := &Report{}
	for round := range 3 {
		for _, run := range Runs(round) {
			f := Figure{Run: run, P50: 40, P95: 60, Frames: 300, Kiosk: stage.Usage{CPU: 50, PSS: 100}}
			if run.Who == Chromium {
				f.P50, f.P95, f.Kiosk.CPU = 44, 90, 48
			}
			r.Add(f)
		}
	}
	return r
}

func TestPromises(t *testing.T) {
	if got := kept().Promises(); len(got) != 0 {
		t.Fatalf("all is kept, but: %q", got)
	}
	for _, c := range []struct {
		name, want string
		run        Run
		spoil      func(*Figure)
	}{
		{"slower", "p50 45 ms", Run{OneWay, "VP8", Kioskd}, func(f *Figure) { f.P50 = 45 }},
		{"late frames", "p95 81 ms", Run{OneWay, "H264", Kioskd}, func(f *Figure) { f.P95 = 81 }},
		{"dear", "60.0 % of a core", Run{TwoWay, "H264", Kioskd}, func(f *Figure) { f.Kiosk.CPU = 60 }},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := kept()
			for i := range r.figures {
				if r.figures[i].Run == c.run {
					c.spoil(&r.figures[i])
				}
			}
			if got := r.Promises(); len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Errorf("missed %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestReportHasEachCallOnce(t *testing.T) {
	text := kept().String()
	if n := strings.Count(text, "\n"); n != 2+12 {
		t.Errorf("%d lines, want a head of two and 12 calls:\n%s", n, text)
	}
	if !strings.Contains(text, "1.04") {
		t.Errorf("no ratio of 50/48:\n%s", text)
	}
	part := &Report{}
	part.Add(Figure{Run: Run{OneWay, "VP8", Kioskd}})
	if n := strings.Count(part.String(), "\n"); n != 3 {
		t.Errorf("a single call has %d lines:\n%s", n, part)
	}
}

func TestWhoComesFirstTurns(t *testing.T) {
	a, b := Runs(0), Runs(1)
	if len(a) != 12 || len(b) != 12 || a[0].Who == b[0].Who {
		t.Errorf("round 0 begins with %v, round 1 with %v", a[0], b[0])
	}
	if got := Matching(0, "two ways VP8"); len(got) != 2 {
		t.Errorf("matching %v", got)
	}
}
