package runner_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
)

// disk is a store in memory that keeps encoded bytes, as the real one does, and
// that can fail.
type disk struct {
	mu     sync.Mutex
	record []byte
	audit  []string
	told   []session.Output
	kept   []runner.Report
	fail   error
	full   bool // no place for a report
	events *trace
}

func (d *disk) Load() (session.Model, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.record == nil {
		return session.Model{}, nil
	}
	return session.Decode(d.record)
}

func (d *disk) Commit(c runner.Commit) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.fail != nil {
		d.events.add("commit failed")
		return d.fail
	}
	if c.Report != nil && d.full {
		d.events.add("outbox full")
		return fmt.Errorf("cannot commit: %w", runner.ErrOutboxFull)
	}
	if !c.AuditOnly {
		b, err := c.Model.Encode()
		if err != nil {
			return err
		}
		d.record = b
		if !c.Model.Running() {
			d.record = nil
		}
	}
	d.audit = append(d.audit, c.Audit)
	d.told = append(d.told, c.Outputs...)
	if c.Report != nil {
		d.kept = append(d.kept, *c.Report)
	}
	d.events.add(map[bool]string{true: "audit", false: "commit"}[c.AuditOnly])
	return nil
}

// copy is what a disk holds after a kill: all that was committed.
func (d *disk) copy() *disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return &disk{record: slices.Clone(d.record)}
}

// last is the newest audit entry.
func (d *disk) last() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.audit) == 0 {
		return ""
	}
	return d.audit[len(d.audit)-1]
}

func (d *disk) set(fail error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fail = fail
}

func (d *disk) has() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.record != nil
}

func (d *disk) audits() string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return strings.Join(d.audit, "\n")
}

// slowDisk is a disk that does not come back from a commit while hang is full.
type slowDisk struct {
	*disk
	hang chan struct{} // capacity 1
}

func (d *slowDisk) Commit(c runner.Commit) error {
	d.hang <- struct{}{}
	<-d.hang
	return d.disk.Commit(c)
}

// trace is the order in which things were seen.
type trace struct {
	mu   sync.Mutex
	list []string
}

func (t *trace) add(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.list = append(t.list, s)
}

// take gives what was seen since the last take.
func (t *trace) take() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	s := strings.Join(t.list, ", ")
	t.list = nil
	return s
}

// bench is a runner with all that it needs, in a synctest bubble.
type bench struct {
	t    *testing.T
	r    *runner.Runner
	disk *disk
	seen *trace
	stop func() // ends Run and waits for it
	last session.Snapshot
}

// begin starts a runner on a disk (nil: an empty one).
func begin(t *testing.T, d *disk, change ...func(*runner.Options)) *bench {
	t.Helper()
	b := &bench{t: t, disk: d, seen: &trace{}}
	if d == nil {
		b.disk = &disk{}
	}
	b.disk.events = b.seen
	o := runner.Options{
		Store:   b.disk,
		Perform: func(_ context.Context, e session.Effect) { b.seen.add(e.Name()) },
		Publish: func(s session.Snapshot) {
			b.last = s
			b.seen.add("publish" + outputs(s.Outputs))
		},
	}
	for _, f := range change {
		f(&o)
	}
	r, err := runner.New(o)
	if err != nil {
		t.Fatal(err)
	}
	b.r = r
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- r.Run(ctx) }()
	b.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	t.Cleanup(b.stop)
	<-r.Ready()
	return b
}

func outputs(list []session.Output) string {
	var s string
	for _, o := range list {
		s += " " + o.String()
	}
	return s
}

// do does a command and checks the refusal's code ("": done) and the order of
// what was seen.
func (b *bench) do(w session.What, code, order string) session.Result {
	b.t.Helper()
	return b.doKey(w, "", code, order)
}

func (b *bench) doKey(w session.What, key, code, order string) session.Result {
	b.t.Helper()
	res, err := b.r.Do(b.t.Context(), session.Event{What: w, By: "uid=7"}, key)
	synctest.Wait() // what comes after the answer has happened too
	if got := codeOf(err); got != code {
		b.t.Fatalf("%s: refusal %q, want %q", w.Name(), got, code)
	}
	b.sees(order)
	return res
}

func (b *bench) sees(order string) {
	b.t.Helper()
	if got := b.seen.take(); got != order {
		b.t.Fatalf("order\n  %s, want\n  %s", got, order)
	}
}

// post posts facts and waits until they are done.
func (b *bench) post(list ...session.What) {
	b.t.Helper()
	for _, w := range list {
		if !b.r.Post(w) {
			b.t.Fatalf("%s was not taken", w.Name())
		}
	}
	synctest.Wait()
}

// active brings a call up.
func (b *bench) active() {
	b.t.Helper()
	if _, err := b.r.Do(b.t.Context(), session.Event{What: session.Open{Appointment: "a-1"}}, ""); err != nil {
		b.t.Fatal(err)
	}
	b.join()
}

func (b *bench) join() {
	b.t.Helper()
	b.post(session.NetworkChanged{Up: true},
		session.DeviceReport{Camera: session.DeviceOK, Microphone: session.DeviceOK, Cameras: []string{"face", "document"}})
	n := b.r.Model().Attempt
	b.post(session.RoomLoaded{Attempt: n, Room: session.Room{Chat: true, ReportIssue: true, Token: "secret"}}, session.Joined{Attempt: n},
		session.PeerJoined{Attempt: n, Participant: session.Participant{ID: "c1", Name: "Dr. Name"}},
		session.MediaArrived{Attempt: n, Participant: "c1", Kind: session.Audio})
	if got := b.r.Model().State; got != session.Active {
		b.t.Fatalf("state %s, want active", got)
	}
	b.seen.take()
}

func codeOf(err error) string {
	var r *session.Refusal
	switch {
	case err == nil:
		return ""
	case errors.As(err, &r):
		return r.Code
	default:
		return fmt.Sprint(err)
	}
}

const shortly = 10 * time.Millisecond
