package camera

import (
	"kioskd/capture"
	"kioskd/capture/pixel"
)

// Pixel formats this package can turn into I420, by their V4L2 letters.
const (
	YUYV  = "YUYV"
	MJPEG = "MJPG"
	NV12  = "NV12"
	I420  = "YU12"
	GREY  = "GREY"
)

// way is how a pixel format becomes I420.
type way struct {
	// cost in ns a pixel, for the choice between formats: measured at 1280x720 with
	// `go test -run xxx -bench 720p ./capture/pixel`. Only their order matters.
	cost float64
	// grey has no colour: it is taken where there is nothing else.
	grey    bool
	even    bool // the width has to be
	rows    bool // the height, too
	stride  int  // bytes of a pixel in a line of the first plane; 0: compressed
	convert func(dst *capture.Frame, src []byte, stride int) error
}

// wayOf finds a format's way; false where there is none.
func wayOf(fourCC string) (way, bool) {
	switch fourCC {
	case I420:
		return way{cost: 0.033, even: true, rows: true, stride: 1, convert: pixel.I420}, true
	case NV12:
		return way{cost: 0.059, even: true, rows: true, stride: 1, convert: pixel.NV12}, true
	case YUYV:
		return way{cost: 0.080, even: true, stride: 2, convert: pixel.YUYV}, true
	case MJPEG:
		return way{cost: 1.2, convert: func(dst *capture.Frame, src []byte, _ int) error { return pixel.MJPEG(dst, src) }}, true
	case GREY:
		return way{cost: 0.038, grey: true, stride: 1, convert: pixel.GREY}, true
	}
	return way{}, false
}

// takes says whether pictures of the size can be converted.
func (w way) takes(width, height int) bool {
	return (!w.even || width%2 == 0) && (!w.rows || height%2 == 0)
}

// bytes is the size of a raw picture without padding.
func (w way) bytes(width, height int) int {
	n := w.stride * width * height
	if w.rows { // two chroma planes of a quarter each
		n += n / 2
	}
	return n
}

// colourFirst orders ways: those without colour last.
func colourFirst(a, b way) int {
	switch {
	case a.grey == b.grey:
		return 0
	case a.grey:
		return 1
	}
	return -1
}
