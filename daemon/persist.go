package daemon

import (
	"context"
	"errors"
	"fmt"
	"time"

	"kioskd/daemon/session"
	"kioskd/daemon/session/runner"
	"kioskd/store"
	"kioskd/store/killpoint"
)

// ErrRestart is wrapped by Run's error where only a new process can go on: a sync of
// the store has failed, and what the disk holds has to be read anew.
var ErrRestart = errors.New("kioskd has to be started again")

// persistence keeps the session's model in the store. The record's id is the
// kiosk's random identity in the room: an appointment's number would stand
// there in the clear.
type persistence struct{ store *store.Store }

// Load implements runner.Store.
func (p persistence) Load() (session.Model, error) {
	_, b, ok, err := p.store.LoadSession()
	if err != nil || !ok {
		return session.Model{}, err
	}
	m, err := session.Decode(b)
	if err != nil {
		return session.Model{}, fmt.Errorf("cannot use the stored session: %w", err)
	}
	return m, nil
}

// Commit implements runner.Store: model, outputs, audit and report in one
// transaction.
func (p persistence) Commit(c runner.Commit) error {
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
			return fmt.Errorf("cannot store the session: %w", err)
		}
		save.ID, save.Model = c.Model.Peer, b
	}
	err := p.store.Save(save)
	switch {
	case errors.Is(err, store.ErrOutboxFull):
		return fmt.Errorf("%w: %w", runner.ErrOutboxFull, err)
	case errors.Is(err, store.ErrFull):
		return fmt.Errorf("%w: %w", runner.ErrStoreFull, err)
	}
	killpoint.Pass(killpoint.Answer)
	return err
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
