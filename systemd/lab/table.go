package main

import (
	"fmt"
	"strings"
	"time"
)

// result is one row that was played.
type result struct {
	name    string
	figures string // what was measured, also where it was not enough
	err     error
	took    time.Duration
}

// line is the row for people.
func (r result) line() string {
	word, text := "PASS", r.figures
	if r.err != nil {
		word = "FAIL"
		text = strings.TrimPrefix(text+"; "+strings.ReplaceAll(strings.TrimSpace(r.err.Error()), "\n", "\n            "), "; ")
	}
	return fmt.Sprintf("%s %6.1f s  %-34s %s", word, r.took.Seconds(), r.name, text)
}

// ms is a figure: "412 ms".
func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// percentile is the p-th of a hundred of the times, which it sorts.
func percentile(times []time.Duration, p int) time.Duration {
	if len(times) == 0 {
		return 0
	}
	sortTimes(times)
	return times[max(0, (len(times)*p+99)/100-1)]
}
