package encode

/*
#cgo pkg-config: vpx
#include <stdlib.h>
#include <string.h>
#include <vpx/vpx_encoder.h>
#include <vpx/vp8cx.h>

// Everything the encoder was told, in C types. A plain struct of numbers: no
// pointer of Go's ever sits in it.
typedef struct {
	unsigned w, h, kbps, threads, kf_max_dist;
	int cpu_used;
	unsigned noise, static_threshold, max_intra_pct;
} kiosk_vp8_params;

typedef struct {
	vpx_codec_ctx_t ctx;
	vpx_codec_enc_cfg_t cfg;
} kiosk_vp8;

// What one picture became. data is libvpx's and lives until the next call.
typedef struct {
	const void *data;
	size_t len;
	int key;
} kiosk_packet;

static vpx_codec_err_t kiosk_vp8_controls(vpx_codec_ctx_t *ctx, const kiosk_vp8_params *p) {
	vpx_codec_err_t e;
	if ((e = vpx_codec_control(ctx, VP8E_SET_CPUUSED, p->cpu_used))) return e;
	if ((e = vpx_codec_control(ctx, VP8E_SET_STATIC_THRESHOLD, p->static_threshold))) return e;
	if ((e = vpx_codec_control(ctx, VP8E_SET_NOISE_SENSITIVITY, p->noise))) return e;
	if ((e = vpx_codec_control(ctx, VP8E_SET_TOKEN_PARTITIONS, VP8_ONE_TOKENPARTITION))) return e;
	return vpx_codec_control(ctx, VP8E_SET_MAX_INTRA_BITRATE_PCT, p->max_intra_pct);
}

static vpx_codec_err_t kiosk_vp8_open(const kiosk_vp8_params *p, kiosk_vp8 **out) {
	kiosk_vp8 *k = calloc(1, sizeof *k);
	if (!k) return VPX_CODEC_MEM_ERROR;
	vpx_codec_enc_cfg_t *c = &k->cfg;
	vpx_codec_err_t e = vpx_codec_enc_config_default(vpx_codec_vp8_cx(), c, 0);
	if (e) { free(k); return e; }
	c->g_w = p->w;
	c->g_h = p->h;
	c->g_threads = p->threads;
	c->g_timebase.num = 1;
	c->g_timebase.den = 90000;
	c->g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
	c->g_pass = VPX_RC_ONE_PASS;
	c->g_lag_in_frames = 0;
	c->rc_end_usage = VPX_CBR;
	c->rc_target_bitrate = p->kbps;
	c->rc_dropframe_thresh = 0;
	c->rc_resize_allowed = 0;
	c->rc_min_quantizer = 2;
	c->rc_max_quantizer = 56;
	c->rc_undershoot_pct = 100;
	c->rc_overshoot_pct = 15;
	c->rc_buf_sz = 600;
	c->rc_buf_initial_sz = 400;
	c->rc_buf_optimal_sz = 500;
	c->kf_mode = p->kf_max_dist ? VPX_KF_AUTO : VPX_KF_DISABLED;
	c->kf_max_dist = p->kf_max_dist;
	e = vpx_codec_enc_init(&k->ctx, vpx_codec_vp8_cx(), c, 0);
	if (e) { free(k); return e; }
	if ((e = kiosk_vp8_controls(&k->ctx, p))) {
		vpx_codec_destroy(&k->ctx);
		free(k);
		return e;
	}
	*out = k;
	return VPX_CODEC_OK;
}

static vpx_codec_err_t kiosk_vp8_bitrate(kiosk_vp8 *k, unsigned kbps) {
	k->cfg.rc_target_bitrate = kbps;
	return vpx_codec_enc_config_set(&k->ctx, &k->cfg);
}

// The planes come as arguments, so cgo keeps them in place for this call; the
// vpx_image that points at them lives on this stack. libvpx copies the picture
// into its own bordered buffer before it returns.
static vpx_codec_err_t kiosk_vp8_encode(kiosk_vp8 *k, unsigned char *y, unsigned char *u, unsigned char *v,
		int ystride, int cstride, int64_t pts, unsigned long dur, int key, kiosk_packet *out) {
	vpx_image_t img;
	memset(&img, 0, sizeof img);
	img.fmt = VPX_IMG_FMT_I420;
	img.w = img.d_w = k->cfg.g_w;
	img.h = img.d_h = k->cfg.g_h;
	img.bit_depth = 8;
	img.bps = 12;
	img.x_chroma_shift = img.y_chroma_shift = 1;
	img.planes[VPX_PLANE_Y] = y;
	img.planes[VPX_PLANE_U] = u;
	img.planes[VPX_PLANE_V] = v;
	img.stride[VPX_PLANE_Y] = ystride;
	img.stride[VPX_PLANE_U] = img.stride[VPX_PLANE_V] = cstride;
	memset(out, 0, sizeof *out);
	vpx_codec_err_t e = vpx_codec_encode(&k->ctx, &img, pts, dur, key ? VPX_EFLAG_FORCE_KF : 0, VPX_DL_REALTIME);
	if (e) return e;
	vpx_codec_iter_t it = NULL;
	const vpx_codec_cx_pkt_t *pkt;
	while ((pkt = vpx_codec_get_cx_data(&k->ctx, &it))) {
		if (pkt->kind != VPX_CODEC_CX_FRAME_PKT) continue;
		out->data = pkt->data.frame.buf;
		out->len = pkt->data.frame.sz;
		out->key = (pkt->data.frame.flags & VPX_FRAME_IS_KEY) != 0;
	}
	return VPX_CODEC_OK;
}

static void kiosk_vp8_close(kiosk_vp8 *k) {
	vpx_codec_destroy(&k->ctx);
	free(k);
}
*/
import "C"

import (
	"fmt"
	"image"
	"unsafe"
)

// vpxEncoder is one libvpx VP8 encoder for pictures of one size. It is not safe
// for use by two goroutines; VP8 is.
type vpxEncoder struct {
	c      *C.kiosk_vp8
	packet C.kiosk_packet
	w, h   int
}

// openVPX makes an encoder for w by h pictures that starts at kbps.
func openVPX(w, h, kbps int, p VP8Params) (*vpxEncoder, error) {
	params := C.kiosk_vp8_params{
		w: C.unsigned(w), h: C.unsigned(h), kbps: C.unsigned(kbps),
		threads: C.unsigned(p.Threads), kf_max_dist: C.unsigned(p.KeyFrameInterval),
		cpu_used: C.int(p.CPUUsed), noise: C.unsigned(p.NoiseSensitivity),
		static_threshold: C.unsigned(p.StaticThreshold), max_intra_pct: maxIntraPercent * 9 / 10, // libvpx means the target, and goes over it a little
	}
	e := &vpxEncoder{w: w, h: h}
	if code := C.kiosk_vp8_open(&params, &e.c); code != C.VPX_CODEC_OK {
		return nil, fmt.Errorf("cannot open the VP8 encoder for %dx%d at %d kbit/s: %s", w, h, kbps, vpxError(code))
	}
	return e, nil
}

// setBitRate changes the target while running; the next picture obeys it.
func (e *vpxEncoder) setBitRate(kbps int) error {
	if code := C.kiosk_vp8_bitrate(e.c, C.unsigned(kbps)); code != C.VPX_CODEC_OK {
		return fmt.Errorf("cannot set the VP8 bit rate to %d kbit/s: %s", kbps, vpxError(code))
	}
	return nil
}

// encode compresses one checked picture (see checkPicture). pts and dur are in
// 1/90000 s. The bytes are libvpx's and die with the next call.
func (e *vpxEncoder) encode(img *image.YCbCr, pts, dur int64, key bool) ([]byte, bool, error) {
	var force C.int
	if key {
		force = 1
	}
	y := img.Y[img.YOffset(img.Rect.Min.X, img.Rect.Min.Y):]
	c := img.COffset(img.Rect.Min.X, img.Rect.Min.Y)
	code := C.kiosk_vp8_encode(e.c,
		(*C.uchar)(unsafe.SliceData(y)), (*C.uchar)(unsafe.SliceData(img.Cb[c:])), (*C.uchar)(unsafe.SliceData(img.Cr[c:])),
		C.int(img.YStride), C.int(img.CStride), C.int64_t(pts), C.ulong(dur), force, &e.packet)
	if code != C.VPX_CODEC_OK {
		return nil, false, fmt.Errorf("cannot encode a %dx%d picture as VP8: %s", e.w, e.h, vpxError(code))
	}
	data := unsafe.Slice((*byte)(e.packet.data), int(e.packet.len))
	return data, e.packet.key != 0, nil
}

// close frees libvpx's memory.
func (e *vpxEncoder) close() {
	C.kiosk_vp8_close(e.c)
	e.c = nil
}

// vpxError is libvpx's own word for an error code.
func vpxError(code C.vpx_codec_err_t) string {
	return C.GoString(C.vpx_codec_err_to_string(code))
}
