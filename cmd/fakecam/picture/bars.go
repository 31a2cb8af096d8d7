package picture

import (
	"encoding/binary"
	"image"

	"kioskd/cmd/fakecam/blocks"
)

// barStep is how far the bars slide in a frame, in pixels.
const barStep = 4

// barColors are eight bars at 75 %, white first (Y, Cb, Cr).
func barColors() [8][3]byte {
	return [8][3]byte{
		{235, 128, 128},
		{210, 16, 146},
		{170, 166, 16},
		{145, 54, 34},
		{106, 202, 222},
		{81, 90, 240},
		{41, 240, 110},
		{16, 128, 128},
	}
}

// bars draws the colour bars of one camera.
type bars struct {
	w    int
	row  []byte // YUYV of 2*w pixels: a frame is a window of it
	line *image.YCbCr
}

func (b *bars) begin(w int) {
	if b.w == w {
		return
	}
	b.w, b.row = w, make([]byte, 4*w)
	b.line = image.NewYCbCr(image.Rect(0, 0, w, strip), image.YCbCrSubsampleRatio420)
	colors := barColors()
	for x := 0; x < 2*w; x += 2 {
		c := colors[x*8/w%8]
		copy(b.row[2*x:], []byte{c[0], c[1], c[0], c[2]})
	}
}

// window is one line of frame n, YUYV.
func (b *bars) window(w int, n uint32) []byte {
	b.begin(w)
	off := int(uint64(n)*barStep%uint64(w)) &^ 1
	return b.row[2*off : 2*off+2*w]
}

// draw draws frame n as YUYV, with the tear check.
func (b *bars) draw(dst []byte, w, h int, n uint32) {
	win, stride, top := b.window(w, n), 2*w, blocks.Height(h)
	for y := range h {
		line := dst[y*stride : (y+1)*stride]
		copy(line, win)
		if y >= top {
			binary.LittleEndian.PutUint32(line[stride-8:], n)
			binary.LittleEndian.PutUint32(line[stride-4:], uint32(y))
		}
	}
}

// strip is 16 lines of frame n.
func (b *bars) strip(w int, n uint32) *image.YCbCr {
	win, img := b.window(w, n), b.line
	for i := 0; i < w/2; i++ {
		img.Y[2*i], img.Y[2*i+1] = win[4*i], win[4*i+2]
		img.Cb[i], img.Cr[i] = win[4*i+1], win[4*i+3]
	}
	for y := 1; y < strip; y++ {
		copy(img.Y[y*img.YStride:], img.Y[:w])
	}
	for y := 1; y < strip/2; y++ {
		copy(img.Cb[y*img.CStride:], img.Cb[:w/2])
		copy(img.Cr[y*img.CStride:], img.Cr[:w/2])
	}
	return img
}

// TearCheck reports the first line of a bars frame in YUYV, w x h, that is not
// of frame n: -1 when the frame is whole.
func TearCheck(pix []byte, w, h int, n uint32) int {
	stride := 2 * w
	for y := blocks.Height(h); y < h; y++ {
		end := (y + 1) * stride
		if end > len(pix) || binary.LittleEndian.Uint32(pix[end-8:]) != n || binary.LittleEndian.Uint32(pix[end-4:]) != uint32(y) {
			return y
		}
	}
	return -1
}
