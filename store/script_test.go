package store

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
)

// scriptEntries bounds the journal of the scripts.
const scriptEntries = 30

// step is one acknowledged action of the script, and what the store holds after it.
type step struct {
	name    string
	do      func(s *Store) error
	session string   // id and model are the same
	reports []string // oldest first
	journal string   // of the newest entry
	face    string   // bound to the role
}

// wordsOf are a report's.
func wordsOf(report string) []byte { return bytes.Repeat([]byte("words of "+report+" "), 500) }

func save(id string, final bool, report string) func(*Store) error {
	return func(s *Store) error {
		v := Save{ID: id, Model: []byte(id), Final: final, AuditOnly: id == "" && !final, Journal: []Entry{{Text: id + "+" + report}}}
		if report != "" {
			v.Report = &Report{report, wordsOf(report)}
		}
		return s.Save(v)
	}
}

func drop(id string) func(*Store) error {
	return func(s *Store) error { return s.DropReport(id, Entry{Text: "-" + id}) }
}

func bind(id string, controls int32) func(*Store) error {
	return func(s *Store) error {
		b := Bindings{Roles: map[string]string{"face": id}, Controls: map[string]map[string]int32{}, Names: []byte(id)}
		for n := range controls {
			b.Controls[fmt.Sprint(id, n)] = map[string]int32{id: n}
		}
		return s.SaveBindings(b, Entry{Text: id})
	}
}

// script is the short one.
func script() []step {
	return []step{
		{"open", func(*Store) error { return nil }, "", nil, "", ""},
		{"begin", save("one", false, ""), "one", nil, "one+", ""},
		{"a report with the session", save("one", false, "a"), "one", []string{"a"}, "one+a", ""},
		{"a report alone", save("", false, "b"), "one", []string{"a", "b"}, "+b", ""},
		{"the end, with a report", save("", true, "c"), "", []string{"a", "b", "c"}, "+c", ""},
		{"sent", drop("a"), "", []string{"b", "c"}, "-a", ""},
		{"another session", save("two", false, ""), "two", []string{"b", "c"}, "two+", ""},
		{"sent in a session", drop("c"), "two", []string{"b"}, "-c", ""},
		{"another takes its place", save("three", false, "d"), "three", []string{"b", "d"}, "three+d", ""},
		{"the end", save("", true, ""), "", []string{"b", "d"}, "+", ""},
		{"a camera is bound", bind("cam-a", 1), "", []string{"b", "d"}, "cam-a", "cam-a"},
		{"another takes its place", bind("cam-b", 40), "", []string{"b", "d"}, "cam-b", "cam-b"},
	}
}

// steps gives the script that a child plays: "" the short one by hand, SEED:STEPS a
// long one at random.
func steps(spec string) []step {
	var seed uint64
	var n int
	if _, err := fmt.Sscanf(spec, "%d:%d", &seed, &n); err != nil {
		return script()
	}
	rnd := rand.New(rand.NewPCG(seed, 1))
	list := script()[:1]
	for i := range n {
		last := list[len(list)-1]
		last.reports = slices.Clone(last.reports)
		list = append(list, randomStep(rnd, i, last))
	}
	return list
}

// randomStep makes up the i-th step after the one before it.
func randomStep(rnd *rand.Rand, i int, next step) step {
	id := fmt.Sprint("s", i/8)
	if rnd.IntN(8) == 0 {
		id = fmt.Sprint("other", i)
	}
	report := ""
	if rnd.IntN(3) == 0 && len(next.reports) < 6 {
		report = fmt.Sprint("r", i)
		next.reports = append(next.reports, report)
	}
	next.name = fmt.Sprint("step ", i)
	switch n := rnd.IntN(10); {
	case n < 4:
		next.session, next.journal, next.do = id, id+"+"+report, save(id, false, report)
	case n < 5:
		next.session, next.journal, next.do = "", "+"+report, save("", true, report)
	case n < 7 || report != "":
		next.journal, next.do = "+"+report, save("", false, report)
	case n < 9 && len(next.reports) > 0:
		at := rnd.IntN(len(next.reports))
		gone := next.reports[at]
		next.reports = slices.Delete(next.reports, at, at+1)
		next.journal, next.do = "-"+gone, drop(gone)
	default:
		face := fmt.Sprint("cam", i)
		next.face, next.journal, next.do = face, face, bind(face, int32(rnd.IntN(40)))
	}
	return next
}

// TestStepsAreTheSame: a script's name says it all, for the child plays it and the
// parent judges it.
func TestStepsAreTheSame(t *testing.T) {
	words := func(list []step) (s string) {
		for _, step := range list {
			s += strings.Join([]string{step.name, step.session, step.journal, step.face, fmt.Sprint(step.reports)}, "|") + "\n"
		}
		return s
	}
	if a, b := words(steps("7:50")), words(steps("7:50")); a != b || len(steps("7:50")) != 51 || a == words(steps("8:50")) {
		t.Errorf("two scripts of one name differ, or two names give one script:\n%s\n%s", a, b)
	}
}
