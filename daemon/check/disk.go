package check

import (
	"errors"
	"fmt"
	"io/fs"
	"strconv"

	"golang.org/x/sys/unix"

	"kioskd/daemon/api/apitype"
)

// What the state directory's file system should have left, in bytes. A store of its
// usual size is below 1 MiB, 32 reports that wait are 8 MiB.
const (
	diskFails = 16 << 20
	diskWarns = 128 << 20
)

// disk is what statfs(2) said of a folder.
type disk struct {
	path string
	free uint64 // bytes for who is not root
	err  error
}

func probeDisk(path string) disk {
	var s unix.Statfs_t
	if err := unix.Statfs(path, &s); err != nil {
		return disk{path: path, err: fmt.Errorf("cannot ask for the room at %s: %w", path, err)}
	}
	return disk{path: path, free: s.Bavail * uint64(s.Bsize)}
}

// judgeDisk judges the room that the store has.
func judgeDisk(d disk) finding {
	const code, more = apitype.CheckDisk, "journalctl --vacuum-size=100M"
	switch {
	case errors.Is(d.err, fs.ErrNotExist):
		return fail(code, "state_missing", "systemctl restart kioskd", "path", d.path)
	case d.err != nil:
		return skip(code, "disk_unknown")
	}
	args := []string{"path", d.path, "free", strconv.FormatUint(d.free>>20, 10)}
	var f finding
	switch {
	case d.free < diskFails:
		f = fail(code, "disk_full", more, args...)
	case d.free < diskWarns:
		f = warn(code, "disk_low", more, args...)
	default:
		f = pass(code, args...)
	}
	return f.with("free_bytes", float64(d.free))
}
