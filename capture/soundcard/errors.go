package soundcard

import (
	"errors"
	"fmt"
	"syscall"
)

// Why a device does not open. OpenPCM's errors wrap one of these where the caller
// can do something about it, and always the errno.
var (
	ErrNoDevice   = errors.New("no such device")            // not plugged in, or its sound server is not there
	ErrBusy       = errors.New("another program uses it")   // EBUSY
	ErrPermission = errors.New("this user may not open it") // EACCES, EPERM
)

// openError names why a device does not open, in a type the caller can branch on.
func openError(stream Stream, name string, err syscall.Errno) error {
	var kind error
	switch err {
	case syscall.EBUSY, syscall.EAGAIN:
		kind = ErrBusy
	case syscall.EACCES, syscall.EPERM:
		kind = ErrPermission
	case syscall.ENOENT, syscall.ENODEV, syscall.ENXIO, syscall.ECONNREFUSED, syscall.EIO:
		kind = ErrNoDevice
	default:
		return fmt.Errorf("cannot open %s %s: %w", stream, name, err)
	}
	return fmt.Errorf("cannot open %s %s: %w (%w)", stream, name, kind, err)
}
