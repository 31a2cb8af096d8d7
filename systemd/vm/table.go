package main

import (
	"fmt"
	"strings"
	"time"
)

// result is one row of the table.
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
	return fmt.Sprintf("%s %6.1f s  %-28s %s", word, r.took.Seconds(), r.name, text)
}

// table is a whole run. Rows after one that failed are played all the same.
type table []result

// String is the table, with the sum last.
func (t table) String() string {
	var b strings.Builder
	for _, r := range t {
		b.WriteString(r.line() + "\n")
	}
	fmt.Fprintf(&b, "%d rows, %d failed\n", len(t), t.failed())
	return b.String()
}

func (t table) failed() int {
	n := 0
	for _, r := range t {
		if r.err != nil {
			n++
		}
	}
	return n
}

// ms is a figure: "412 ms".
func ms(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// limit is a promise's figure, and what an emulated processor is given for it.
type limit struct{ promised, allowed time.Duration }

// of sets a measured time beside it: "after 706 ms (promised 1000, allowed here 4000)".
func (l limit) of(d time.Duration) string {
	return fmt.Sprintf("after %s (promised %d, allowed here %d)", ms(d), l.promised.Milliseconds(), l.allowed.Milliseconds())
}

// fields reads lines NAME=VALUE, as systemctl show prints them.
func fields(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[name] = value
		}
	}
	return out
}
