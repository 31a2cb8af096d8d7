package main

import (
	"fmt"
	"math"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
)

// Of a level meter.
const (
	floor      = -60.0 // dBFS at the bar's left end; the right end is 0
	holdFor    = 2 * time.Second
	silentFor  = 5 * time.Second
	levelEvery = 100 * time.Millisecond
	clipped    = 0.999 // a peak from which on the sound is cut off
)

// silentWords are said where there are only zeros: a room is never that still.
const silentWords = "no sound at all: is it muted?"

// levels holds what a meter shows: the newest level, the loudest peak of the last
// two seconds, and for how long there has been nothing but zeros.
type levels struct {
	now    apitype.Level
	hold   float64
	heldAt time.Time
	heard  time.Time // when something last was not zero, or the first level
}

func (v *levels) add(l apitype.Level) {
	if v.heard.IsZero() || l.Peak > 0 {
		v.heard = l.At
	}
	if l.Peak >= v.hold || l.At.Sub(v.heldAt) > holdFor {
		v.hold, v.heldAt = l.Peak, l.At
	}
	v.now = l
}

// silent tells whether there was nothing but zeros for five seconds.
func (v *levels) silent() bool { return v.now.At.Sub(v.heard) >= silentFor }

// bar draws the meter exactly width characters wide: the loudness as a bar from
// -60 to 0 dBFS with a mark at the held peak, then both in figures.
func (v *levels) bar(width int, blocks bool) string {
	words := " " + v.words(v.now.RMS, v.hold)
	full, empty, mark := "█", "·", "│"
	if !blocks {
		full, empty, mark = "#", "-", "|"
	}
	room := width - len(words) - 2
	if room < 1 {
		return fmt.Sprintf("%-*.*s", width, width, words[1:])
	}
	long, at := place(v.now.RMS, room), place(v.hold, room)-1
	var b strings.Builder
	b.WriteByte('[')
	for i := range room {
		switch {
		case i == at && i >= long:
			b.WriteString(mark)
		case i < long:
			b.WriteString(full)
		default:
			b.WriteString(empty)
		}
	}
	b.WriteByte(']')
	return b.String() + words
}

// words says a level in figures; they are always of the same width.
func (v *levels) words(rms, peak float64) string {
	words := fmt.Sprintf("%s dBFS, peak %s", figure(rms), figure(peak))
	switch {
	case v.silent():
		words = silentWords
	case peak >= clipped:
		words += " too loud"
	}
	return fmt.Sprintf("%-*s", len("-12.3 dBFS, peak -12.3 too loud"), words)
}

// place gives how many of so many cells a level fills.
func place(level float64, cells int) int {
	part := min(max((decibels(level)-floor)/-floor, 0), 1)
	return int(math.Round(part * float64(cells)))
}

// decibels gives a level of 0 to 1 as dBFS, where 1 is 0 and nothing is -Inf.
func decibels(level float64) float64 {
	if level > 0 {
		return 20 * math.Log10(level)
	}
	return math.Inf(-1) // also for what is no number
}

func figure(level float64) string {
	if d := decibels(level); d > -99.9 {
		return fmt.Sprintf("%5.1f", d)
	}
	return " -inf"
}
