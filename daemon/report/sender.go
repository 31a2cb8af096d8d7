package report

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"time"
)

// Times of sending. A report that the backend does not take is tried again for
// ever, ever less often.
const (
	firstPause = 5 * time.Second
	longPause  = time.Hour
)

// Outbox keeps the records until they are sent.
type Outbox interface {
	// Waiting lists the ids, oldest first.
	Waiting() ([]string, error)
	// Read gives a record.
	Read(id string) ([]byte, error)
	// Drop destroys a record that was sent.
	Drop(id string) error
}

// ErrRefused is what Post's error wraps where the backend will never take this
// report: the next one may be luckier.
var ErrRefused = errors.New("the backend does not take this report")

// ErrUnreadable is what Read's error wraps where a record is lost for good.
var ErrUnreadable = errors.New("the stored report cannot be opened")

// Sender posts what waits. Run is its one goroutine.
type Sender struct {
	// Outbox, Post and Log are required.
	Outbox Outbox
	// Post hands a report to the backend. It is safe to repeat: id is its key.
	Post func(ctx context.Context, id string, r Record) error
	// After is how long the backend asks to be left alone by an error of Post;
	// nil: it never does.
	After func(error) time.Duration
	// Sent is told of each report that the backend has; nil: nobody is.
	Sent func(id string)
	// Stuck is told whether reports wait that could not be sent; nil: nobody is.
	Stuck func(waiting int)
	Log   *slog.Logger

	due    chan struct{}
	failed string // the report that ended the newest round; empty: none did
}

// NewSender completes a Sender.
func NewSender(s Sender) *Sender {
	s.due = make(chan struct{}, 1)
	if s.After == nil {
		s.After = func(error) time.Duration { return 0 }
	}
	if s.Sent == nil {
		s.Sent = func(string) {}
	}
	if s.Stuck == nil {
		s.Stuck = func(int) {}
	}
	return &s
}

// Poke ends a pause: there is a new report, or the network is back. It does not wait.
func (s *Sender) Poke() {
	select {
	case s.due <- struct{}{}:
	default:
	}
}

// Run sends until ctx ends. It begins with what an earlier daemon left.
func (s *Sender) Run(ctx context.Context) {
	pause := firstPause
	for {
		left, err := s.round(ctx)
		if ctx.Err() != nil {
			return
		}
		s.Stuck(left)
		again := time.Duration(0)
		if left > 0 || err != nil {
			again = pause
			if err != nil {
				again = min(max(again, s.After(err)), longPause)
			}
			pause = min(2*pause, longPause)
		} else {
			pause = firstPause
		}
		poked, ok := s.rest(ctx, again)
		if !ok {
			return
		}
		if poked {
			pause = firstPause
		}
	}
}

// rest waits for a poke or, where again is not 0, that long; ok is false when ctx ended.
func (s *Sender) rest(ctx context.Context, again time.Duration) (poked, ok bool) {
	var wait <-chan time.Time
	if again > 0 {
		timer := time.NewTimer(again)
		defer timer.Stop()
		wait = timer.C
	}
	select {
	case <-ctx.Done():
		return false, false
	case <-s.due:
		return true, true
	case <-wait:
		return false, true
	}
}

// round tries each report once, oldest first, and says how many are left. The
// first failure that is not the report's own ends it: the others would fail too.
// Whose it is cannot always be told, so the next round begins behind that report:
// one that the backend stumbles over must not keep the others waiting for ever.
func (s *Sender) round(ctx context.Context) (left int, err error) {
	ids, err := s.Outbox.Waiting()
	if err != nil {
		s.Log.Error("cannot look for issue reports to send", "error", err)
		return 0, err
	}
	if i := slices.Index(ids, s.failed); i >= 0 {
		ids = slices.Concat(ids[i+1:], ids[:i+1])
	}
	s.failed = ""
	for i, id := range ids {
		err := s.send(ctx, id)
		switch {
		case err == nil:
		case errors.Is(err, ErrRefused):
			left++
		default:
			s.failed = id
			return left + len(ids) - i, err
		}
	}
	return left, nil
}

func (s *Sender) send(ctx context.Context, id string) error {
	raw, err := s.Outbox.Read(id)
	switch {
	case errors.Is(err, ErrUnreadable):
		s.Log.Error("cannot read an issue report: it is given up", "report", id, "error", err)
		return s.drop(id)
	case err != nil:
		return err
	}
	r, err := Decode(raw)
	if err != nil {
		s.Log.Error("cannot use an issue report: it is given up", "report", id, "error", err)
		return s.drop(id)
	}
	if err := s.Post(ctx, id, r); err != nil {
		if ctx.Err() == nil {
			s.Log.Warn("cannot send an issue report", "report", id, "error", err)
		}
		return err
	}
	s.Log.Info("issue report sent", "report", id)
	s.Sent(id)        // the backend has it, whatever becomes of the copy here
	return s.drop(id) // where that fails it is sent again: the backend knows its key
}

func (s *Sender) drop(id string) error {
	if err := s.Outbox.Drop(id); err != nil {
		s.Log.Error("cannot remove an issue report that was sent", "report", id, "error", err)
		return err
	}
	return nil
}
