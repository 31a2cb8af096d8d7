// Package pixel turns what cameras send into I420 pictures through libyuv and libjpeg-turbo:
// Motion-JPEG and raw YUYV, NV12, I420 and grey, straight into a frame's planes, and
// scales them, with no allocation a frame. It owns the project's bindings of the two and nothing else.
//
// It may be imported by capture/camera and daemon/call. It imports capture for the Frame.
//
// JPEG is decoded by libjpeg-turbo's raw interface straight into the frame's planes:
// a picture that is made by libyuv's own way through the same library is copied once more, 4 % of what
// a picture costs from the driver to H.264.
//
// Every byte here comes from a device, so all sizes are checked before C is
// called: a short, torn or foreign picture is an error, never a crash.
//
// A JPEG's luma uses 0..255 (JFIF 1.02), the I420 made from it is taken as
// 16..235 by encoders and browsers (ITU-R BT.601). As in browsers' own capture
// the values are passed on as they are: it costs some contrast at the ends and
// saves a pass over the picture.
package pixel

/*
#cgo LDFLAGS: -lyuv
#cgo noescape kiosk_yuyv
#cgo nocallback kiosk_yuyv
#include <stddef.h>
#include <stdint.h>
#include <libyuv/convert.h>

static int kiosk_yuyv(const uint8_t *src, int stride, uint8_t *y, int ys,
                      uint8_t *u, uint8_t *v, int cs, int w, int h) {
	return YUY2ToI420(src, stride, y, ys, u, cs, v, cs, w, h);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"unsafe"

	"kioskd/capture"
)

// ErrPicture is wrapped by every error about what a camera sent: the picture is
// to be dropped and counted, the next may be good.
var ErrPicture = errors.New("the picture is damaged or has another size")

// errFrame means a destination that no Pool made: a bug of the caller.
var errFrame = errors.New("cannot convert a picture: the frame's planes do not fit its size")

// YUYV converts packed 4:2:2 (V4L2_PIX_FMT_YUYV: Y0 U Y1 V) into dst. src holds
// dst's height in lines of stride bytes each (v4l2_pix_format.bytesperline; at
// least 2 bytes a pixel), the last of which may be cut after its pixels. The
// width is even. Chroma is the mean of two lines. Any other input is an error
// that wraps ErrPicture; dst is then unchanged.
func YUYV(dst *capture.Frame, src []byte, stride int) error {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if err := checkFrame(dst); err != nil {
		return err
	}
	if w%2 != 0 || stride < 2*w || stride > 8*capture.MaxSide {
		return fmt.Errorf("cannot convert YUYV of %dx%d in lines of %d bytes: %w", w, h, stride, ErrPicture)
	}
	if need := stride*(h-1) + 2*w; len(src) < need {
		return fmt.Errorf("cannot convert YUYV of %dx%d: %d bytes of %d: %w", w, h, len(src), need, ErrPicture)
	}
	rc := C.kiosk_yuyv(bytePtr(src), C.int(stride), bytePtr(dst.Y), C.int(dst.YStride),
		bytePtr(dst.Cb), bytePtr(dst.Cr), C.int(dst.CStride), C.int(w), C.int(h))
	if rc != 0 {
		return fmt.Errorf("cannot convert YUYV of %dx%d: libyuv answers %d: %w", w, h, rc, ErrPicture)
	}
	return nil
}

// checkFrame makes sure that C stays inside the planes.
func checkFrame(f *capture.Frame) error {
	w, h := f.Rect.Dx(), f.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	chroma := min(len(f.Cb), len(f.Cr))
	switch {
	case f.Rect.Min != image.Point{}, f.SubsampleRatio != image.YCbCrSubsampleRatio420,
		w < 1, h < 1, w > capture.MaxSide, h > capture.MaxSide,
		f.YStride < w, f.CStride < cw,
		len(f.Y) < f.YStride*(h-1)+w, chroma < f.CStride*(ch-1)+cw:
		return errFrame
	}
	return nil
}

func bytePtr(b []byte) *C.uint8_t { return (*C.uint8_t)(unsafe.Pointer(unsafe.SliceData(b))) }
