// Package table gathers what the contenders cost, prints it with ratios and says
// which promise is missed. Imported by the bench only.
package table

import (
	"fmt"
	"math"
	"slices"
	"strings"
)

// Entry is one run of one contender.
type Entry struct {
	Row, Name    string
	Milliseconds float64 // of processor time a frame
	Frames       int
	PSNR         float64 // dB
	Kbps         float64
	MiB          float64 // resident at most
	Allocs       float64 // of the Go heap a frame; negative: not a Go program
}

// Names of the contenders that promises speak of.
const (
	Ours         = "kioskd"
	Again        = "kioskd again"
	MediaDevices = "mediadevices"
)

// Promised.
const (
	psnrWithin    = 0.3 // dB: equal quality
	overLibrary   = 4.0 // mediadevices costs so many times ours with MJPEG and VP8
	leastSpreadOK = 0.02
	sameRate      = 0.1  // bit rates that far apart are no equal work
	sameFrames    = 0.05 // and so many frames left out
)

// Table is the whole run. The zero value is ready.
type Table struct{ entries []Entry }

// Add takes a run.
func (t *Table) Add(e Entry) { t.entries = append(t.entries, e) }

// Median of a contender's runs in a row, field by field.
func (t *Table) Median(row, name string) (Entry, bool) {
	var of []Entry
	for _, e := range t.entries {
		if e.Row == row && e.Name == name {
			of = append(of, e)
		}
	}
	if len(of) == 0 {
		return Entry{}, false
	}
	mid := func(get func(Entry) float64) float64 {
		var v []float64
		for _, e := range of {
			v = append(v, get(e))
		}
		slices.Sort(v)
		if n := len(v); n%2 == 0 {
			return (v[n/2-1] + v[n/2]) / 2
		}
		return v[len(v)/2]
	}
	return Entry{
		Row: row, Name: name, Milliseconds: mid(func(e Entry) float64 { return e.Milliseconds }),
		Frames: int(mid(func(e Entry) float64 { return float64(e.Frames) })), PSNR: mid(func(e Entry) float64 { return e.PSNR }),
		Kbps: mid(func(e Entry) float64 { return e.Kbps }), MiB: mid(func(e Entry) float64 { return e.MiB }),
		Allocs: mid(func(e Entry) float64 { return e.Allocs }),
	}, true
}

// Spread of a row is how far our own runs lie apart, as a share of the least.
func (t *Table) Spread(row string) float64 {
	lo, hi := 0.0, 0.0
	for _, e := range t.entries {
		if e.Row != row || e.Name != Ours && e.Name != Again {
			continue
		}
		if lo == 0 || e.Milliseconds < lo {
			lo = e.Milliseconds
		}
		hi = max(hi, e.Milliseconds)
	}
	if lo == 0 {
		return 0
	}
	return hi/lo - 1
}

// each calls f for every row and contender, in the order they came.
func (t *Table) each(f func(row string, names []string)) {
	var rows []string
	names := map[string][]string{}
	for _, e := range t.entries {
		if !slices.Contains(rows, e.Row) {
			rows = append(rows, e.Row)
		}
		if !slices.Contains(names[e.Row], e.Name) {
			names[e.Row] = append(names[e.Row], e.Name)
		}
	}
	for _, r := range rows {
		slices.SortStableFunc(names[r], func(a, b string) int { return order(a) - order(b) })
		f(r, names[r])
	}
}

func order(name string) int {
	if i := slices.Index([]string{Ours, Again, MediaDevices}, name); i >= 0 {
		return i
	}
	return 9
}

// String is the table for people.
func (t *Table) String() string {
	var b strings.Builder
	b.WriteString("720p30, 1.5 Mbit/s, webcam scene; medians\n")
	fmt.Fprintf(&b, "%-10s %-22s %9s %7s %8s %7s %8s %6s %9s\n", "camera", "who", "CPU ms/f", "ratio", "PSNR dB", "kbit/s", "frames", "MiB", "allocs/f")
	t.each(func(row string, names []string) {
		own, _ := t.Median(row, Ours)
		for _, n := range names {
			e, _ := t.Median(row, n)
			allocs := "-"
			if e.Allocs >= 0 {
				allocs = fmt.Sprintf("%.1f", e.Allocs)
			}
			mark := " "
			if !equalWork(own, e) {
				mark = "*"
			}
			fmt.Fprintf(&b, "%-10s %-22s %9.2f %7.2f %7.2f%s %7.0f %8d %6.0f %9s\n",
				row, n, e.Milliseconds, e.Milliseconds/own.Milliseconds, e.PSNR, mark, e.Kbps, e.Frames, e.MiB, allocs)
		}
		fmt.Fprintf(&b, "%-10s %-22s %8.1f%%\n", row, "(spread of our own)", 100*t.Spread(row))
	})
	b.WriteString("* another bit rate, or frames left out: its PSNR is not to be compared\n")
	return b.String()
}

// equalWork tells whether a contender made as much of the camera as we did.
func equalWork(own, e Entry) bool {
	return math.Abs(e.Kbps-own.Kbps) <= sameRate*own.Kbps && float64(e.Frames) >= (1-sameFrames)*float64(own.Frames)
}

// Promises lists what is missed; empty: all is kept.
func (t *Table) Promises() []string {
	var out []string
	t.each(func(row string, names []string) {
		own, ok := t.Median(row, Ours)
		if !ok {
			return
		}
		spread := max(t.Spread(row), leastSpreadOK)
		for _, n := range names {
			if n == Ours || n == Again {
				continue
			}
			e, _ := t.Median(row, n)
			if own.Milliseconds > e.Milliseconds*(1+spread) {
				out = append(out, fmt.Sprintf("%s: %.2f ms a frame, %s takes %.2f", row, own.Milliseconds, n, e.Milliseconds))
			}
			if equalWork(own, e) && own.PSNR < e.PSNR-psnrWithin {
				out = append(out, fmt.Sprintf("%s: %.2f dB, %s has %.2f", row, own.PSNR, n, e.PSNR))
			}
			if n == MediaDevices && row == "MJPG VP8" && e.Milliseconds < overLibrary*own.Milliseconds {
				out = append(out, fmt.Sprintf("%s: %s costs %.2f times ours, promised %.0f", row, n, e.Milliseconds/own.Milliseconds, overLibrary))
			}
		}
	})
	return out
}
