// Package store keeps what has to outlive the process: the current session,
// sealed, and the journal. It owns kiosk.db in the state directory, and with it
// bbolt, which no other package may import.
//
// Bytes go in and bytes come out: the store knows no session and no API. A
// method that returns nil has been written and synced; the data survives a
// power cut. After a failed sync nothing can be said of the file any more, so
// the store takes no more writes (ErrReadOnly) until the daemon starts again.
//
// Who may import it: daemon.
package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
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

// The buckets. outbox and bindings are made now and used later, so that no
// change of the schema is needed for them.
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
	readOnly bool
	aside    string
	entries  uint64
	log      *slog.Logger
}

// Entry is one line of the journal: a transition or an audit record. It must
// hold no patient data: the journal is not sealed.
type Entry struct {
	At   time.Time `json:"at"`
	Kind string    `json:"kind"` // transition, output, audit ...
	Text string    `json:"text"` // at most 1024 bytes, the rest is cut
}

// SetAside is the path of the damaged file that Open renamed; empty: none was.
func (s *Store) SetAside() string { return s.aside }

// ReadOnly says whether the store takes no more writes.
func (s *Store) ReadOnly() bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.readOnly
}

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

// SaveSession writes the current session's model, sealed with a key of its own,
// and the journal's entries in one transaction. There is one session: another
// id takes the place of the old one, whose key is destroyed.
//
// With final the session is over: model is not written, its record and its key
// are deleted, and what old pages of the file still hold cannot be opened again
// (see vault). Then id may be empty.
func (s *Store) SaveSession(id string, model []byte, journal []Entry, final bool) error {
	if len(model) > maxRecord || len(id) > maxID || (id == "" && !final) {
		return fmt.Errorf("cannot save the session: its id (%d bytes) or its model (%d bytes) is out of bounds", len(id), len(model))
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	if final {
		return s.endSession(journal)
	}
	next, fresh := s.session, s.session == nil || s.session.id != id
	if fresh {
		// One that was replaced without a final save, or could not be opened, goes
		// first, so that its key is destroyed before the new one is wrapped.
		left, err := s.holdsSession()
		if err == nil && left {
			err = s.endSession(nil)
		}
		if err != nil {
			return err
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
		return s.append(tx, journal)
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
// old pages worthless.
func (s *Store) endSession(journal []Entry) error {
	err := s.update(func(tx *bolt.Tx) error {
		for _, name := range []string{bucketSession, bucketKeys} {
			if err := tx.DeleteBucket([]byte(name)); err != nil {
				return err
			}
			if _, err := tx.CreateBucket([]byte(name)); err != nil {
				return err
			}
		}
		return s.append(tx, journal)
	})
	if err != nil {
		return err
	}
	s.session = nil
	return s.vault.turn()
}

// LoadSession gives the current session; ok is false where there is none. A
// record that cannot be opened is ErrSealed: the session is lost, and the next
// SaveSession takes its place.
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

// Append writes journal entries alone.
func (s *Store) Append(entries ...Entry) error {
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.update(func(tx *bolt.Tx) error { return s.append(tx, entries) })
}

// Journal gives the newest entries, at most limit, the oldest of them first.
func (s *Store) Journal(limit int) ([]Entry, error) {
	var list []Entry
	err := s.view(func(tx *bolt.Tx) error {
		c := tx.Bucket([]byte(bucketJournal)).Cursor()
		for k, v := c.Last(); k != nil && len(list) < limit; k, v = c.Prev() {
			var e Entry
			if json.Unmarshal(v, &e) != nil {
				e = Entry{Kind: "damaged", Text: "this entry cannot be read"}
			}
			list = append(list, e)
		}
		return nil
	})
	for i, j := 0, len(list)-1; i < j; i, j = i+1, j-1 {
		list[i], list[j] = list[j], list[i]
	}
	return list, err
}

// update runs one transaction and judges its failure. lock is held.
func (s *Store) update(do func(*bolt.Tx) error) error {
	if s.readOnly {
		return ErrReadOnly
	}
	err := guard(func() error { return s.db.Update(do) })
	if err == nil {
		return nil
	}
	// A write that found no space comes before the sync, as the error of pwrite,
	// and bbolt has taken the transaction back. Anything else (an error of
	// fdatasync first of all) leaves open what the disk holds: the kernel may
	// have dropped the pages and marked them clean, so trying again would lie.
	var path *os.PathError
	if errors.As(err, &path) && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)) {
		return fmt.Errorf("%w (%w)", ErrFull, err)
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
