package pixel

/*
#cgo LDFLAGS: -lyuv -ljpeg
#cgo noescape kiosk_mjpg
#cgo nocallback kiosk_mjpg
#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <jpeglib.h>
#include <jerror.h>
#include <libyuv/planar_functions.h>
#include <libyuv/scale.h>

enum { MOST_ROWS = 4 * DCTSIZE, MOST_SCANS = 64 }; // of 4, the largest sampling factor (T.81, B.2.2)

typedef struct {
	struct jpeg_error_mgr pub;
	jmp_buf out;
} kiosk_jpeg_errors;

static void kiosk_jpeg_give_up(j_common_ptr c) { longjmp(((kiosk_jpeg_errors *)c->err)->out, 1); }

// What is only said of a picture that has lost a part ends it; what cameras do all
// the time, such as bytes before a marker, does not.
static void kiosk_jpeg_message(j_common_ptr c, int level) {
	if (level >= 0) return;
	switch (c->err->msg_code) {
	case JWRN_HIT_MARKER: case JWRN_HUFF_BAD_CODE: case JWRN_JPEG_EOF: case JWRN_MUST_RESYNC: case JWRN_ARITH_BAD_CODE:
		kiosk_jpeg_give_up(c);
	}
}

// A progressive picture of thousands of empty scans would cost minutes.
static void kiosk_jpeg_progress(j_common_ptr c) {
	if (c->is_decompressor && ((j_decompress_ptr)c)->input_scan_number > MOST_SCANS) kiosk_jpeg_give_up(c);
}

// One plane of a picture, and where the decoder's rows of it go: straight into the
// picture where they end where its rows end, else into rows of our own, from which
// they are copied or made smaller.
typedef struct {
	uint8_t *to;
	int stride, w, h;       // of the picture's plane
	int down, across;       // how many of the decoder's rows and columns make one of the plane's: 1 or 2
	int rows, wide, left;   // of the decoder: rows at a time, bytes a row, rows that are left
	uint8_t *own;           // rows of wide bytes: one at a time's worth and one for what is past the end
	JSAMPROW row[MOST_ROWS];
} kiosk_plane;

static void kiosk_plane_open(kiosk_plane *p, struct jpeg_decompress_struct *c, int i, uint8_t *to, int stride, int w, int h) {
	jpeg_component_info *comp = &c->comp_info[i];
	p->to = to;
	p->stride = stride;
	p->w = w;
	p->h = h;
	p->across = i > 0 && comp->h_samp_factor == c->max_h_samp_factor ? 2 : 1;
	p->down = i > 0 && comp->v_samp_factor == c->max_v_samp_factor ? 2 : 1;
	p->rows = comp->v_samp_factor * DCTSIZE;
	p->wide = comp->width_in_blocks * DCTSIZE;
	p->left = p->down == 2 ? c->output_height : h;
	p->own = (*c->mem->alloc_large)((j_common_ptr)c, JPOOL_IMAGE, (size_t)p->wide * (p->rows + 1));
}

static int kiosk_plane_direct(const kiosk_plane *p) { return p->down == 1 && p->wide == p->w; }

static void kiosk_plane_aim(kiosk_plane *p) {
	for (int i = 0; i < p->rows; i++) {
		if (i >= p->left) p->row[i] = p->own + (size_t)p->rows * p->wide;
		else if (kiosk_plane_direct(p)) p->row[i] = p->to + (size_t)i * p->stride;
		else p->row[i] = p->own + (size_t)i * p->wide;
	}
}

static void kiosk_plane_take(kiosk_plane *p) {
	int got = p->left < p->rows ? p->left : p->rows, made = (got + p->down - 1) / p->down;
	if (p->across == 2) {
		ScalePlane(p->own, p->wide, 2 * p->w <= p->wide ? 2 * p->w : p->wide, got, p->to, p->stride, p->w, made, kFilterBox);
	} else if (p->down == 2) {
		for (int i = 0; i < made; i++) {
			const uint8_t *a = p->own + (size_t)2 * i * p->wide, *b = 2 * i + 1 < got ? a + p->wide : a;
			InterpolatePlane(a, 0, b, 0, p->to + (size_t)i * p->stride, 0, p->w, 1, 128);
		}
	} else if (!kiosk_plane_direct(p)) {
		for (int i = 0; i < made; i++) memcpy(p->to + (size_t)i * p->stride, p->row[i], p->w);
	}
	p->to += (size_t)made * p->stride;
	p->left -= got;
}

// Whether the picture is of this size and of a kind that cameras send: grey, 4:2:0,
// 4:2:2 or 4:4:4 of 8 bits.
static int kiosk_jpeg_fits(const struct jpeg_decompress_struct *c, int w, int h) {
	const jpeg_component_info *i = c->comp_info;
	if (c->image_width != w || c->image_height != h || c->data_precision != 8) return 0;
	if (c->num_components == 1) return 1;
	return c->num_components == 3 && c->jpeg_color_space == JCS_YCbCr &&
		i[1].h_samp_factor == 1 && i[1].v_samp_factor == 1 && i[2].h_samp_factor == 1 && i[2].v_samp_factor == 1 &&
		i[0].h_samp_factor <= 2 && i[0].v_samp_factor <= i[0].h_samp_factor;
}

static void kiosk_jpeg_planes(struct jpeg_decompress_struct *c, uint8_t *y, int ys, uint8_t *u, uint8_t *v, int cs, int w, int h) {
	kiosk_plane p[3];
	int cw = (w + 1) / 2, ch = (h + 1) / 2, n = c->num_components;
	if (n == 1) {
		for (int i = 0; i < ch; i++) {
			memset(u + (size_t)i * cs, 128, cw);
			memset(v + (size_t)i * cs, 128, cw);
		}
	}
	kiosk_plane_open(&p[0], c, 0, y, ys, w, h);
	if (n == 3) {
		kiosk_plane_open(&p[1], c, 1, u, cs, cw, ch);
		kiosk_plane_open(&p[2], c, 2, v, cs, cw, ch);
	}
	JSAMPARRAY rows[3] = {p[0].row, p[1].row, p[2].row};
	while (c->output_scanline < c->output_height) {
		for (int i = 0; i < n; i++) kiosk_plane_aim(&p[i]);
		jpeg_read_raw_data(c, rows, MOST_ROWS);
		for (int i = 0; i < n; i++) kiosk_plane_take(&p[i]);
	}
}

static int kiosk_mjpg(const uint8_t *src, size_t n, uint8_t *y, int ys, uint8_t *u, uint8_t *v, int cs, int w, int h) {
	struct jpeg_decompress_struct c;
	kiosk_jpeg_errors errors;
	struct jpeg_progress_mgr progress = {.progress_monitor = kiosk_jpeg_progress};
	c.err = jpeg_std_error(&errors.pub);
	errors.pub.error_exit = kiosk_jpeg_give_up;
	errors.pub.emit_message = kiosk_jpeg_message;
	c.mem = NULL; // should its making fail
	if (setjmp(errors.out)) {
		jpeg_destroy_decompress(&c);
		return 1;
	}
	jpeg_create_decompress(&c);
	c.progress = &progress;
	jpeg_mem_src(&c, src, n);
	jpeg_read_header(&c, TRUE);
	if (!kiosk_jpeg_fits(&c, w, h)) kiosk_jpeg_give_up((j_common_ptr)&c);
	c.raw_data_out = TRUE;
	c.out_color_space = c.jpeg_color_space;
	c.dct_method = JDCT_IFAST;
	c.do_fancy_upsampling = FALSE;
	jpeg_start_decompress(&c);
	kiosk_jpeg_planes(&c, y, ys, u, v, cs, w, h);
	jpeg_finish_decompress(&c);
	jpeg_destroy_decompress(&c);
	return 0;
}
*/
import "C"

import (
	"bytes"
	"fmt"

	"kioskd/capture"
)

// maxJPEG bounds one compressed picture in bytes. At 4:4:4 and with no
// compression at all 4096x2160 stays below it.
const maxJPEG = 32 << 20

// MJPEG decodes one JPEG (ITU-T T.81, baseline or progressive; grey, 4:2:0,
// 4:2:2 or 4:4:4; without Huffman tables as cameras send it, too) of exactly
// dst's size into dst. Bytes after the end marker, with which some cameras pad,
// are ignored. A cut, foreign or other-sized picture is an error that wraps
// ErrPicture, and so is one whose compressed data ends early or makes no sense somewhere;
// dst's planes are then undefined. Bits flipped inside the compressed data that
// still make sense can not be told from a picture and decode to wrong blocks.
func MJPEG(dst *capture.Frame, src []byte) error {
	w, h := dst.Rect.Dx(), dst.Rect.Dy()
	if err := checkFrame(dst); err != nil {
		return err
	}
	if len(src) > maxJPEG {
		return fmt.Errorf("cannot decode a JPEG of %d bytes, at most %d: %w", len(src), maxJPEG, ErrPicture)
	}
	if !bytes.HasPrefix(src, []byte{0xFF, 0xD8, 0xFF}) {
		return fmt.Errorf("cannot decode %d bytes as a JPEG: no start marker: %w", len(src), ErrPicture)
	}
	rc := C.kiosk_mjpg((*C.uint8_t)(bytePtr(src)), C.size_t(len(src)), (*C.uint8_t)(bytePtr(dst.Y)), C.int(dst.YStride),
		(*C.uint8_t)(bytePtr(dst.Cb)), (*C.uint8_t)(bytePtr(dst.Cr)), C.int(dst.CStride), C.int(w), C.int(h))
	if rc != 0 {
		return fmt.Errorf("cannot decode a JPEG of %d bytes as %dx%d: %w", len(src), w, h, ErrPicture)
	}
	return nil
}
