// Package store keeps what has to outlive the process: the current session and
// the reports that wait to be sent, both sealed, the journal, whose entries are
// chained so that changes are found, and what is known of the devices. It owns the state directory: kiosk.db,
// and with it bbolt, which no other package may import, and the keys' files.
//
// Bytes go in and bytes come out: the store knows no session and no API. A
// method that returns nil has been written and synced; the data survives a
// power cut. After a failed sync nothing can be said of the file any more, so
// the store takes no more writes (ErrReadOnly) until the daemon starts again.
//
// Who may import it: daemon.
package store

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"

	bolt "go.etcd.io/bbolt"

	"kioskd/store/killpoint"
)

// Schema is the number of the layout that this code writes and reads.
const Schema = 1

// Errors that a caller branches on.
var (
	// ErrReadOnly: a write failed in a way that leaves the file in doubt.
	ErrReadOnly = errors.New("cannot write: the store is read-only after a failed write; restart kioskd")
	// ErrFull: the disk is full. Nothing was changed; a later write may succeed.
	ErrFull = errors.New("cannot write: the disk is full; free some space in the state directory")
	// ErrNewer: the file was written by a newer kioskd. It was not touched.
	ErrNewer = errors.New("the store was written by a newer version of kioskd; install that version, or move kiosk.db away")
	// ErrSealed: a record cannot be opened with the keys that are there.
	ErrSealed = errors.New("cannot open a sealed record: it was damaged or its key is gone")
	// ErrLocked: another process has the store open.
	ErrLocked = errors.New("another process uses the store; is kioskd running already?")
)

// The buckets.
const (
	bucketMeta     = "meta"
	bucketSession  = "session"
	bucketJournal  = "journal"
	bucketOutbox   = "outbox"
	bucketBindings = "bindings"
	bucketKeys     = "keys"
)

const schemaKey = "schema"

// bucketNames lists all of them, in the order in which they are made.
func bucketNames() []string {
	return []string{bucketMeta, bucketSession, bucketJournal, bucketOutbox, bucketBindings, bucketKeys}
}

// Bounds of one record; what is over them is a fault of the caller.
const (
	maxRecord = 256 << 10 // bytes of a model
	maxID     = 128
	maxText   = 1024 // bytes of a journal entry's text
)

// Options change how a store is opened; the zero value is the default.
type Options struct {
	// MachineKey wraps the sessions' keys: 32 bytes, e.g. from a systemd
	// credential. nil: machine.key in the directory, made at the first start.
	MachineKey []byte
	// JournalEntries bounds the journal; 0: 10,000.
	JournalEntries int
	Log            *slog.Logger // nil: none
}

// Store is an open store. Its methods may be called from any goroutine.
type Store struct {
	db       *bolt.DB
	lock     sync.Mutex // one writer; guards what follows
	vault    *vault
	session  *sealed // the current session's key; nil: none
	turnDue  bool    // the session's pepper has still to be overwritten, see turn
	readOnly bool
	failed   chan struct{} // closed when readOnly is set by a failure
	aside    string
	entries  uint64
	log      *slog.Logger
}

// Save is one commit.
type Save struct {
	// ID names the session's record and stands in the clear; it may be empty with
	// Final. Model is the session's state, at most 256 KiB, and is sealed.
	ID    string
	Model []byte
	// Final: the session is over. Model is not written, its record and its key are
	// deleted, and what old pages of the file still hold cannot be opened again.
	Final   bool
	Journal []Entry
	Report  *Report // nil: none
	// AuditOnly: only Journal and Report are written, the session stays as it is.
	AuditOnly bool
}

func (v Save) check() error {
	id, model := len(v.ID), len(v.Model)
	switch {
	case v.AuditOnly && v.Final:
		return errors.New("cannot save: a commit that leaves the session alone cannot end it")
	case !v.AuditOnly && (model > maxRecord || id > maxID || id == 0 && !v.Final):
		return fmt.Errorf("cannot save the session: its id (%d bytes) or its model (%d bytes) is out of bounds", id, model)
	}
	return v.Report.check()
}

// SetAside is the path of the damaged file that Open renamed; empty: none was.
func (s *Store) SetAside() string { return s.aside }

// ReadOnly says whether the store takes no more writes.
func (s *Store) ReadOnly() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.readOnly
}

// Failed is closed when a write has failed in a way that leaves the file in doubt.
// Only a new process, which reads what the disk really holds, may write again.
func (s *Store) Failed() <-chan struct{} { return s.failed }

// Close closes the file. Writes after it fail.
func (s *Store) Close() error {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.readOnly = true
	if err := s.db.Close(); err != nil {
		return fmt.Errorf("cannot close the store: %w", err)
	}
	return nil
}

// Save writes the current session's model, sealed with a key of its own, the
// journal's entries and a report in one transaction. There is one session:
// another id takes the place of the old one, whose key is destroyed. A report
// whose id waits already is not written again.
//
// Errors: ErrFull and ErrOutboxFull, with nothing written; ErrReadOnly.
func (s *Store) Save(v Save) error {
	if err := v.check(); err != nil {
		return err
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.turnDue && !s.readOnly {
		if err := s.turn(); err != nil {
			return err
		}
	}
	report, err := s.prepare(v.Report)
	if err != nil {
		return err
	}
	rest := func(tx *bolt.Tx) error {
		if err := report.put(tx); err != nil {
			return err
		}
		return s.append(tx, v.Journal)
	}
	switch {
	case v.AuditOnly:
		err = s.update(rest)
	case v.Final:
		err = s.endSession(rest)
	default:
		err = s.saveModel(v.ID, v.Model, rest)
	}
	if errors.Is(err, ErrFull) && report != nil {
		// It was not written. After ErrReadOnly that is not sure: the key stays.
		err = errors.Join(err, s.destroyReportKey(report.id))
	}
	return err
}

// saveModel writes a session that goes on, and the rest of its commit.
func (s *Store) saveModel(id string, model []byte, rest func(*bolt.Tx) error) error {
	next, fresh := s.session, s.session == nil || s.session.id != id
	if fresh {
		// One that was replaced without a final save, or could not be opened, goes
		// first, so that its key is destroyed before the new one is wrapped.
		left, err := s.holdsSession()
		if err == nil && left {
			err = s.endSession(func(*bolt.Tx) error { return nil })
		}
		if err != nil {
			return err
		}
		if s.turnDue {
			return ErrFull // a key that was wrapped now could be unwrapped beside the old one
		}
		if next, err = s.vault.newKey(id); err != nil {
			return err
		}
	}
	box, err := next.seal(model)
	if err != nil {
		return err
	}
	err = s.update(func(tx *bolt.Tx) error {
		if fresh {
			if err := tx.Bucket([]byte(bucketKeys)).Put([]byte(id), next.wrapped); err != nil {
				return err
			}
		}
		if err := tx.Bucket([]byte(bucketSession)).Put([]byte(id), box); err != nil {
			return err
		}
		return rest(tx)
	})
	if err == nil {
		s.session = next
	}
	return err
}

func (s *Store) holdsSession() (held bool, err error) {
	err = s.view(func(tx *bolt.Tx) error {
		for _, name := range []string{bucketSession, bucketKeys} {
			k, _ := tx.Bucket([]byte(name)).Cursor().First()
			held = held || k != nil
		}
		return nil
	})
	return held, err
}

// endSession deletes every session and its key, then makes the keys' copies in
// old pages worthless. A crash in between is made good by Open.
func (s *Store) endSession(rest func(*bolt.Tx) error) error {
	err := s.update(func(tx *bolt.Tx) error {
		for _, name := range []string{bucketSession, bucketKeys} {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return rest(tx)
	})
	if err != nil {
		return err
	}
	s.session = nil
	killpoint.Pass(killpoint.SessionEnd)
	return s.turn()
}

// turn destroys the finished session's key. Where the disk is full, on a file system
// that does not write in place, it waits for space: the record is gone, and no key is
// wrapped before it is done.
func (s *Store) turn() error {
	killpoint.Pass(killpoint.Pepper)
	err := diskError(s.vault.turn())
	if s.turnDue = errors.Is(err, ErrFull); s.turnDue {
		s.log.Error("the key of the finished session is destroyed when there is space", "error", err)
		return nil
	}
	if err != nil {
		return s.giveUp(err) // which pepper the disk holds is not known: no key may be wrapped with it
	}
	killpoint.Pass(killpoint.PepperTurned)
	return nil
}

// LoadSession gives the current session; ok is false where there is none. A
// record that cannot be opened is ErrSealed: the session is lost, and the next
// Save takes its place.
func (s *Store) LoadSession() (id string, model []byte, ok bool, err error) {
	s.lock.Lock()
	defer s.lock.Unlock()
	var box, wrapped []byte
	err = s.view(func(tx *bolt.Tx) error {
		k, v := tx.Bucket([]byte(bucketSession)).Cursor().First()
		if k == nil {
			return nil
		}
		id, ok = string(k), true
		box = append(box, v...)
		wrapped = append(wrapped, tx.Bucket([]byte(bucketKeys)).Get(k)...)
		return nil
	})
	if err != nil || !ok {
		return "", nil, false, err
	}
	found, err := s.vault.unwrap(id, wrapped)
	if err != nil {
		return id, nil, true, err
	}
	if model, err = found.open(box); err != nil {
		return id, nil, true, err
	}
	s.session = found
	return id, model, true, nil
}

// update runs one transaction and judges its failure. lock is held.
func (s *Store) update(do func(*bolt.Tx) error) error {
	if s.readOnly {
		return ErrReadOnly
	}
	killpoint.Pass(killpoint.Record)
	err := guard(func() error {
		return s.db.Update(func(tx *bolt.Tx) error {
			if err := do(tx); err != nil {
				return err
			}
			killpoint.Pass(killpoint.Commit)
			return nil
		})
	})
	if err == nil {
		killpoint.Pass(killpoint.Committed)
		return nil
	}
	// A write that found no space comes before the sync, as the error of pwrite or of
	// ftruncate, and bbolt has taken the transaction back. Anything else (an error of
	// fdatasync first of all) leaves open what the disk holds: the kernel may
	// have dropped the pages and marked them clean, so trying again would lie.
	if err := diskError(err); errors.Is(err, ErrFull) {
		return err
	}
	return s.giveUp(err)
}

// giveUp takes no more writes. lock is held.
func (s *Store) giveUp(err error) error {
	if !s.readOnly {
		close(s.failed)
	}
	s.readOnly = true
	s.log.Error("the store is read-only from now on", "error", err)
	return fmt.Errorf("%w (%w)", ErrReadOnly, err)
}

func (s *Store) view(do func(*bolt.Tx) error) error {
	if err := guard(func() error { return s.db.View(do) }); err != nil {
		return fmt.Errorf("cannot read the store: %w", err)
	}
	return nil
}
