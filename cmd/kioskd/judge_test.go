package main_test

import (
	"testing"

	"kioskd/daemon/api/apitype"
)

// judgeSees gives the ledger one fault after the other.
func judgeSees(t *testing.T) {
	entries := func(texts ...string) (list []apitype.AuditEntry) {
		for i, text := range texts {
			list = append(list, apitype.AuditEntry{Number: uint64(i + 1), Kind: "audit", Text: text + " from=x to=x by: uid=0"})
		}
		return list
	}
	mute := &ask{name: "mute", then: func(s state) state { s.Muted = !s.Muted; return s }}
	open, muted := state{Appointment: "a"}, state{Appointment: "a", Muted: true}
	for _, c := range []struct {
		name  string
		l     ledger
		now   state
		audit []apitype.AuditEntry
		good  bool
	}{
		{"all there", ledger{state: open, answers: 1}, open, entries("open done"), true},
		{"state lost", ledger{state: open, answers: 1}, state{}, entries("open done"), false},
		{"entry lost", ledger{state: open, answers: 1}, open, nil, false},
		{"an entry too many", ledger{state: open, answers: 1}, open, entries("open done", "mute done"), false},
		{"unanswered and not done", ledger{state: open, answers: 1, pending: mute}, open, entries("open done"), true},
		{"unanswered and done", ledger{state: open, answers: 1, pending: mute}, muted, entries("open done", "mute done"), true},
		{"unanswered and refused", ledger{state: open, answers: 1, pending: mute}, open, entries("open done", "mute refused=busy"), true},
		{"half applied: no entry", ledger{state: open, answers: 1, pending: mute}, muted, entries("open done"), false},
		{"half applied: no effect", ledger{state: open, answers: 1, pending: mute}, open, entries("open done", "mute done"), false},
		{"something else was done", ledger{state: open, answers: 1, pending: mute}, muted, entries("open done", "chat done"), false},
		{"done and repeated", ledger{state: muted, pending: mute, applied: true}, muted, entries("mute repeated"), true},
		{"done twice", ledger{state: muted, pending: mute, applied: true}, open, entries("mute done"), false},
	} {
		if err := c.l.judge(c.now, c.audit); (err == nil) != c.good {
			t.Errorf("%s: the ledger says %v", c.name, err)
		}
	}
}
