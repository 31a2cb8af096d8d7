package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// claims is how cameras share the names of v4l/by-id and v4l/by-path, as udev's
// /run/udev/links does: all who want a name are noted in a folder of its own, the
// name leads to the newest of them. Processes share it; a lock on the folder of
// the devices lets one at a time change it.
type claims struct{ dev string }

const claimsDir = ".fakecam.claims"

// locked runs f alone among all processes.
func (c claims) locked(f func() error) error {
	if err := os.MkdirAll(c.dev, 0o755); err != nil {
		return fmt.Errorf("cannot make %s: %w", c.dev, err)
	}
	fd, err := unix.Open(c.dev, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("cannot open %s: %w", c.dev, err)
	}
	defer unix.Close(fd) // ends the lock
	// Others hold it for a few links' time.
	for {
		if err = unix.Flock(fd, unix.LOCK_EX); err != unix.EINTR {
			break
		}
	}
	if err != nil {
		return fmt.Errorf("cannot lock %s: %w", c.dev, err)
	}
	return f()
}

// folder is where the claims to a link of the devices' folder are noted.
func (c claims) folder(name string) string {
	return filepath.Join(c.dev, claimsDir, filepath.Base(filepath.Dir(name)), filepath.Base(name))
}

// take lets the link lead to target from now on, and returns the claim to give
// back. target is relative to the link's folder.
func (c claims) take(name, target string) (claim string, err error) {
	err = c.locked(func() error {
		// Names sort by age.
		claim = filepath.Join(c.folder(name), fmt.Sprintf("%020d", monotonicNow()))
		if err := link(claim, target); err != nil {
			return err
		}
		return link(filepath.Join(c.dev, name), target)
	})
	return claim, err
}

// giveBack ends a claim. The link goes to the newest that is left of a camera that
// is there, or away.
func (c claims) giveBack(name, claim string) error {
	return c.locked(func() error {
		at := filepath.Join(c.dev, name)
		mine, err := os.Readlink(claim)
		if err == nil {
			err = os.Remove(claim)
		}
		// Another process may have taken us for dead, and forgotten the claim.
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot give back %s: %w", name, err)
		}
		now, err := os.Readlink(at)
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot read the link %s: %w", name, err)
		}
		heir, err := c.heir(name)
		switch {
		case err != nil:
			return err
		case heir != "" && now == mine:
			return link(at, heir)
		case heir != "":
			return nil
		}
		for _, gone := range []string{c.folder(name), filepath.Dir(c.folder(name)), filepath.Join(c.dev, claimsDir)} {
			_ = os.Remove(gone) // others may still need it
		}
		if err := os.Remove(at); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("cannot remove the link %s: %w", name, err)
		}
		return nil
	})
}

// heir is where the newest claim leads to; those of processes that have died are
// forgotten.
func (c claims) heir(name string) (string, error) {
	list, err := os.ReadDir(c.folder(name))
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("cannot list who wants %s: %w", name, err)
	}
	for i := len(list) - 1; i >= 0; i-- {
		claim := filepath.Join(c.folder(name), list[i].Name())
		target, err := os.Readlink(claim)
		if err != nil {
			return "", fmt.Errorf("cannot read a claim to %s: %w", name, err)
		}
		// Through the camera's own link: a mount whose process has died does not answer.
		if _, err := os.Stat(filepath.Join(c.dev, filepath.Dir(name), target)); err == nil {
			return target, nil
		}
		if err := os.Remove(claim); err != nil {
			return "", fmt.Errorf("cannot forget a claim to %s: %w", name, err)
		}
	}
	return "", nil
}

// monotonicNow is CLOCK_MONOTONIC in ns, which all processes share.
func monotonicNow() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return time.Now().UnixNano()
	}
	return ts.Nano()
}
