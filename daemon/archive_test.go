package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/report"
	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
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
