package camera

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// Info is one camera on the machine.
type Info struct {
	// Path is its node now, such as /dev/video0. It may be another's tomorrow.
	Path string
	// ID names the camera for good: its link in v4l/by-id, else in v4l/by-path
	// (the socket it is plugged into), else its bus address, else its path.
	ID string
	// Name is what its maker calls it; Bus is where it is plugged in. Both are
	// empty where it cannot be opened.
	Name, Bus string
	// Formats are what it offers; empty where it cannot be opened.
	Formats []Format
	// Permission is false where this user may not open it.
	Permission bool
	// Err says why it cannot be used now, else nil. It wraps ErrPermission or
	// ErrBusy where one fits. A closed shutter is no error: the camera can be
	// opened and gives black pictures.
	Err error
	// Shutter says how its privacy shutter is now.
	Shutter ShutterState
}

// List finds the cameras under devDir, usually /dev, in the order of their
// numbers. Nodes that take no pictures (a UVC camera's metadata, outputs, radio)
// are left out, and so is one that is unplugged meanwhile. It opens each node
// for a moment and only reads, which starts no stream, lights no lamp and does
// not disturb who streams from it.
func List(devDir string) ([]Info, error) {
	entries, err := os.ReadDir(devDir)
	if err != nil {
		return nil, fmt.Errorf("cannot list cameras: %w", err)
	}
	links := stableNames(devDir)
	var out []Info
	for _, n := range nodeNumbers(entries) {
		info := Info{Path: filepath.Join(devDir, "video"+strconv.Itoa(n)), Permission: true, Shutter: ShutterNone}
		if !probe(&info) {
			continue
		}
		switch {
		case links[info.Path] != "":
			info.ID = links[info.Path]
		case info.Bus != "":
			info.ID = info.Bus
		default:
			info.ID = info.Path
		}
		out = append(out, info)
	}
	return out, nil
}

// nodeNumbers gives the N of each entry named videoN, sorted.
func nodeNumbers(entries []os.DirEntry) []int {
	var out []int
	for _, e := range entries {
		digits, ok := strings.CutPrefix(e.Name(), "video")
		if n, err := strconv.ParseUint(digits, 10, 16); ok && err == nil && strconv.FormatUint(n, 10) == digits {
			out = append(out, int(n))
		}
	}
	slices.Sort(out)
	return out
}

// probe opens the node and fills in what it says. It reports false for what is
// no camera or is gone.
func probe(info *Info) bool {
	cam, err := webcam.Open(info.Path)
	if err != nil {
		if noCamera(err) {
			return false
		}
		info.Err = classify("open", info.Path, err)
		info.Permission = !errors.Is(info.Err, ErrPermission)
		return true
	}
	defer func() { _ = cam.Close() }() // nothing was written, nothing can be lost
	info.Formats = formatsOf(cam)
	// A camera that answers these is there; without a name it is still a camera.
	info.Name, _ = cam.GetName()
	info.Bus, _ = cam.GetBusInfo()
	if fd, err := descriptor(cam); err == nil {
		info.Shutter = shutterOf(fd)
	}
	return len(info.Formats) > 0
}

// noCamera reports whether an error of webcam.Open means that the node takes no
// pictures (the library says so without an errno, a file that is no device by
// ENOTTY or EINVAL) or is unplugged.
func noCamera(err error) bool {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		return true
	}
	return errno == unix.ENOTTY || errno == unix.EINVAL || errors.Is(kindOf(errno), ErrGone)
}

// stableNames maps each node's path to the name of its best link.
func stableNames(devDir string) map[string]string {
	out := map[string]string{}
	for _, dir := range []string{"v4l/by-path", "v4l/by-id"} { // the later wins
		dir = filepath.Join(devDir, dir)
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue // no udev, or no camera with such a name
		}
		for _, e := range entries {
			to, err := os.Readlink(filepath.Join(dir, e.Name()))
			if err != nil {
				continue
			}
			if !filepath.IsAbs(to) {
				to = filepath.Join(dir, to)
			}
			out[filepath.Clean(to)] = e.Name()
		}
	}
	return out
}
