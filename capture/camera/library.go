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

// dequeuer is a *webcam.Webcam.
type dequeuer interface {
	GetFrame() ([]byte, uint32, error)
}

// dequeue is GetFrame with its panics made errors: the library slices and
// indexes by what the driver says.
func dequeue(cam dequeuer) (b []byte, index uint32, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("the driver returned a buffer that does not exist or is too small: %v", p)
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
