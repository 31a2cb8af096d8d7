package report

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"

	"kioskd/daemon/session"
)

// Bounds of what is remembered for a report.
const (
	maxChanges = 200
	maxLines   = 300
	maxLine    = 512 // bytes
)

// Change is one change of the session's state.
type Change struct {
	At    time.Time `json:"at"`
	State string    `json:"state"` // empty: no session any more
	Step  string    `json:"step,omitempty"`
	Error string    `json:"error,omitempty"`
	Media int       `json:"media"` // participants whose media flows
}

// States remembers how the session went. It is safe for use by several goroutines.
type States struct {
	mu   sync.Mutex
	ring []Change
}

// Note takes a model; one that changes nothing worth telling is not noted.
func (s *States) Note(m session.Model) {
	c := Change{At: time.Now().UTC(), State: string(m.State), Step: string(m.Phase), Error: m.Error.Code}
	for _, p := range m.Participants {
		if p.Live() {
			c.Media++
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if n := len(s.ring); n > 0 {
		last := s.ring[n-1]
		last.At = c.At
		if last == c {
			return
		}
	}
	if len(s.ring) >= maxChanges {
		s.ring = slices.Delete(s.ring, 0, 1)
	}
	s.ring = append(s.ring, c)
}

func (s *States) list() []Change {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Change{}, s.ring...)
}

// Log is a slog.Handler that passes records on and remembers the newest, of the
// level info and above, as lines of logfmt. It keeps what the log has, and the
// log has no patient data.
type Log struct {
	next  slog.Handler
	text  slog.Handler // writes into lines
	lines *lines
}

// NewLog puts a memory before next.
func NewLog(next slog.Handler) *Log {
	l := &lines{}
	return &Log{next: next, text: slog.NewTextHandler(l, nil), lines: l}
}

// Enabled implements slog.Handler.
func (l *Log) Enabled(ctx context.Context, level slog.Level) bool {
	return l.next.Enabled(ctx, level) || l.text.Enabled(ctx, level)
}

// Handle implements slog.Handler.
func (l *Log) Handle(ctx context.Context, r slog.Record) error {
	if l.text.Enabled(ctx, r.Level) {
		_ = l.text.Handle(ctx, r) // writes to memory, which cannot fail
	}
	if !l.next.Enabled(ctx, r.Level) {
		return nil
	}
	return l.next.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (l *Log) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &Log{next: l.next.WithAttrs(attrs), text: l.text.WithAttrs(attrs), lines: l.lines}
}

// WithGroup implements slog.Handler.
func (l *Log) WithGroup(name string) slog.Handler {
	return &Log{next: l.next.WithGroup(name), text: l.text.WithGroup(name), lines: l.lines}
}

// Lines gives what is remembered, oldest first.
func (l *Log) Lines() []string { return l.lines.list() }

// lines is the memory: slog's text handler writes one line a call.
type lines struct {
	mu   sync.Mutex
	ring []string
}

func (l *lines) Write(b []byte) (int, error) {
	line := bytes.TrimRight(b[:min(len(b), maxLine)], "\n")
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.ring) >= maxLines {
		l.ring = slices.Delete(l.ring, 0, 1)
	}
	l.ring = append(l.ring, string(bytes.ToValidUTF8(line, nil)))
	return len(b), nil
}

func (l *lines) list() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string{}, l.ring...)
}
