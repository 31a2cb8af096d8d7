// Package promise is what systemd/lab and systemd/vm print: a line for each promise that was
// played, with its figures, and what systemctl says of a unit. Nothing that ships imports it.
package promise

import (
	"fmt"
	"strings"
	"time"
)

// Result is one row that was played.
type Result struct {
	Name    string
	Figures string // what was measured, also where it was not enough
	Err     error
	Took    time.Duration
}

// Line is the row for people.
func (r Result) Line() string {
	word, text := "PASS", r.Figures
	if r.Err != nil {
		word = "FAIL"
		text = strings.TrimPrefix(text+"; "+strings.ReplaceAll(strings.TrimSpace(r.Err.Error()), "\n", "\n            "), "; ")
	}
	return fmt.Sprintf("%s %6.1f s  %-34s %s", word, r.Took.Seconds(), r.Name, text)
}

// Table is a whole run. Rows after one that failed are played all the same.
type Table []Result

// String is the table, with the sum last.
func (t Table) String() string {
	var b strings.Builder
	for _, r := range t {
		b.WriteString(r.Line() + "\n")
	}
	b.WriteString(t.Sum() + "\n")
	return b.String()
}

// Sum is the last line.
func (t Table) Sum() string { return fmt.Sprintf("%d rows, %d failed", len(t), t.Failed()) }

// Failed counts the rows that did.
func (t Table) Failed() int {
	n := 0
	for _, r := range t {
		if r.Err != nil {
			n++
		}
	}
	return n
}

// MS is a figure: "412 ms".
func MS(d time.Duration) string { return fmt.Sprintf("%d ms", d.Milliseconds()) }

// Fields reads lines NAME=VALUE, as systemctl show prints them.
func Fields(text string) map[string]string {
	out := map[string]string{}
	for line := range strings.Lines(text) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			out[name] = value
		}
	}
	return out
}
