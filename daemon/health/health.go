// Package health keeps the conditions: what is wrong with the kiosk right now,
// since when, how badly and what to do about it. It owns the list and its
// bound. The words come from whoever sets a condition; a condition never
// carries patient data.
//
// Who may import it: daemon and those of its parts that find something wrong.
// Imports: standard library and daemon/api/apitype.
package health

import (
	"cmp"
	"slices"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
)

// MaxConditions bounds the list. There is one code a kind of trouble, so a
// full list means a code made of something unbounded: the caller is wrong.
const MaxConditions = 64

// Set is a set of conditions by code. The zero value is not ready: use New.
// All methods are safe for concurrent use and never wait for a watcher that
// calls back into the Set.
type Set struct {
	mu         sync.Mutex
	conditions map[string]apitype.Condition
	watchers   map[int]func()
	nextID     int
	refused    uint64
}

// New gives an empty set.
func New() *Set {
	return &Set{conditions: map[string]apitype.Condition{}, watchers: map[int]func(){}}
}

// Set makes a condition true. Since is the time of the first Set after the
// last Clear, so setting it again only brings new words. It tells whether the
// condition is in the list: false means that the list is full (see Refused).
// An unknown severity counts as an error, so that it cannot hide.
func (s *Set) Set(code, severity, message, hint string) bool {
	if severityRank(severity) == 0 {
		severity = apitype.SeverityError
	}
	s.mu.Lock()
	old, known := s.conditions[code]
	if !known && len(s.conditions) >= MaxConditions {
		s.refused++
		s.mu.Unlock()
		return false
	}
	c := apitype.Condition{Code: code, Since: old.Since, Severity: severity, Message: message, Hint: hint}
	if !known {
		c.Since = time.Now().UTC().Truncate(time.Millisecond)
	}
	s.conditions[code] = c
	s.unlockAndTell(!known || c != old)
	return true
}

// Clear makes a condition untrue; one that is not set is left alone.
func (s *Set) Clear(code string) {
	s.mu.Lock()
	_, known := s.conditions[code]
	delete(s.conditions, code)
	s.unlockAndTell(known)
}

// List gives the conditions, the worst first, then the oldest. It is never nil
// and belongs to the caller.
func (s *Set) List() []apitype.Condition {
	s.mu.Lock()
	list := make([]apitype.Condition, 0, len(s.conditions))
	for _, c := range s.conditions {
		list = append(list, c)
	}
	s.mu.Unlock()
	slices.SortFunc(list, func(a, b apitype.Condition) int {
		return cmp.Or(-cmp.Compare(severityRank(a.Severity), severityRank(b.Severity)),
			a.Since.Compare(b.Since), cmp.Compare(a.Code, b.Code))
	})
	return list
}

// Refused counts the conditions that found the list full.
func (s *Set) Refused() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.refused
}

// Watch calls changed after each change of the list, in the goroutine that
// made the change and outside of any lock of the Set, until stop is called.
// Changes made at once may be told once each but in any order, so changed
// reads List instead of being given it.
func (s *Set) Watch(changed func()) (stop func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.nextID
	s.nextID++
	s.watchers[id] = changed
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.watchers, id)
	}
}

// unlockAndTell ends the critical section and then tells the watchers, if
// there is something to tell.
func (s *Set) unlockAndTell(changed bool) {
	var tell []func()
	if changed {
		for _, w := range s.watchers {
			tell = append(tell, w)
		}
	}
	s.mu.Unlock()
	for _, w := range tell {
		w()
	}
}

// severityRank orders severities; 0 is not one.
func severityRank(severity string) int {
	switch severity {
	case apitype.SeverityError:
		return 3
	case apitype.SeverityWarning:
		return 2
	case apitype.SeverityInfo:
		return 1
	}
	return 0
}
