package daemon

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/store"
)

// reopenEvery is how often a store that cannot be opened is tried again.
const reopenEvery = 3 * time.Second

// standIn is an empty store in memory, beside the socket, in the place of one that
// cannot be opened (a disk that is read-only, a file of a newer kioskd): with it the
// control API runs alone, as in safe mode, and says so.
type standIn struct {
	dir   string
	cause error // of the store's own; nil: nothing stands in
	retry func() error
}

// openStore opens the store, or has another stand in for it where safe mode is wanted.
func (k *kiosk) openStore() error {
	key, err := storeKey()
	if err != nil {
		return err
	}
	o := store.Options{MachineKey: key, Log: k.log.With("part", "store")}
	if k.store, err = store.Open(k.cfg.Store.Dir, o); err == nil {
		return nil
	}
	err = fmt.Errorf("cannot open the store: %w", err)
	if k.safety == nil || errors.Is(err, store.ErrLocked) { // another kioskd is no reason to stay
		return err
	}
	dir := filepath.Join(filepath.Dir(k.cfg.API.Socket), "no-store")
	clean := os.RemoveAll(dir) // of one that was killed
	s, other := store.Open(dir, o)
	if other != nil {
		return errors.Join(err, clean, other)
	}
	k.store, k.standIn = s, standIn{dir: dir, cause: err, retry: func() error { return tryStore(k.cfg.Store.Dir, o) }}
	k.safety.safe.Store(true)
	k.log.Error("safe mode: the control API runs alone until the store can be opened", "error", err)
	return nil
}

// tryStore opens a store and closes it. One that is damaged goes back to its place, for
// the daemon to come to find it so, and to tell.
func tryStore(dir string, o store.Options) error {
	s, err := store.Open(dir, o)
	if err != nil {
		return err
	}
	err = s.Close()
	if aside := s.SetAside(); aside != "" {
		err = errors.Join(err, os.Rename(aside, filepath.Join(dir, store.FileName)))
	}
	return err
}

// awaitStore is safe mode without the store. A new process goes on with it.
func (k *kiosk) awaitStore(ctx context.Context) error {
	k.tellSafe("Safe mode: " + k.standIn.cause.Error())
	tick := time.NewTicker(reopenEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		if k.standIn.retry() == nil {
			k.safety.grown() // an end as it should be
			return fmt.Errorf("%w: it can be opened now", ErrRestart)
		}
	}
}

// close removes what stood in.
func (s standIn) close() error {
	if s.cause == nil {
		return nil
	}
	return os.RemoveAll(s.dir)
}

// problem answers who asks for what only the store's own knows.
func (s standIn) problem() error {
	if s.cause == nil {
		return nil
	}
	return apitype.NewProblem(http.StatusServiceUnavailable, apitype.CodeSafeMode, s.cause.Error(), "mend the disk; kioskd tries again every few seconds")
}
