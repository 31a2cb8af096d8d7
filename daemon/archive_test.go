package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/daemon/report"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
	"kioskd/store"
)

// library is an archive over a real store, and a call in it that can end.
func library(t *testing.T) (*archive, func(peer string) error) {
	t.Helper()
	a := &archive{meter: &report.Meter{}, log: slog.New(slog.DiscardHandler)}
	a.persistence = persistence{store: openStore(t), folder: t.TempDir(), log: a.log}
	at := time.Now().UTC().Round(0)
	return a, func(peer string) error {
		m := session.Model{
			State: session.Active, Appointment: "canary", Peer: peer, Limits: session.DefaultLimits(), OpenedAt: at, ActiveSince: at, LastAt: at,
		}
		if err := a.Commit(runner.Commit{Model: m}); err != nil {
			return err
		}
		m, _, _, err := session.Step(m, session.Event{At: at.Add(90 * time.Second), What: session.EndCall{}})
		if err != nil {
			return err
		}
		return a.Commit(runner.Commit{Model: m, Audit: "end-call done"})
	}
}

// waiting are the ids in the outbox: q for figures, else the report's own.
func (a *archive) waiting(t *testing.T) string {
	t.Helper()
	list, err := a.store.Reports()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range list {
		if report.IsQuality(r.ID) {
			r.ID = "q"
		}
		ids = append(ids, r.ID)
	}
	return strings.Join(ids, " ")
}

func (a *archive) hands(t *testing.T, id string) error {
	t.Helper()
	return a.Commit(runner.Commit{Model: session.Model{}, AuditOnly: true, Report: &runner.Report{ID: id, Data: []byte("words")}})
}

// The commit that ends a call keeps how it went, for this appointment, and the session
// is gone with it.
func TestEndKeepsHowItWent(t *testing.T) {
	a, call := library(t)
	if err := call("peer-1"); err != nil {
		t.Fatal(err)
	}
	if m, err := a.Load(); err != nil || m.Exists() {
		t.Errorf("the session is still there: %v, %v", m, err)
	}
	list, err := a.store.Reports()
	if err != nil || len(list) != 1 || !report.IsQuality(list[0].ID) {
		t.Fatalf("the outbox has %v, %v", list, err)
	}
	raw, _, err := a.store.Report(list[0].ID)
	if err != nil {
		t.Fatal(err)
	}
	r, err := report.Decode(raw)
	if err != nil || r.Appointment != "canary" || r.Kind != report.KindQuality {
		t.Fatalf("the record is of kind %q, %v", r.Kind, err)
	}
	q, err := report.DecodeQuality(r)
	if err != nil || q.DurationSeconds != 90 || q.End != "ended" {
		t.Errorf("it went %+v, %v", q, err)
	}
	// What is over, or was never a call, has no figures.
	if err := a.Commit(runner.Commit{Model: session.Model{}}); err != nil || a.waiting(t) != "q" {
		t.Errorf("the outbox has %s, %v", a.waiting(t), err)
	}
}

// A call that a restart finds over is told of too.
func TestEndAfterARestartKeepsHowItWent(t *testing.T) {
	a, _ := library(t)
	at := time.Now().UTC().Round(0)
	m := session.Model{State: session.Active, Appointment: "canary", Peer: "p", Limits: session.DefaultLimits(), OpenedAt: at, ActiveSince: at, LastAt: at}
	if err := a.Commit(runner.Commit{Model: m}); err != nil {
		t.Fatal(err)
	}
	again := &archive{persistence: a.persistence, meter: &report.Meter{}, log: a.log}
	m, err := again.Load()
	if err != nil {
		t.Fatal(err)
	}
	m, _, _, _ = session.Step(m, session.Event{At: at.Add(time.Hour), What: session.Restarted{}})
	if err := again.Commit(runner.Commit{Model: m}); err != nil || m.State != session.Timeout || again.waiting(t) != "q" {
		t.Errorf("state %s, the outbox has %s, %v", m.State, again.waiting(t), err)
	}
}

// Figures give way to reports and to newer figures, the oldest first; reports never do.
func TestFiguresGiveWay(t *testing.T) {
	a, call := library(t)
	for i := range 30 {
		if err := a.hands(t, fmt.Sprint("r", i)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 { // two find a place, two take that of older ones
		if err := call(fmt.Sprint("peer-", i)); err != nil {
			t.Fatal(err)
		}
	}
	if got := a.waiting(t); !strings.HasSuffix(got, "r29 q q") {
		t.Errorf("the outbox has %s", got)
	}
	for _, id := range []string{"r30", "r31"} {
		if err := a.hands(t, id); err != nil {
			t.Errorf("%s: %v", id, err)
		}
	}
	if got := a.waiting(t); strings.Contains(got, "q") || !strings.HasSuffix(got, "r30 r31") {
		t.Errorf("the outbox has %s", got)
	}
	if err := a.hands(t, "r32"); !errors.Is(err, runner.ErrOutboxFull) {
		t.Errorf("a report too many: %v", err)
	}
	if err := call("peer-9"); err != nil { // its end is kept, how it went is not
		t.Error(err)
	}
	if got := a.waiting(t); strings.Contains(got, "q") || strings.Count(got, "r") != 32 {
		t.Errorf("the outbox has %s", got)
	}
	if m, err := a.Load(); err != nil || m.Exists() {
		t.Errorf("the session is still there: %v, %v", m, err)
	}
}

// On a full disk the end of a call is stored in the pages that are free, though there
// is no place for the file of the figures' key. It mounts 300 KiB of memory, as root.
func TestRootEndOnAFullDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("only root can mount: run make test")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=300k"); err != nil {
		t.Fatalf("cannot mount a disk to fill: %v", err)
	}
	t.Cleanup(func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	a, call := library(t)
	s, err := store.Open(dir, store.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	a.store = s
	filler := filepath.Join(dir, "filler")
	for _, peer := range []string{"peer-1", "peer-2"} { // with space, which leaves free pages, and without
		if err := call(peer); err != nil {
			t.Errorf("the end of %s is not stored: %v", peer, err)
		}
		if m, err := a.Load(); err != nil || m.Exists() || s.ReadOnly() {
			t.Errorf("%s is still there: %v, %v", peer, m, err)
		}
		if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("the disk is not full: %v", err)
		}
	}
	if _, err := os.Stat(narrowed{}.path(a.folder)); err == nil {
		t.Error("what is stored is noted down besides")
	}
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	if err := call("peer-3"); err != nil || a.waiting(t) != "q q" {
		t.Errorf("with space again the outbox has %s, %v", a.waiting(t), err)
	}
	if intact, broken, err := s.Verify(); !intact || err != nil {
		t.Errorf("the journal is broken at %d: %v", broken, err)
	}
}
