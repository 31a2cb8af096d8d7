package store

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// errUnsynced: fsync failed. The kernel may have dropped what was to be written and
// marked the pages clean (Rebello et al., "Can Applications Recover from fsync
// Failures?", USENIX ATC 2020): a second try would succeed and lie.
var errUnsynced = errors.New("the disk did not take what was written")

// syncFile is Sync with an error that tells itself from others.
func syncFile(f *os.File) error {
	if err := f.Sync(); err != nil {
		return fmt.Errorf("%w: %w", errUnsynced, err)
	}
	return nil
}

// syncDir makes new names, renames and removals in dir survive a power cut.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(syncFile(d), d.Close())
}

// settle brings a file that another process has written to what the disk holds:
// what can still be written is, and the cache is dropped. Without it a daemon that
// was started again after a failed sync would read from the cache what the disk
// never took.
func settle(f *os.File) error {
	if err := syncFile(f); err != nil {
		return err
	}
	if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
		return fmt.Errorf("cannot drop the cache of %s: %w", f.Name(), err)
	}
	return nil
}

// privateDir makes the state directory (0700) and all above it that is missing, and
// sees to it that their names are on the disk: without that a power cut takes away
// the directory and everything that was synced in it.
func privateDir(dir string) error {
	var made []string // deepest first
	at := filepath.Clean(dir)
	for ; ; at = filepath.Dir(at) {
		if _, err := os.Stat(at); err == nil || !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			break
		}
		made = append(made, at)
	}
	err := os.MkdirAll(dir, 0o700)
	if err == nil {
		err = os.Chmod(dir, 0o700) //nolint:gosec // a directory needs x
	}
	for _, d := range made {
		err = errors.Join(err, syncDir(filepath.Dir(d)))
	}
	if err != nil {
		return fmt.Errorf("cannot use the state directory: %w; it has to belong to the user that runs kioskd", err)
	}
	if len(made) == 0 {
		// A death may have come between its making and the sync. Where somebody else
		// made it (systemd) its parent may be closed to us, and is none of our business.
		if err := syncDir(filepath.Dir(at)); errors.Is(err, errUnsynced) && errors.Is(err, syscall.EIO) {
			return fmt.Errorf("cannot use the state directory: %w", err)
		}
	}
	return nil
}

// diskError makes ErrFull of what a full disk says to a write, a new file, a larger
// one or a new name: nothing was changed. What a sync says stays as it is, for there
// the disk is in doubt, full or not.
func diskError(err error) error {
	if err == nil || errors.Is(err, errUnsynced) || errors.Is(err, ErrFull) {
		return err
	}
	var path *fs.PathError
	var link *os.LinkError
	known := errors.As(err, &path) && path.Op != "sync" || errors.As(err, &link)
	full := known && (errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT))
	if text := err.Error(); strings.HasPrefix(text, boltGrows) { // bbolt makes text of this one (DB.grow)
		full = strings.HasSuffix(text, syscall.ENOSPC.Error()) || strings.HasSuffix(text, syscall.EDQUOT.Error())
	}
	if full {
		return fmt.Errorf("%w (%w)", ErrFull, err)
	}
	return err
}

const boltGrows = "file resize error: "
