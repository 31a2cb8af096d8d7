package encode

/*
#cgo pkg-config: vpx
#include <stdlib.h>
#include <vpx/vpx_decoder.h>
#include <vpx/vp8dx.h>

static vpx_codec_err_t kiosk_vp8d_open(vpx_codec_ctx_t **out) {
	vpx_codec_ctx_t *ctx = calloc(1, sizeof *ctx);
	if (!ctx) return VPX_CODEC_MEM_ERROR;
	vpx_codec_dec_cfg_t cfg = { .threads = 1 };
	vpx_codec_err_t e = vpx_codec_dec_init(ctx, vpx_codec_vp8_dx(), &cfg, 0);
	if (e) { free(ctx); return e; }
	*out = ctx;
	return VPX_CODEC_OK;
}

static vpx_codec_err_t kiosk_vp8d_decode(vpx_codec_ctx_t *ctx, const unsigned char *data, unsigned len, vpx_image_t **img) {
	*img = NULL;
	vpx_codec_err_t e = vpx_codec_decode(ctx, data, len, NULL, 0);
	if (e) return e;
	vpx_codec_iter_t it = NULL;
	vpx_image_t *next;
	while ((next = vpx_codec_get_frame(ctx, &it))) *img = next;
	return VPX_CODEC_OK;
}

static void kiosk_vp8d_close(vpx_codec_ctx_t *ctx) {
	vpx_codec_destroy(ctx);
	free(ctx);
}
*/
import "C"

import (
	"errors"
	"fmt"
	"image"
	"unsafe"
)

// VP8Decoder turns VP8 frames back into pictures. The kiosk never decodes: it
// is for tests and tools that prove what a far side would see. For one
// goroutine at a time.
type VP8Decoder struct {
	ctx *C.vpx_codec_ctx_t
	img *image.YCbCr
}

// NewVP8Decoder opens libvpx's decoder; Close it.
func NewVP8Decoder() (*VP8Decoder, error) {
	d := &VP8Decoder{}
	if code := C.kiosk_vp8d_open(&d.ctx); code != C.VPX_CODEC_OK {
		return nil, fmt.Errorf("cannot open the VP8 decoder: %s", vpxError(code))
	}
	return d, nil
}

// Decode gives the picture of one VP8 frame, 4:2:0, valid until the next
// Decode. The stream must begin with a keyframe of at most 4096 pixels a side.
func (d *VP8Decoder) Decode(data []byte) (*image.YCbCr, error) {
	if d.ctx == nil {
		return nil, errors.New("cannot decode VP8: the decoder is closed")
	}
	if len(data) == 0 {
		return nil, errors.New("cannot decode an empty VP8 frame")
	}
	if w, h, key := KeyframeSize(data); key && (w > maxSide || h > maxSide) {
		return nil, fmt.Errorf("cannot decode a %dx%d VP8 picture: sides must be at most %d", w, h, maxSide)
	}
	var out *C.vpx_image_t
	code := C.kiosk_vp8d_decode(d.ctx, (*C.uchar)(unsafe.SliceData(data)), C.unsigned(len(data)), &out)
	if code != C.VPX_CODEC_OK {
		return nil, fmt.Errorf("cannot decode a VP8 frame of %d bytes: %s", len(data), vpxError(code))
	}
	if out == nil {
		return nil, errors.New("cannot decode a VP8 frame: it holds no picture")
	}
	w, h := int(out.d_w), int(out.d_h)
	if d.img == nil || d.img.Rect.Dx() != w || d.img.Rect.Dy() != h {
		d.img = image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420)
	}
	copyPlane(d.img.Y, d.img.YStride, out.planes[0], int(out.stride[0]), w, h)
	copyPlane(d.img.Cb, d.img.CStride, out.planes[1], int(out.stride[1]), (w+1)/2, (h+1)/2)
	copyPlane(d.img.Cr, d.img.CStride, out.planes[2], int(out.stride[2]), (w+1)/2, (h+1)/2)
	return d.img, nil
}

func copyPlane(dst []byte, dstStride int, src *C.uchar, srcStride, w, h int) {
	for y := range h {
		row := unsafe.Slice((*byte)(unsafe.Add(unsafe.Pointer(src), y*srcStride)), w)
		copy(dst[y*dstStride:][:w], row)
	}
}

// Close frees libvpx's memory. A second Close does nothing.
func (d *VP8Decoder) Close() error {
	if d.ctx != nil {
		C.kiosk_vp8d_close(d.ctx)
		d.ctx = nil
	}
	return nil
}
