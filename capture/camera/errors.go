package camera

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/sys/unix"
)

// Why a camera cannot be used. Every error of this package about a device wraps
// one of them where it fits; callers branch on these and on nothing else.
var (
	// ErrGone: unplugged, or there is none.
	ErrGone = errors.New("the camera is gone; plug it in")
	// ErrStalled: it is there and open, but gives no usable picture. ErrHung and
	// ErrDamaged are of its kind.
	ErrStalled = errors.New("the camera gives no picture; unplug it and plug it in again")
	// ErrHung: its driver does not answer a system call.
	ErrHung error = stall("the camera's driver does not answer; unplug the camera and plug it in again")
	// ErrDamaged: it sends, but nothing that is a picture.
	ErrDamaged error = stall("the camera sends damaged pictures; plug it in firmly, without a hub, or change its cable")
	// ErrBusy: another program streams from it.
	ErrBusy = errors.New("another program uses the camera; end that program")
	// ErrNoRoom: the USB bus carries no further stream.
	ErrNoRoom = errors.New("the USB port carries no further camera; plug the camera into another one")
	// ErrPermission: the user may not open it.
	ErrPermission = errors.New("no permission to open the camera; put the user in its group")
)

// Why controls are not set.
var (
	// ErrControlUnknown: the camera has no control of that name.
	ErrControlUnknown = errors.New("the camera has no such control; list its controls")
	// ErrControlValue: the control does not take the value, or none now.
	ErrControlValue = errors.New("the control does not take the value")
)

// stall is a reason of its own that is also ErrStalled.
type stall string

func (s stall) Error() string { return string(s) }

// Is makes errors.Is(s, ErrStalled) true.
func (stall) Is(target error) bool { return target == ErrStalled }

// classify wraps err, which came up while doing what to the camera at path, and
// adds which of the errors above it is.
func classify(what, path string, err error) error {
	kind := kindOf(err)
	if kind == nil {
		return fmt.Errorf("cannot %s camera %s: %w", what, path, err)
	}
	return fmt.Errorf("cannot %s camera %s: %w: %w", what, path, err, kind)
}

// kindOf maps the errno of a V4L2 call (kernel documentation, "Generic Error
// Codes" and the pages of each ioctl) to an error of this package, else nil.
func kindOf(err error) error {
	var errno unix.Errno
	if !errors.As(err, &errno) {
		errno = hiddenErrno(err)
	}
	switch errno {
	case unix.ENODEV, unix.ENXIO, unix.ENOENT, // unplugged; its node is stale or removed
		unix.ECONNABORTED, unix.ENOTCONN, // its server in user space died
		unix.ESHUTDOWN: // its USB link is down
		return ErrGone
	case unix.EBUSY:
		return ErrBusy
	case unix.ENOSPC:
		return ErrNoRoom
	case unix.EACCES, unix.EPERM:
		return ErrPermission
	case unix.ETIMEDOUT: // USB's answer of a camera that has hung itself up
		return ErrStalled
	default: // some other failure of the device
		return nil
	}
}

// hiddenErrno finds the errno in an error of webcam.StartStreaming, which keeps
// only its words: "Failed to map request buffers: device or resource busy".
func hiddenErrno(err error) unix.Errno {
	for _, e := range []unix.Errno{
		unix.EBUSY, unix.ENOSPC, unix.ENODEV, unix.ENXIO, unix.ECONNABORTED, unix.ENOTCONN, unix.ESHUTDOWN,
		unix.EACCES, unix.EPERM, unix.ETIMEDOUT,
	} {
		if strings.HasSuffix(err.Error(), ": "+e.Error()) {
			return e
		}
	}
	return 0
}
