// Package capture owns what all sources and consumers of pictures share: the
// reference-counted Frame and its Pool, the newest-wins Mailbox, the Fanout
// from one source to several consumers, and the Slate that stands in when no
// camera gives a picture. It knows no device and no codec.
//
// It may be imported by capture/camera, capture/pixel, capture/encode and
// daemon/call. It imports the standard library and golang.org/x/image only.
package capture

import (
	"fmt"
	"image"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"
)

// MaxSide is the longest side of a picture in pixels: what VP8 can carry
// (RFC 6386 section 9.1, 14 bits), so that no source can ask for more memory
// than a picture needs.
const MaxSide = 16383

// planeAlign is the alignment of every plane's start and stride in bytes: a
// cache line, and the widest load libyuv and libvpx use (AVX-512).
const planeAlign = 64

// maxIdle bounds the frames a Pool keeps for later. Three consumers, each with
// one frame in its mailbox and one in work, and the source's own fit in.
const maxIdle = 8

// Frame is one I420 picture (RFC 6386 section 2: planes Y, U, V; chroma half
// width and half height, rounded up). It is reference counted: whoever is
// handed a Frame owns one reference, calls Retain for every further holder and
// Release when done, and touches no plane after that. A Frame is filled by its
// source before it is handed out and never changed afterwards.
//
// A *Frame implements image.Image.
type Frame struct {
	image.YCbCr

	// Seq is the source's own counter: it grows by one with every frame the
	// source got, so a gap is a frame lost on the way.
	Seq uint64
	// Time is the instant of capture, with its monotonic reading.
	Time time.Time
	// Patient says that the picture may show people: it comes from a camera and
	// does not stand in for one. Set by whoever hands it on, before that.
	Patient bool
	// Scene says that nothing of the picture before is in this one: another camera
	// took over. Set by the source.
	Scene bool

	refs atomic.Int32
	pool *Pool // nil: the last Release leaves the frame to the collector
}

// Retain adds a reference. Calling it on a frame that nobody holds any more is
// a bug and panics.
func (f *Frame) Retain() {
	if f.refs.Add(1) <= 1 {
		panic("capture: Retain of a frame that was released")
	}
}

// Release drops a reference; the last one gives the frame back to its pool. One
// Release too many is a bug and panics.
func (f *Frame) Release() {
	switch n := f.refs.Add(-1); {
	case n < 0:
		panic("capture: Release of a frame that was released")
	case n == 0 && f.pool != nil:
		f.pool.put(f)
	}
}

// Pool hands out frames of one size and takes them back. In a steady state it
// allocates nothing. It is safe for use by several goroutines.
type Pool struct {
	w, h int

	mu   sync.Mutex
	idle []*Frame
}

// NewPool makes an empty pool for pictures of w x h pixels, each 1 to MaxSide.
// A size outside is a bug of the caller and panics: sizes that a device reports
// are checked where they are read.
func NewPool(w, h int) *Pool {
	if w < 1 || h < 1 || w > MaxSide || h > MaxSide {
		panic(fmt.Sprintf("capture: pool for a picture of %dx%d", w, h))
	}
	return &Pool{w: w, h: h, idle: make([]*Frame, 0, maxIdle)}
}

// Size returns the width and height in pixels of the pool's frames.
func (p *Pool) Size() (w, h int) { return p.w, p.h }

// Get returns a frame with one reference, which the caller owns. Its planes
// start and step at multiples of 64 bytes and hold whatever they held before;
// Seq and Time are zero.
func (p *Pool) Get() *Frame {
	p.mu.Lock()
	var f *Frame
	if n := len(p.idle); n > 0 {
		f, p.idle[n-1] = p.idle[n-1], nil
		p.idle = p.idle[:n-1]
	}
	p.mu.Unlock()
	if f == nil {
		f = newFrame(p.w, p.h)
		f.pool = p
	}
	f.Seq, f.Time, f.Patient, f.Scene = 0, time.Time{}, false, false
	f.refs.Store(1)
	return f
}

// put takes a frame back, or leaves it to the collector when enough are idle.
func (p *Pool) put(f *Frame) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.idle) < maxIdle {
		p.idle = append(p.idle, f)
	}
}

// newFrame allocates the three planes in one piece.
func newFrame(w, h int) *Frame {
	ys, cs := alignUp(w), alignUp((w+1)/2)
	yn, cn := ys*h, cs*((h+1)/2)
	b := make([]byte, yn+2*cn+planeAlign)
	// The collector does not move the heap, so an aligned start stays aligned.
	off := int(-uintptr(unsafe.Pointer(unsafe.SliceData(b))) & (planeAlign - 1))
	b = b[off:]
	return &Frame{YCbCr: image.YCbCr{
		Y:              b[:yn:yn],
		Cb:             b[yn : yn+cn : yn+cn],
		Cr:             b[yn+cn : yn+2*cn : yn+2*cn],
		YStride:        ys,
		CStride:        cs,
		SubsampleRatio: image.YCbCrSubsampleRatio420,
		Rect:           image.Rect(0, 0, w, h),
	}}
}

func alignUp(n int) int { return (n + planeAlign - 1) &^ (planeAlign - 1) }
