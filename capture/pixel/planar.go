package pixel

/*
#cgo LDFLAGS: -lyuv
#cgo noescape kiosk_nv12
#cgo nocallback kiosk_nv12
#cgo noescape kiosk_i420
#cgo nocallback kiosk_i420
#cgo noescape kiosk_scale
#cgo nocallback kiosk_scale
#include <stdint.h>
#include <libyuv/convert.h>
#include <libyuv/scale.h>

static int kiosk_nv12(const uint8_t *src, int stride, int rows, uint8_t *y, int ys,
                      uint8_t *u, uint8_t *v, int cs, int w, int h) {
	return NV12ToI420(src, stride, src + (size_t)stride * rows, stride, y, ys, u, cs, v, cs, w, h);
}

static int kiosk_i420(const uint8_t *src, int stride, uint8_t *y, int ys,
                      uint8_t *u, uint8_t *v, int cs, int w, int h) {
	const uint8_t *su = src + (size_t)stride * h;
	const uint8_t *sv = su + (size_t)(stride / 2) * (h / 2);
	return I420Copy(src, stride, su, stride / 2, sv, stride / 2, y, ys, u, cs, v, cs, w, h);
}

static int kiosk_scale(const uint8_t *sy, int sys, const uint8_t *su, const uint8_t *sv, int scs, int sw, int sh,
                       uint8_t *y, int ys, uint8_t *u, uint8_t *v, int cs, int w, int h) {
	return I420Scale(sy, sys, su, scs, sv, scs, sw, sh, y, ys, u, cs, v, cs, w, h, kFilterBox);
}
*/
import "C"

import (
	"bytes"
	"errors"
	"fmt"

	"kioskd/capture"
)

// errScale means a picture that Scale cannot make of the other.
var errScale = errors.New("cannot scale a picture")

// checkPlanar refuses what does not hold w x h pixels of 4:2:0 in lines of stride
// bytes: luma first, then half as many lines' worth of chroma.
func checkPlanar(name string, dst *capture.Frame, src []byte, stride, need int) error {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if err := checkFrame(dst); err != nil {
		return err
	}
	if w%2 != 0 || h%2 != 0 || stride < w || stride%2 != 0 || stride > 8*capture.MaxSide {
		return fmt.Errorf("cannot convert %s of %dx%d in lines of %d bytes: %w", name, w, h, stride, ErrPicture)
	}
	if len(src) < need {
		return fmt.Errorf("cannot convert %s of %dx%d: %d bytes of %d: %w", name, w, h, len(src), need, ErrPicture)
	}
	return nil
}

// NV12 converts V4L2_PIX_FMT_NV12 into dst: h lines of stride bytes of luma, then
// h/2 lines of stride bytes of interleaved U and V. Both sides are even; the last
// line may be cut after its pixels. Any other input is an error that wraps
// ErrPicture; dst is then unchanged.
func NV12(dst *capture.Frame, src []byte, stride int) error {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if err := checkPlanar("NV12", dst, src, stride, stride*(h+h/2-1)+w); err != nil {
		return err
	}
	rc := C.kiosk_nv12(bytePtr(src), C.int(stride), C.int(h), bytePtr(dst.Y), C.int(dst.YStride),
		bytePtr(dst.Cb), bytePtr(dst.Cr), C.int(dst.CStride), C.int(w), C.int(h))
	if rc != 0 {
		return fmt.Errorf("cannot convert NV12 of %dx%d: libyuv answers %d: %w", w, h, rc, ErrPicture)
	}
	return nil
}

// I420 copies V4L2_PIX_FMT_YUV420 ("YU12") into dst: h lines of stride bytes of
// luma, then h/2 lines of stride/2 bytes of U, then the same of V. Both sides and the
// stride are even. Any other input is an error that wraps ErrPicture; dst is then
// unchanged.
func I420(dst *capture.Frame, src []byte, stride int) error {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if err := checkPlanar("I420", dst, src, stride, stride*h+(stride/2)*(h-1)+w/2); err != nil {
		return err
	}
	rc := C.kiosk_i420(bytePtr(src), C.int(stride), bytePtr(dst.Y), C.int(dst.YStride),
		bytePtr(dst.Cb), bytePtr(dst.Cr), C.int(dst.CStride), C.int(w), C.int(h))
	if rc != 0 {
		return fmt.Errorf("cannot convert I420 of %dx%d: libyuv answers %d: %w", w, h, rc, ErrPicture)
	}
	return nil
}

// GREY copies V4L2_PIX_FMT_GREY, 8 bits of luma a pixel in lines of stride bytes,
// into dst and makes its chroma neutral. Other input is an error that wraps
// ErrPicture; dst is then unchanged.
func GREY(dst *capture.Frame, src []byte, stride int) error {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if err := checkFrame(dst); err != nil {
		return err
	}
	if stride < w || stride > 8*capture.MaxSide {
		return fmt.Errorf("cannot convert GREY of %dx%d in lines of %d bytes: %w", w, h, stride, ErrPicture)
	}
	if need := stride*(h-1) + w; len(src) < need {
		return fmt.Errorf("cannot convert GREY of %dx%d: %d bytes of %d: %w", w, h, len(src), need, ErrPicture)
	}
	for y := range h {
		copy(dst.Y[y*dst.YStride:][:w], src[y*stride:][:w])
	}
	cw, ch := (w+1)/2, (h+1)/2
	for y := range ch {
		fill(dst.Cb[y*dst.CStride:][:cw], 128)
		fill(dst.Cr[y*dst.CStride:][:cw], 128)
	}
	return nil
}

func fill(b []byte, v byte) {
	if len(b) == 0 || b[0] == v && bytes.Equal(b[1:], b[:len(b)-1]) {
		return // a frame of the pool that was grey before
	}
	for i := range b {
		b[i] = v
	}
}

// Scale makes of src a picture of dst's size: the largest part of src with dst's
// aspect ratio, about its centre, each pixel the mean of those it stands for. Seq,
// Time and what is known of the picture go along. An error means planes
// that do not fit their size.
func Scale(dst, src *capture.Frame) error {
	if err := errors.Join(checkFrame(dst), checkFrame(src)); err != nil {
		return err
	}
	sw, sh, w, h := src.Rect.Dx(), src.Rect.Dy(), dst.Rect.Dx(), dst.Rect.Dy()
	cw, ch := sw, sh
	if sw*h > w*sh {
		cw = max(sh*w/h, 1)
	} else {
		ch = max(sw*h/w, 1)
	}
	x, y := (sw-cw)/2&^1, (sh-ch)/2&^1 // whole chroma pixels
	luma, chroma := y*src.YStride+x, y/2*src.CStride+x/2
	rc := C.kiosk_scale(bytePtr(src.Y[luma:]), C.int(src.YStride), bytePtr(src.Cb[chroma:]), bytePtr(src.Cr[chroma:]), C.int(src.CStride), C.int(cw), C.int(ch),
		bytePtr(dst.Y), C.int(dst.YStride), bytePtr(dst.Cb), bytePtr(dst.Cr), C.int(dst.CStride), C.int(w), C.int(h))
	if rc != 0 {
		return fmt.Errorf("%w of %dx%d to %dx%d: libyuv answers %d", errScale, sw, sh, w, h, rc)
	}
	dst.Seq, dst.Time, dst.Patient, dst.Scene = src.Seq, src.Time, src.Patient, src.Scene
	return nil
}
