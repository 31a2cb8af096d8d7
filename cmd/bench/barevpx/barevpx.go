// Package barevpx is libvpx without anything around it: prepared pictures in, bytes
// counted, thrown away. What our encoder costs is held against it. Imported by the
// bench only.
package barevpx

/*
#cgo pkg-config: vpx
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <vpx/vpx_encoder.h>
#include <vpx/vp8cx.h>

// Encodes n pictures of w x h, I420 one after the other at planes, again and again
// until `total` are done. cpu is the thread's processor time in seconds.
static int bare(const unsigned char *planes, int n, int total, int w, int h, int kbps, int fps, int cpu_used, int threads,
		double *cpu, long long *bytes) {
	vpx_codec_ctx_t ctx;
	vpx_codec_enc_cfg_t c;
	if (vpx_codec_enc_config_default(vpx_codec_vp8_cx(), &c, 0)) return 1;
	c.g_w = w; c.g_h = h; c.g_threads = threads;
	c.g_timebase.num = 1; c.g_timebase.den = 90000;
	c.g_error_resilient = VPX_ERROR_RESILIENT_DEFAULT;
	c.g_pass = VPX_RC_ONE_PASS; c.g_lag_in_frames = 0;
	c.rc_end_usage = VPX_CBR; c.rc_target_bitrate = kbps;
	c.rc_dropframe_thresh = 0; c.rc_resize_allowed = 0;
	c.rc_min_quantizer = 2; c.rc_max_quantizer = 56;
	c.rc_undershoot_pct = 100; c.rc_overshoot_pct = 15;
	c.rc_buf_sz = 600; c.rc_buf_initial_sz = 400; c.rc_buf_optimal_sz = 500;
	c.kf_mode = VPX_KF_DISABLED;
	if (vpx_codec_enc_init(&ctx, vpx_codec_vp8_cx(), &c, 0)) return 2;
	vpx_codec_control(&ctx, VP8E_SET_CPUUSED, cpu_used);
	vpx_codec_control(&ctx, VP8E_SET_STATIC_THRESHOLD, 1);
	vpx_codec_control(&ctx, VP8E_SET_NOISE_SENSITIVITY, 0);
	vpx_codec_control(&ctx, VP8E_SET_TOKEN_PARTITIONS, VP8_ONE_TOKENPARTITION);
	vpx_codec_control(&ctx, VP8E_SET_MAX_INTRA_BITRATE_PCT, 360);
	vpx_image_t img;
	struct timespec a, b;
	*bytes = 0;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &a);
	for (int i = 0; i < total; i++) {
		unsigned char *p = (unsigned char *)planes + (size_t)(i % n) * (w * h * 3 / 2);
		vpx_img_wrap(&img, VPX_IMG_FMT_I420, w, h, 1, p);
		if (vpx_codec_encode(&ctx, &img, (vpx_codec_pts_t)i * 90000 / fps, 90000 / fps, 0, VPX_DL_REALTIME)) return 3;
		vpx_codec_iter_t it = NULL;
		const vpx_codec_cx_pkt_t *pkt;
		while ((pkt = vpx_codec_get_cx_data(&ctx, &it)))
			if (pkt->kind == VPX_CODEC_CX_FRAME_PKT) *bytes += pkt->data.frame.sz;
	}
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &b);
	*cpu = (b.tv_sec - a.tv_sec) + (b.tv_nsec - a.tv_nsec) / 1e9;
	vpx_codec_destroy(&ctx);
	return 0;
}
*/
import "C"

import (
	"errors"
	"fmt"
	"time"
	"unsafe"

	"kioskd/capture"
)

// Settings are those of encode.VP8Params that change the work.
type Settings struct{ Kbps, FPS, CPUUsed, Threads int }

// Encode encodes total pictures, the frames over and over, and gives the processor
// time of the thread that did it and the bytes that came of it.
func Encode(frames []*capture.Frame, total int, s Settings) (cpu time.Duration, bytes int64, err error) {
	if len(frames) == 0 {
		return 0, 0, errors.New("cannot encode no pictures")
	}
	w, h := frames[0].Rect.Dx(), frames[0].Rect.Dy()
	if w%2+h%2 != 0 {
		return 0, 0, fmt.Errorf("cannot encode %dx%d: even sides only", w, h)
	}
	var planes []byte
	for _, f := range frames {
		if f.Rect.Dx() != w || f.Rect.Dy() != h {
			return 0, 0, errors.New("cannot encode pictures of several sizes")
		}
		planes = appendPlane(planes, f.Y, f.YStride, w, h)
		planes = appendPlane(planes, f.Cb, f.CStride, w/2, h/2)
		planes = appendPlane(planes, f.Cr, f.CStride, w/2, h/2)
	}
	var seconds C.double
	var n C.longlong
	code := C.bare((*C.uchar)(unsafe.SliceData(planes)), C.int(len(frames)), C.int(total), C.int(w), C.int(h),
		C.int(s.Kbps), C.int(s.FPS), C.int(s.CPUUsed), C.int(s.Threads), &seconds, &n)
	if code != 0 {
		return 0, 0, fmt.Errorf("cannot encode with libvpx: step %d failed", code)
	}
	return time.Duration(float64(seconds) * float64(time.Second)), int64(n), nil
}

func appendPlane(out, p []byte, stride, w, h int) []byte {
	for y := range h {
		out = append(out, p[y*stride:][:w]...)
	}
	return out
}
