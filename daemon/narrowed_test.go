package daemon

import (
	"log/slog"
	"os"
	"testing"
	"time"

	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
	"kioskd/store"
)

// disk is a state directory, and the folder in memory beside it.
type disk struct {
	t           *testing.T
	dir, folder string
}

func newDisk(t *testing.T) disk { return disk{t, t.TempDir(), t.TempDir()} }

func (d disk) open() *persistence {
	d.t.Helper()
	s, err := store.Open(d.dir, store.Options{})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() { _ = s.Close() })
	return &persistence{store: s, folder: d.folder, log: slog.New(slog.DiscardHandler)}
}

// fails has a store take none of these.
func (d disk) fails(p *persistence, list ...session.Model) {
	d.t.Helper()
	if err := p.store.Close(); err != nil {
		d.t.Fatal(err)
	}
	for _, m := range list {
		if err := p.Commit(runner.Commit{Model: m}); err == nil {
			d.t.Fatal("it was stored")
		}
	}
}

func (d disk) noted(want bool) {
	d.t.Helper()
	if _, err := os.Stat(narrowed{}.path(d.folder)); (err == nil) != want {
		d.t.Errorf("there is a note: %v, want %t", err, want)
	}
}

func (d disk) step(m session.Model, w session.What) session.Model {
	d.t.Helper()
	m, _, _, err := session.Step(m, session.Event{At: time.Now().UTC(), What: w})
	if err != nil {
		d.t.Fatal(err)
	}
	return m
}

// begin stores a session.
func (d disk) begin() (*persistence, session.Model) {
	d.t.Helper()
	p, m := d.open(), d.step(session.Model{}, session.Open{Appointment: "canary", Peer: "peer-1"})
	if err := p.Commit(runner.Commit{Model: m}); err != nil {
		d.t.Fatal(err)
	}
	return p, m
}

// TestWhatWasTurnedOffStaysOff: what a session turned off while the disk was broken holds
// in the next daemon, what it would have turned on does not, and the note goes when the
// store works again.
func TestWhatWasTurnedOffStaysOff(t *testing.T) {
	d := newDisk(t)
	p, m := d.begin()
	d.fails(p, m)
	d.noted(false) // nothing was turned off
	d.fails(d.open(), m)
	d.noted(false)
	p = d.open()
	if _, err := p.Load(); err != nil {
		t.Fatal(err)
	}
	denied := session.Permissions{Camera: session.Denied, Microphone: session.Granted}
	d.fails(p, d.step(m, session.Mute{}), d.step(m, session.DisableVideo{}), d.step(m, denied), m)
	d.noted(true)
	p = d.open()
	m, err := p.Load()
	if err != nil || !m.Muted || !m.VideoOff || m.Consent.Camera != session.Denied || m.Consent.Microphone != session.Unanswered || m.Appointment != "canary" {
		t.Fatalf("the next one goes on with %+v, %v", m, err)
	}
	if err := p.Commit(runner.Commit{Model: m, AuditOnly: true, Audit: "x"}); err != nil { // the runner thinks that the store knows it
		t.Fatal(err)
	}
	d.noted(false)
	if m, err := p.Load(); err != nil || !m.Muted || !m.VideoOff {
		t.Errorf("then the store holds %+v, %v", m, err)
	}
}

// TestWhatWasEndedStaysEnded: also where another appointment was asked for since.
func TestWhatWasEndedStaysEnded(t *testing.T) {
	d := newDisk(t)
	p, m := d.begin()
	ended := d.step(m, session.EndCall{})
	d.fails(p, ended, d.step(ended, session.Open{Appointment: "another", Peer: "peer-2"}))
	d.noted(true)
	p = d.open()
	if m, err := p.Load(); err == nil || m.Exists() {
		t.Errorf("a session that was ended goes on: %+v", m)
	}
	if err := p.Commit(runner.Commit{}); err != nil { // the runner gives it up
		t.Fatal(err)
	}
	d.noted(false)
	if m, err := p.Load(); err != nil || m.Exists() {
		t.Errorf("it is still stored: %+v, %v", m, err)
	}
}
