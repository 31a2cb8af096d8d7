// Package denial tells of requests that were turned away: each in the log, and
// one that would have changed something in the audit as well. It owns the
// summing up of floods, so that nobody can fill the disk, or wear it out, by
// knocking.
//
// Who may import it: daemon/api. Imports: standard library and peer.
package denial

import (
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"kioskd/daemon/api/peer"
)

// Every is the least time between two lines of the log, and between two entries
// of the audit.
const Every = time.Second

// Teller tells of denials. Its zero value cannot be used: see New.
type Teller struct {
	log   *slog.Logger
	audit func(text string)
	// Apart, so that who only looks floods the log and not the audit.
	logFlood, auditFlood limiter
}

// New makes a Teller. audit writes one entry and may take its time.
func New(log *slog.Logger, audit func(text string)) *Teller { return &Teller{log: log, audit: audit} }

// Request tells of a request that was turned away: who, a problem's code, the
// method and the route, which is a row of the table or "none": a path itself may
// name a patient.
func (t *Teller) Request(p peer.Peer, code, method, route string) {
	t.Log(p, code, word(method)+" "+route)
	if !Changes(method) {
		return
	}
	text := fmt.Sprintf("denied method=%s route=%s code=%s by: %s role=%s", word(method), route, code, p, p.Role)
	if suppressed, ok := t.auditFlood.allow(time.Now(), text); ok {
		t.audit(summed(text, suppressed))
	}
}

// Log logs that somebody was turned away; for connections, which ask nothing yet.
func (t *Teller) Log(p peer.Peer, code, what string) {
	if suppressed, ok := t.logFlood.allow(time.Now(), ""); ok {
		t.log.Warn("control request denied", "code", code, "route", what,
			"uid", p.UID, "gid", p.GID, "pid", p.PID, "role", p.Role.String(), "suppressed", suppressed)
	}
}

// Flush writes what a flood that is over left to be told. It is called every
// now and then, from one goroutine.
func (t *Teller) Flush(now time.Time) {
	if text, suppressed := t.auditFlood.rest(now); suppressed > 0 {
		t.audit(summed(text, suppressed-1)) // text itself is one of them
	}
}

func summed(text string, suppressed int) string {
	if suppressed == 0 {
		return text
	}
	return fmt.Sprintf("%s suppressed=%d", text, suppressed)
}

// Changes tells whether a method asks for a change (RFC 9110 section 9.2.1: all
// but the safe ones).
func Changes(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace:
		return false
	}
	return true
}

// word keeps a made-up method, which can be any text, out of log and audit.
func word(method string) string {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace,
		http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodConnect:
		return method
	}
	return "other"
}

// limiter lets one text a second through and counts the others.
type limiter struct {
	mu         sync.Mutex
	last       time.Time
	suppressed int
	text       string // the newest that was suppressed
}

func (l *limiter) allow(now time.Time, text string) (suppressed int, ok bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if !l.last.IsZero() && now.Sub(l.last) < Every {
		l.suppressed++
		l.text = text
		return 0, false
	}
	suppressed, l.suppressed, l.last = l.suppressed, 0, now
	return suppressed, true
}

// rest gives what was suppressed and is due; 0 where there is nothing.
func (l *limiter) rest(now time.Time) (text string, suppressed int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.suppressed == 0 || now.Sub(l.last) < Every {
		return "", 0
	}
	suppressed, l.suppressed, l.last = l.suppressed, 0, now
	return l.text, suppressed
}
