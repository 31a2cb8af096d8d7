package store

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"kioskd/store/killpoint"
)

// FileName is the store's file in its directory.
const FileName = "kiosk.db"

const (
	asidePrefix    = FileName + ".damaged-"
	freshSuffix    = ".new"
	asideKept      = 3 // damaged files that stay; older ones are deleted
	lockTimeout    = time.Second
	maxFile        = 256 << 20 // a file over this is not read in: it is damaged
	defaultEntries = 10_000
)

// Open opens the store in dir, which it makes (0700) if need be. A damaged file
// is renamed to kiosk.db.damaged-TIME and a new one is made: SetAside tells.
// Errors: ErrLocked, ErrNewer (the file is untouched), or what the disk says.
func Open(dir string, o Options) (*Store, error) {
	s := &Store{log: o.Log, entries: defaultEntries, failed: make(chan struct{})}
	if s.log == nil {
		s.log = slog.New(slog.DiscardHandler)
	}
	if o.JournalEntries > 0 {
		s.entries = uint64(o.JournalEntries)
	}
	if err := privateDir(dir); err != nil {
		return nil, err
	}
	path := filepath.Join(dir, FileName)
	aside, err := inspect(path)
	if err != nil {
		return nil, err
	}
	s.aside = aside
	if s.vault, err = openVault(dir, o.MachineKey); err != nil {
		return nil, err
	}
	if err := syncDir(dir); err != nil { // the keys' names, before anything is sealed with them
		return nil, fmt.Errorf("cannot use the state directory: %w", err)
	}
	if err := makeFile(path); err != nil {
		return nil, err
	}
	if s.db, err = openBolt(path, s.adopt); errors.Is(err, errDamaged) {
		// The file passed the inspection and bbolt still cannot live with it. The
		// inode may stay locked by the failed Open, so only its name is used again.
		s.log.Error("the store is damaged", "error", err)
		if s.aside, err = setAside(path); err != nil {
			return nil, err
		}
		if err = makeFile(path); err == nil {
			s.db, err = openBolt(path, s.adopt)
		}
	}
	if err != nil {
		return nil, err
	}
	killpoint.Pass(killpoint.Opened)
	if err := errors.Join(s.tidy(), syncDir(dir)); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	killpoint.Pass(killpoint.Recovered)
	return s, nil
}

// tidy destroys the keys that nothing is left for: a crash came between the end
// of a session, or of a report, and the end of its key, or the file they were in
// was set aside.
func (s *Store) tidy() error {
	if s.aside != "" {
		s.log.Error("a damaged store was set aside and a new one made", "file", s.aside)
	}
	if held, err := s.holdsSession(); err != nil {
		s.log.Error("the store cannot be looked through for old keys", "error", err)
	} else if !held {
		if err := s.turn(); err != nil {
			return err // nothing may be wrapped with a pepper that may not be on the disk
		}
	}
	if err := s.sweep(); err != nil {
		s.log.Error("old keys stay until the next start", "error", err) // no reason to keep patients waiting
	}
	return nil
}

// inspect looks at the file before bbolt does, under the file's lock, and renames
// a damaged one. bbolt panics on many damages, and some (a loop of pages, a page
// beyond the end under mmap) end the process; check.go finds them without it.
func inspect(path string) (aside string, err error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0) // RDWR: a file that cannot be written is told now
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot open the store: %w; it has to belong to the user that runs kioskd", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	if err := flock(f); err != nil {
		return "", err
	}
	if err := f.Chmod(0o600); err != nil {
		return "", fmt.Errorf("cannot protect the store: %w", err)
	}
	if err := settle(f); err != nil {
		return "", fmt.Errorf("cannot open the store: %w", err)
	}
	schema, err := examine(f)
	switch {
	case errors.Is(err, errDamaged):
		return setAside(path)
	case err != nil:
		return "", err
	case schema > Schema:
		return "", fmt.Errorf("cannot open %s: schema %d: %w", path, schema, ErrNewer)
	}
	return "", nil
}

// flock waits up to lockTimeout for the lock that bbolt takes too.
func flock(f *os.File) error {
	deadline, retry := time.NewTimer(lockTimeout), time.NewTicker(20*time.Millisecond)
	defer deadline.Stop()
	defer retry.Stop()
	for {
		err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		switch {
		case err == nil:
			return nil
		case !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR):
			return fmt.Errorf("cannot lock the store: %w", err)
		}
		select {
		case <-retry.C:
		case <-deadline.C:
			return fmt.Errorf("cannot open the store %s: %w", f.Name(), ErrLocked)
		}
	}
}

// examine reads a file and checks its structure. An empty file is one that was
// just made: nothing is lost, schema 0.
func examine(f *os.File) (schema int, err error) {
	info, err := f.Stat()
	if err != nil {
		return 0, fmt.Errorf("cannot open the store: %w", err)
	}
	if !info.Mode().IsRegular() || info.Size() > maxFile {
		return 0, fmt.Errorf("%w: it is no file, or too large (%d bytes)", errDamaged, info.Size())
	}
	if info.Size() == 0 {
		return 0, nil
	}
	data := make([]byte, info.Size())
	if _, err := f.ReadAt(data, 0); err != nil {
		if errors.Is(err, syscall.EIO) {
			return 0, fmt.Errorf("%w: %w", errDamaged, err) // bad blocks stay where they are: rename, start anew
		}
		return 0, fmt.Errorf("cannot read the store: %w", err)
	}
	c, err := checkFile(data)
	if err != nil {
		return 0, err
	}
	return c.schema()
}

// makeFile makes a new store under another name first: bbolt writes its first pages at
// one go, and a power cut in the middle of it would look like a damaged store.
func makeFile(path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() > 0 {
		return nil
	}
	fresh := path + freshSuffix
	if err := os.Remove(fresh); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("cannot make the store: %w", err)
	}
	db, err := openBolt(fresh, func(*bolt.Tx) error { return nil })
	if err != nil {
		return err
	}
	if err := errors.Join(db.Close(), os.Rename(fresh, path)); err != nil {
		return fmt.Errorf("cannot make the store: %w", err)
	}
	return nil
}

// openBolt opens or makes the file and its buckets, and runs then in the same
// transaction. errDamaged: bbolt cannot.
func openBolt(path string, then func(*bolt.Tx) error) (db *bolt.DB, err error) {
	err = guard(func() error {
		var err error
		db, err = bolt.Open(path, 0o600, &bolt.Options{Timeout: lockTimeout, FreelistType: bolt.FreelistMapType})
		return err
	})
	if err != nil {
		switch {
		case isSystem(err):
			return nil, fmt.Errorf("cannot open the store %s: %w", path, err)
		case errors.Is(err, bolterrors.ErrTimeout):
			return nil, fmt.Errorf("cannot open the store %s: %w", path, ErrLocked)
		}
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	err = guard(func() error {
		// A start writes only what is missing: a kiosk whose disk is full starts too.
		made := false
		if err := db.View(func(tx *bolt.Tx) error { made = complete(tx); return nil }); err != nil || made {
			return err
		}
		return db.Update(func(tx *bolt.Tx) error {
			for _, name := range bucketNames() {
				if _, err := tx.CreateBucketIfNotExists([]byte(name)); err != nil {
					return err
				}
			}
			if err := tx.Bucket([]byte(bucketMeta)).Put([]byte(schemaKey), []byte(strconv.Itoa(Schema))); err != nil {
				return err
			}
			return then(tx)
		})
	})
	switch {
	case err == nil:
		return db, nil
	case isSystem(err):
		return nil, errors.Join(fmt.Errorf("cannot open the store %s: %w", path, err), db.Close())
	default:
		return nil, errors.Join(fmt.Errorf("%w: %w", errDamaged, err), guard(db.Close))
	}
}

// complete says whether a file has all that openBolt would put into it.
func complete(tx *bolt.Tx) bool {
	for _, name := range bucketNames() {
		if tx.Bucket([]byte(name)) == nil {
			return false
		}
	}
	meta := tx.Bucket([]byte(bucketMeta))
	first, _ := tx.Bucket([]byte(bucketJournal)).Cursor().First()
	return string(meta.Get([]byte(schemaKey))) == strconv.Itoa(Schema) && (first == nil || meta.Get([]byte(chainKey)) != nil)
}

// isSystem says whether the kernel refused something: the file is not to blame.
func isSystem(err error) bool {
	var errno syscall.Errno
	return errors.As(err, &errno)
}

// guard turns a panic of bbolt, and a fault in its memory map (a file that was
// cut while it is open, a bad block), into errDamaged.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: bbolt gave up: %v", errDamaged, p)
		}
	}()
	return do()
}

// setAside renames a damaged file and keeps the newest few of them.
func setAside(path string) (string, error) {
	aside := filepath.Join(filepath.Dir(path), asidePrefix+time.Now().UTC().Format("20060102T150405.000000000Z"))
	if err := os.Rename(path, aside); err != nil {
		return "", fmt.Errorf("cannot set the damaged store aside: %w", err)
	}
	old, err := filepath.Glob(filepath.Join(filepath.Dir(path), asidePrefix+"*"))
	if err != nil {
		return aside, nil //nolint:nilerr // a directory with odd letters in its name: they stay
	}
	slices.Sort(old)
	for _, name := range old[:max(0, len(old)-asideKept)] {
		_ = os.Remove(name)
	}
	return aside, nil
}
