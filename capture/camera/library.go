package camera

import (
	"encoding/binary"
	"errors"
	"fmt"
	"reflect"
	"unsafe"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// What the library keeps to itself and this package cannot do without:
//
//   - the descriptor: to wait for a frame with a deadline and be woken at once
//     (WaitForFrame takes whole seconds and is woken by nothing), to ask which
//     format S_FMT really set (SetImageFormat returns the size it was given),
//     and to keep children of this process from inheriting an open camera;
//   - the buffers: a StartStreaming that fails half way leaves them mapped, and
//     a mapping holds the device open after Close.
//
// Both are read by reflection, never written. Looking for the descriptor in
// /proc/self/fd instead can not tell apart two opens of one device. Should a new
// version of the library name its fields in another way, Open fails and
// TestLibraryKeepsItsFields says so.

// errLibrary means that the fields below are not where they were.
var errLibrary = errors.New("cannot use this version of the webcam library: its fields have changed")

// descriptor returns the file descriptor that cam has open.
func descriptor(cam *webcam.Webcam) (int, error) {
	v := reflect.ValueOf(cam).Elem().FieldByName("fd")
	if v.Kind() != reflect.Uintptr {
		return -1, errLibrary
	}
	return int(v.Uint()), nil
}

// unmapAll unmaps the buffers that a failed StartStreaming left behind. Where
// StopStreaming was called it must not be.
func unmapAll(cam *webcam.Webcam) error {
	v := reflect.ValueOf(cam).Elem().FieldByName("buffers")
	if v.Kind() != reflect.Slice || v.Type().Elem() != reflect.TypeFor[[]byte]() {
		return errLibrary
	}
	var errs []error
	for i := range v.Len() {
		if b := v.Index(i).Bytes(); len(b) > 0 {
			errs = append(errs, unix.Munmap(b))
		}
	}
	return errors.Join(errs...)
}

// vidiocGFmt is VIDIOC_G_FMT of linux/videodev2.h: _IOWR('V', 4, struct v4l2_format).
const vidiocGFmt = 3<<30 | 208<<16 | 'V'<<8 | 4

const bufTypeVideoCapture = 1 // V4L2_BUF_TYPE_VIDEO_CAPTURE

// v4l2Format is struct v4l2_format of a 64-bit kernel with the single-planar
// member of its union.
type v4l2Format struct {
	typ          uint32
	_            uint32 // the union is aligned for pointers
	width        uint32
	height       uint32
	pixelFormat  uint32
	field        uint32
	bytesPerLine uint32
	sizeImage    uint32
	_            [176]byte
}

// readFormat asks the driver for the format that is set.
func readFormat(fd int) (v4l2Format, error) {
	f := v4l2Format{typ: bufTypeVideoCapture}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), vidiocGFmt, uintptr(unsafe.Pointer(&f)))
	if errno != 0 {
		return v4l2Format{}, errno
	}
	return f, nil
}

// vidiocGCtrl is VIDIOC_G_CTRL of linux/videodev2.h: _IOWR('V', 27, struct v4l2_control).
const vidiocGCtrl = 3<<30 | 8<<16 | 'V'<<8 | 27

// readControl asks the driver for a control's value. The library's GetControl
// goes through the same call; this one works beside a Webcam that is in use.
func readControl(fd int, id uint32) (int32, error) {
	c := struct {
		id    uint32
		value int32
	}{id: id}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), vidiocGCtrl, uintptr(unsafe.Pointer(&c)))
	if errno != 0 {
		return 0, errno
	}
	return c.value, nil
}

// vidiocSCtrl, vidiocQueryCtrl and vidiocQueryMenu are of linux/videodev2.h:
// _IOWR('V', 28, struct v4l2_control), 36 with struct v4l2_queryctrl, 37 with struct
// v4l2_querymenu. The library has the first two, but tells neither a control's
// default and flags nor what a menu says.
const (
	vidiocSCtrl     = 3<<30 | 8<<16 | 'V'<<8 | 28
	vidiocQueryCtrl = 3<<30 | 68<<16 | 'V'<<8 | 36
	vidiocQueryMenu = 3<<30 | 44<<16 | 'V'<<8 | 37
)

// Of linux/videodev2.h and linux/v4l2-controls.h.
const (
	ctrlTypeInteger, ctrlTypeBoolean, ctrlTypeMenu = 1, 2, 3

	ctrlFlagDisabled  = 0x0001
	ctrlFlagGrabbed   = 0x0002
	ctrlFlagReadOnly  = 0x0004
	ctrlFlagInactive  = 0x0010
	ctrlFlagWriteOnly = 0x0040
	ctrlFlagNext      = 0x80000000

	ctrlClassMask   = 0x0fff0000
	ctrlClassUser   = 0x00980000
	ctrlClassCamera = 0x009a0000
)

// v4l2QueryCtrl is struct v4l2_queryctrl.
type v4l2QueryCtrl struct {
	id, typ                              uint32
	name                                 [32]byte
	minimum, maximum, step, defaultValue int32
	flags                                uint32
	_                                    [2]uint32
}

// v4l2QueryMenu is struct v4l2_querymenu, packed as it is without gaps.
type v4l2QueryMenu struct {
	id, index uint32
	name      [32]byte
	_         uint32
}

// queryControl asks for the control, or with ctrlFlagNext for the one behind it.
func queryControl(fd int, id uint32) (v4l2QueryCtrl, error) {
	q := v4l2QueryCtrl{id: id}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), vidiocQueryCtrl, uintptr(unsafe.Pointer(&q)))
	if errno != 0 {
		return v4l2QueryCtrl{}, errno
	}
	return q, nil
}

// queryMenu asks what an entry of a menu is called; EINVAL where there is none.
func queryMenu(fd int, id, index uint32) (string, error) {
	m := v4l2QueryMenu{id: id, index: index}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), vidiocQueryMenu, uintptr(unsafe.Pointer(&m)))
	if errno != 0 {
		return "", errno
	}
	return webcam.CToGoString(m.name[:]), nil
}

// writeControl sets a control.
func writeControl(fd int, id uint32, value int32) error {
	c := struct {
		id    uint32
		value int32
	}{id, value}
	_, _, errno := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), vidiocSCtrl, uintptr(unsafe.Pointer(&c)))
	if errno != 0 {
		return errno
	}
	return nil
}

// dequeuer is a *webcam.Webcam.
type dequeuer interface {
	GetFrame() ([]byte, uint32, error)
}

// errOversized means a buffer that is said to hold more than fits in, or that
// does not exist. It cannot be given back, for its number is lost with it.
var errOversized = errors.New("the driver returned a buffer that does not exist or is too small")

// dequeue is GetFrame with its panics made errors: the library slices and
// indexes by what the driver says.
func dequeue(cam dequeuer) (b []byte, index uint32, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: %v", errOversized, p)
		}
	}()
	return cam.GetFrame()
}

// fourCC spells a pixel format as its four letters, unprintable ones as '?'.
func fourCC(f webcam.PixelFormat) string {
	b := binary.LittleEndian.AppendUint32(nil, uint32(f))
	for i, c := range b {
		if c < ' ' || c > '~' {
			b[i] = '?'
		}
	}
	return string(b)
}

// pixelFormat is the inverse of fourCC for four letters.
func pixelFormat(s string) webcam.PixelFormat {
	return webcam.PixelFormat(binary.LittleEndian.Uint32([]byte(s)))
}
