package camera

import (
	"cmp"
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Info is one camera on the machine.
type Info struct {
	// Path is its node now, such as /dev/video0. It may be another's tomorrow.
	Path string
	// ID names the camera among those of this list: Base, or where another one has
	// the same Base, that with its port behind ("-at-usb-1-2.4"). Like Base it has
	// at most 128 characters of [A-Za-z0-9._-].
	ID string
	// Base names the camera for good, the same wherever it is plugged in: USB
	// vendor, product and serial number, such as usb-046d-082d-2F9A6B1E. Where it
	// has no serial number of its own it is the name of its port; where it is on no
	// USB, or sysfs does not know it, its link in v4l/by-id, else in v4l/by-path,
	// else its bus address, else its path.
	Base string
	// Port names the USB port it is plugged into, such as usb-1-2.4 (bus 1, port 2,
	// and there port 4 of a hub); "" where that is not known. Where says it for a
	// person: "USB port 1-2.4".
	Port, Where string
	// Name is what its maker calls it. Bus is where the driver says that it is
	// plugged in; empty where it cannot be opened.
	Name, Bus string
	// Formats are what it offers; empty where it cannot be opened.
	Formats []Format
	// Permission is false where this user may not open it.
	Permission bool
	// Err says why it cannot be used now, else nil. It wraps ErrPermission, ErrBusy
	// or ErrHung where one fits. A closed shutter is no error: the camera can be
	// opened and gives black pictures.
	Err error
	// Shutter says how its privacy shutter is now.
	Shutter ShutterState
	// Controls are what a technician can set; none after Look.
	Controls []Control
}

// stableName is what udev's links call a node.
type stableName struct{ byID, byPath string }

// identify fills in the names. The bus address counts where it is known already.
func (i *Info) identify(id identity, link stableName) {
	i.Port, i.Where = id.portName(), id.where()
	own := ""
	if id.vendor == "" { // several nodes of one platform device share its by-path link, and udev gives it to any of them
		own = identifier(id.name)
	}
	i.Base = cmp.Or(id.base(), identifier(link.byID), own, identifier(link.byPath), identifier(i.Bus), identifier(i.Path), "camera")
	i.Name = cmp.Or(i.Name, id.name)
}

// nodeNumber gives the N of videoN.
func nodeNumber(name string) (int, bool) {
	digits, ok := strings.CutPrefix(name, "video")
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), ok && err == nil && strconv.FormatUint(n, 10) == digits
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

// stableNames maps each node's path to the names of its links.
func stableNames(devDir string) map[string]stableName {
	out := map[string]stableName{}
	for _, kind := range []string{"by-path", "by-id"} {
		dir := filepath.Join(devDir, "v4l", kind)
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
			to = filepath.Clean(to)
			name := out[to]
			if kind == "by-id" {
				name.byID = e.Name()
			} else {
				name.byPath = e.Name()
			}
			out[to] = name
		}
	}
	return out
}
