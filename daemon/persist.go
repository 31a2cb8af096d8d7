package daemon

import (
	"fmt"
	"time"

	"kioskd/daemon/session"
	"kioskd/store"
)

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

// Commit implements runner.Store: model, outputs and audit in one transaction.
func (p persistence) Commit(m session.Model, outputs []session.Output, audit string) error {
	now := time.Now().UTC()
	journal := make([]store.Entry, 0, len(outputs)+1)
	journal = append(journal, store.Entry{At: now, Kind: "audit", Text: audit})
	for _, o := range outputs {
		journal = append(journal, store.Entry{At: now, Kind: "output", Text: o.String()})
	}
	if !m.Running() {
		return p.store.SaveSession("", nil, journal, true)
	}
	b, err := m.Encode()
	if err != nil {
		return fmt.Errorf("cannot store the session: %w", err)
	}
	return p.store.SaveSession(m.Peer, b, journal, false)
}
