package calls

import (
	"fmt"
	"slices"
	"strings"

	"kioskd/daemon/e2e/stage"
)

// Promised.
const (
	oneWayP95 = 80.0 // ms, without sound
	wholeKR   = 1.15 // cost of the whole kiosk to Chromium's alone
)

// Report gathers the figures of several rounds. The zero value is ready.
type Report struct{ figures []Figure }

// Add takes one call's.
func (r *Report) Add(f Figure) { r.figures = append(r.figures, f) }

// Median of a run's calls, field by field.
func (r *Report) Median(run Run) (Figure, bool) {
	var of []Figure
	for _, f := range r.figures {
		if f.Run == run {
			of = append(of, f)
		}
	}
	if len(of) == 0 {
		return Figure{}, false
	}
	mid := func(get func(Figure) float64) float64 {
		v := make([]float64, len(of))
		for i, f := range of {
			v[i] = get(f)
		}
		slices.Sort(v)
		return (v[(len(v)-1)/2] + v[len(v)/2]) / 2
	}
	return Figure{
		Run: run, P50: mid(func(f Figure) float64 { return f.P50 }), P95: mid(func(f Figure) float64 { return f.P95 }),
		Frames: int(mid(func(f Figure) float64 { return float64(f.Frames) })), Lost: int(mid(func(f Figure) float64 { return float64(f.Lost) })),
		Kbps: mid(func(f Figure) float64 { return f.Kbps }), Video: mid(func(f Figure) float64 { return f.Video }),
		Audio: mid(func(f Figure) float64 { return f.Audio }),
		Kiosk: stage.Usage{
			CPU: mid(func(f Figure) float64 { return f.Kiosk.CPU }), RSS: mid(func(f Figure) float64 { return f.Kiosk.RSS }),
			PSS: mid(func(f Figure) float64 { return f.Kiosk.PSS }),
		},
	}, true
}

// String is the table for people.
func (r *Report) String() string {
	var b strings.Builder
	b.WriteString("whole calls: MJPEG camera, 720p30, 1.5 Mbit/s, webcam scene, viewer in Chromium; medians\n")
	fmt.Fprintf(&b, "%-22s %-5s %-9s %7s %7s %7s %5s %7s %9s %9s %9s %7s %6s\n",
		"call", "codec", "kiosk", "p50 ms", "p95 ms", "frames", "lost", "kbit/s", "video buf", "sound buf", "CPU core%", "PSS MiB", "ratio")
	for _, run := range Runs(0) {
		f, ok := r.Median(run)
		if !ok {
			continue
		}
		ratio := 1.0
		if base, ok := r.Median(Run{run.Kind, run.Codec, Chromium}); ok {
			ratio = f.Kiosk.CPU / base.Kiosk.CPU
		}
		sound := "-"
		if f.Audio > 0 {
			sound = fmt.Sprintf("%.0f ms", f.Audio)
		}
		fmt.Fprintf(&b, "%-22s %-5s %-9s %7.0f %7.0f %7d %5d %7.0f %6.0f ms %9s %9.1f %7.0f %6.2f\n",
			run.Kind, run.Codec, run.Who, f.P50, f.P95, f.Frames, f.Lost, f.Kbps, f.Video, sound, f.Kiosk.CPU, f.Kiosk.PSS, ratio)
	}
	return b.String()
}

// Promises lists what is missed; empty: all is kept.
func (r *Report) Promises() []string {
	var out []string
	for _, run := range Runs(0) {
		f, ok := r.Median(run)
		base, both := r.Median(Run{run.Kind, run.Codec, Chromium})
		if !ok || !both || run.Who != Kioskd {
			continue
		}
		switch run.Kind {
		case OneWay:
			if f.P50 > base.P50 {
				out = append(out, fmt.Sprintf("%s: p50 %.0f ms, Chromium has %.0f", run, f.P50, base.P50))
			}
			if f.P95 > oneWayP95 {
				out = append(out, fmt.Sprintf("%s: p95 %.0f ms, promised %.0f", run, f.P95, oneWayP95))
			}
		case TwoWay:
			if f.Kiosk.CPU > wholeKR*base.Kiosk.CPU {
				out = append(out, fmt.Sprintf("%s: %.1f %% of a core, Chromium alone %.1f", run, f.Kiosk.CPU, base.Kiosk.CPU))
			}
		}
	}
	return out
}
