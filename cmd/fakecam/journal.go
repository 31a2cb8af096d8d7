package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"kioskd/cmd/fakecam/v4l2"
)

// journal is the frame log: a line for each frame and each plug. A nil journal
// keeps nothing.
type journal struct {
	mu  sync.Mutex
	f   *os.File
	err error // the first, reported by close
}

func openJournal(path string) (*journal, error) {
	if path == "" {
		return nil, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC|os.O_APPEND, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open the frame log: %w", err)
	}
	return &journal{f: f}, nil
}

// frame is the recorder that cameras use; nil for a nil journal.
func (j *journal) frame() func(v4l2.Record) {
	if j == nil {
		return nil
	}
	return func(r v4l2.Record) { j.line("%c %d %d %d %d\n", r.Kind, r.Minor, r.Seq, r.Mono, r.Real) }
}

// event records a plug or an unplug.
func (j *journal) event(minor int, in bool) {
	if j != nil {
		j.line("e %d %t 0 %d\n", minor, in, time.Now().UnixNano())
	}
}

func (j *journal) line(format string, args ...any) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if _, err := fmt.Fprintf(j.f, format, args...); err != nil && j.err == nil {
		j.err = err
	}
}

// close closes the file and reports what went wrong while writing.
func (j *journal) close() error {
	if j == nil {
		return nil
	}
	j.mu.Lock()
	defer j.mu.Unlock()
	if err := j.f.Close(); j.err == nil {
		j.err = err
	}
	if j.err != nil {
		return fmt.Errorf("cannot write the frame log: %w", j.err)
	}
	return nil
}
