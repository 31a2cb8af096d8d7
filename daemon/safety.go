package daemon

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"sync/atomic"
	"time"

	"kioskd/daemon/api/apitype"
)

// When safe mode begins, and how long it lasts.
const (
	shortLife    = 10 * time.Second // a death within it counts
	deathsInARow = 3
	goodFor      = 10 * time.Minute
)

// youngFile is in the state directory while the daemon is younger than shortLife, or
// in safe mode. Its content is how many daemons in a row have died so. Who finds it at
// the start knows that the one before died young; a clean stop removes it.
//
// It is not synced: a kill leaves the kernel's pages alone, and what a power cut makes
// of it is at worst a count that begins anew.
const youngFile = "young"

// maxCount is what is read of it, in bytes.
const maxCount = 16

// safety counts deaths and holds the daemon in safe mode.
type safety struct {
	path string // of youngFile
	log  *slog.Logger
	safe atomic.Bool
	last time.Duration // how long safe mode lasts
}

// bornInto begins a life in a state directory.
func bornInto(dir string, last time.Duration, log *slog.Logger) *safety {
	s := &safety{path: filepath.Join(dir, youngFile), log: log, last: last}
	deaths, err := s.deaths()
	if err == nil {
		err = s.write(deaths)
	}
	if err != nil {
		log.Warn("cannot count how often kioskd died at its start; check the state directory", "error", err)
	}
	if deaths >= deathsInARow {
		s.safe.Store(true)
		log.Error("safe mode: the control API runs alone", "deaths", deaths, "for", s.last)
	}
	return s
}

// deaths is how many daemons in a row have died young. What cannot be read as a number
// was written by one of them all the same.
func (s *safety) deaths() (int, error) {
	f, err := os.Open(s.path)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("cannot read how often kioskd died: %w", err)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxCount))
	if err = errors.Join(err, f.Close()); err != nil {
		return 0, fmt.Errorf("cannot read how often kioskd died: %w", err)
	}
	before, err := strconv.ParseUint(string(b), 10, 16)
	if err != nil {
		s.log.Warn("the count of deaths is damaged and begins anew", "file", s.path)
		return 1, nil
	}
	return int(before) + 1, nil
}

// write renames a whole file over the old one, so that a kill leaves one of both.
func (s *safety) write(deaths int) error {
	err := os.MkdirAll(filepath.Dir(s.path), 0o700)
	if err == nil {
		err = os.WriteFile(s.path+".new", []byte(strconv.Itoa(min(deaths, 1<<15))), 0o600)
	}
	if err == nil {
		err = os.Rename(s.path+".new", s.path)
	}
	if err != nil {
		return fmt.Errorf("cannot note how often kioskd died: %w", err)
	}
	return nil
}

// grown says that this life was long enough, or ended as it should.
func (s *safety) grown() {
	if s == nil {
		return
	}
	if err := os.Remove(s.path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		s.log.Warn("cannot remove the count of deaths", "error", err)
	}
}

// on says whether safe mode is on.
func (s *safety) on() bool { return s != nil && s.safe.Load() }

// age, where deaths are counted, waits until the daemon is not young any more: in safe mode that takes minutes.
// false: ctx ended before.
func (s *safety) age(ctx context.Context) bool {
	if s == nil {
		return false
	}
	after := shortLife
	if s.on() {
		after = s.last
	}
	timer := time.NewTimer(after)
	defer timer.Stop()
	select {
	case <-timer.C:
		s.grown()
		return true
	case <-ctx.Done():
		return false
	}
}

const safeMode = "safe_mode"

// holdSafe is safe mode: API and page say so, and nothing else is started until it is
// over; false: ctx ended before. A clean stop ends it too.
func (k *kiosk) holdSafe(ctx context.Context) bool {
	k.tellSafe("Safe mode: it ended three times in a row shortly after its start")
	return k.safety.age(ctx)
}

// tellSafe says that safe mode is on, to systemd in these words.
func (k *kiosk) tellSafe(status string) {
	k.health.Set(safeMode, apitype.SeverityError, k.words.Text("condition.safe_mode.title"), k.words.Text("condition.safe_mode.hint"))
	if err := k.notify.Ready(status); err != nil {
		k.log.Warn("cannot tell systemd that we are ready", "error", err)
	}
}

// leaveSafe opens the API when the parts run.
func (k *kiosk) leaveSafe() {
	k.safety.safe.Store(false)
	k.health.Clear(safeMode)
	k.api.Changed()
	k.log.Info("safe mode is over")
}
