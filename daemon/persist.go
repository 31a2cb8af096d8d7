package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
	"kioskd/store"
	"kioskd/store/killpoint"
)

// ErrRestart is wrapped by Run's error where only a new process can go on: a sync of
// the store has failed, and what the disk holds has to be read anew, or the store could
// not be opened, and now can.
var ErrRestart = errors.New("kioskd has to be started again")

// persistence keeps the session's model in the store. The record's id is the
// kiosk's random identity in the room: an appointment's number would stand
// there in the clear. The session's runner alone uses it.
type persistence struct {
	store  *store.Store
	folder string   // of the note, in memory
	peer   string   // of the session that the store holds; "": none
	note   narrowed // what the store does not know yet
	log    *slog.Logger
}

// Load implements runner.Store.
func (p *persistence) Load() (session.Model, error) {
	_, b, ok, err := p.store.LoadSession()
	if err != nil || !ok {
		return session.Model{}, err
	}
	m, err := session.Decode(b)
	if err != nil {
		return session.Model{}, fmt.Errorf("cannot use the stored session: %w", err)
	}
	p.peer = m.Peer
	if p.note.read(p.folder, m.Peer) {
		if err := p.note.apply(&m); err != nil {
			return session.Model{}, err
		}
	} else {
		p.note = narrowed{}
	}
	return m, nil
}

// Commit implements runner.Store: model, outputs, audit and report in one
// transaction.
func (p *persistence) Commit(c runner.Commit) error {
	c.AuditOnly = c.AuditOnly && p.note == narrowed{} // else the store holds another model than the runner thinks
	save, err := saveOf(c)
	if err != nil {
		return err
	}
	switch err := p.store.Save(save); {
	case errors.Is(err, store.ErrOutboxFull):
		return fmt.Errorf("%w: %w", runner.ErrOutboxFull, err)
	case err != nil:
		p.noteDown(c)
		if errors.Is(err, store.ErrFull) {
			return fmt.Errorf("%w: %w", runner.ErrStoreFull, err)
		}
		return err
	}
	p.stored(c)
	killpoint.Pass(killpoint.Answer)
	return nil
}

func saveOf(c runner.Commit) (store.Save, error) {
	now := time.Now().UTC()
	save := store.Save{AuditOnly: c.AuditOnly, Final: !c.AuditOnly && !c.Model.Running()}
	if c.Audit != "" {
		save.Journal = append(save.Journal, auditEntry(c.Audit))
	}
	for _, o := range c.Outputs {
		save.Journal = append(save.Journal, store.Entry{At: now, Kind: "output", Text: o.String()})
	}
	if c.Report != nil {
		save.Report = &store.Report{ID: c.Report.ID, Data: c.Report.Data}
	}
	if !save.Final && !save.AuditOnly {
		b, err := c.Model.Encode()
		if err != nil {
			return save, fmt.Errorf("cannot store the session: %w", err)
		}
		save.ID, save.Model = c.Model.Peer, b
	}
	return save, nil
}

// noteDown keeps in memory what could not be stored, as far as it takes something away.
func (p *persistence) noteDown(c runner.Commit) {
	if p.peer == "" || c.AuditOnly {
		return
	}
	next := p.note
	next.Peer = p.peer
	next.add(c.Model)
	if next == p.note || next == (narrowed{Peer: p.peer}) {
		return
	}
	p.note = next
	if err := next.write(p.folder); err != nil {
		p.log.Error("cannot note down what the session has turned off", "error", err)
	}
}

// stored forgets the note: the store knows it all.
func (p *persistence) stored(c runner.Commit) {
	if c.AuditOnly {
		return
	}
	p.peer = ""
	if c.Model.Running() {
		p.peer = c.Model.Peer
	}
	if p.note == (narrowed{}) {
		return
	}
	if err := p.note.remove(p.folder); err != nil {
		p.log.Error("cannot remove the note of what the session had turned off", "error", err)
		return // an old note takes nothing away but from the same session
	}
	p.note = narrowed{}
}

func auditEntry(text string) store.Entry {
	return store.Entry{At: time.Now().UTC(), Kind: "audit", Text: text}
}

// watchStore waits for a store that may write no more.
func (k *kiosk) watchStore(ctx context.Context) error {
	select {
	case <-k.store.Failed():
		return fmt.Errorf("%w: %w", ErrRestart, store.ErrReadOnly)
	case <-ctx.Done():
		return nil
	}
}
