package picture

import (
	"image"
	"math"
	"math/rand/v2"
	"sync"

	"kioskd/cmd/fakecam/blocks"
)

// room is the webcam scene at one size. Frames are drawn when they are first
// asked for, so that a camera starts at once.
type room struct {
	size
	noise []int8  // a table that each line takes a window of
	wall  []int16 // texture of the background, around 0

	mu     sync.Mutex
	frames [Loop][]byte // YUYV
	tails  [Loop][]byte // strips below the code
	strips strips
}

const (
	noiseSigma = 2 // luma steps: a decent sensor indoors
	noiseLen   = 1 << 20
)

// room gives the scene at a size, drawn on first use.
func (s *Studio) room(w, h int) *room {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := size{w, h}
	r := s.rooms[k]
	if r == nil {
		rnd := rand.New(rand.NewPCG(1, 0)) //nolint:gosec // grain, not a secret: the same pictures in every run
		r = &room{size: k, noise: make([]int8, noiseLen+w), wall: texture(rnd, w, h)}
		for i := range r.noise {
			r.noise[i] = int8(math.Round(rnd.NormFloat64() * noiseSigma))
		}
		s.rooms[k] = r
	}
	return r
}

// texture is noise at four scales, the coarser the stronger.
func texture(rnd *rand.Rand, w, h int) []int16 {
	sum := make([]float32, w*h)
	for _, o := range []struct {
		cell int
		amp  float64
	}{{160, 40}, {48, 22}, {12, 10}, {4, 5}} {
		gw, gh := w/o.cell+2, h/o.cell+2
		g := make([]float32, gw*gh)
		for i := range g {
			g[i] = float32((rnd.Float64() - .5) * 2 * o.amp)
		}
		step := 1 / float32(o.cell)
		for y := range h {
			y0, fy := y/o.cell, float32(y%o.cell)*step
			up, down := g[y0*gw:(y0+1)*gw], g[(y0+1)*gw:(y0+2)*gw]
			for x := range w {
				x0, fx := x/o.cell, float32(x%o.cell)*step
				sum[y*w+x] += (up[x0]*(1-fx)+up[x0+1]*fx)*(1-fy) + (down[x0]*(1-fx)+down[x0+1]*fx)*fy
			}
		}
	}
	out := make([]int16, len(sum))
	for i, v := range sum {
		out[i] = int16(v)
	}
	return out
}

// frame gives frame n as YUYV, without the code. The bytes are shared.
func (r *room) frame(n uint32) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := n % Loop
	if r.frames[i] == nil {
		r.frames[i] = r.draw(int(i))
	}
	return r.frames[i]
}

// tail gives the JPEG strips below the code of frame n, restart markers
// included, as strips.raw takes them.
func (r *room) tail(n uint32) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	i := n % Loop
	if r.tails[i] != nil {
		return r.tails[i], nil
	}
	pix := r.frames[i]
	if pix == nil { // not kept: a camera sends one format or the other
		pix = r.draw(int(i))
	}
	img := planar(pix, r.w, r.h)
	r.strips.begin(r.w, r.h)
	top := blocks.Height(r.h)
	r.strips.n = top / strip // those are the painter's
	for y := top; y < r.h; y += strip {
		if err := r.strips.encode(img.SubImage(image.Rect(0, y, r.w, min(y+strip, r.h))).(*image.YCbCr)); err != nil {
			return nil, err
		}
	}
	r.tails[i] = append([]byte(nil), r.strips.scan...)
	return r.tails[i], nil
}

// planar unpacks YUYV.
func planar(pix []byte, w, h int) *image.YCbCr {
	img := image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio422)
	for i := 0; i < len(pix)/4; i++ {
		q := pix[4*i : 4*i+4]
		img.Y[2*i], img.Cb[i], img.Y[2*i+1], img.Cr[i] = q[0], q[1], q[2], q[3]
	}
	return img
}

// draw draws frame i of the loop: the room, then shoulders and head in front of
// it. Lengths are made for 720 lines and scaled.
func (r *room) draw(i int) []byte {
	w, h := r.w, r.h
	scale := float64(h) / 720
	t := 2 * math.Pi * float64(i) / Loop
	cx := float64(w)/2 + scale*(40*math.Sin(2*t)+12*math.Sin(7*t))
	cy := float64(h)*.45 + scale*14*math.Sin(3*t)
	mouth := scale * (10 + 8*math.Sin(15*t+.5))
	seed := (i * 7919 * 61) % noiseLen
	f := make([]byte, 2*w*h)
	for y := range h {
		l := line{pix: f[2*y*w:][:2*w], wall: r.wall[y*w:][:w], noise: r.noise[(seed+y*w)%noiseLen:]}
		l.fill(0, w, 110, 1, 0, 124, 130)
		if half := float64(h) * .45; float64(y) > float64(h)*.72 { // shoulders: a parabola
			reach := min(math.Sqrt((float64(y)-float64(h)*.72)/(90*scale)), 1.1) * half
			l.fill(int(cx-reach), int(cx+reach), 60, .4, int(cx)-w/2, 140, 120)
		}
		if dy := (float64(y) - cy) / (float64(h) * .28); dy*dy < 1 { // head: an ellipse, its texture moves with it
			reach := math.Sqrt(1-dy*dy) * float64(h) * .2
			sy := min(max(y-int(cy)+h/2, 0), h-1)
			l.wall = r.wall[sy*w:][:w]
			l.fill(int(cx-reach), int(cx+reach), 165, .5, int(cx)-w/2, 112, 150)
		}
		if my := (float64(y) - cy - 80*scale) / mouth; my*my < 1 {
			reach := math.Sqrt(1-my*my) * 40 * scale
			l.fill(int(cx-reach), int(cx+reach), 70, 0, 0, 112, 165)
		}
	}
	return f
}

// line is one line of a picture in the making.
type line struct {
	pix   []byte
	wall  []int16
	noise []int8
}

// fill paints from..to: luma is base plus gain times the texture shift pixels to
// the left plus noise; chroma is flat.
func (l line) fill(from, to, base int, gain float64, shift int, cb, cr byte) {
	w := len(l.wall)
	k := int(gain * 256)
	for x := max(from, 0); x < min(to, w); x++ {
		v := base + int(l.wall[min(max(x-shift, 0), w-1)])*k>>8 + int(l.noise[x])
		l.pix[2*x] = byte(min(max(v, 16), 235))
		l.pix[2*x+1] = cb
		if x&1 == 1 {
			l.pix[2*x+1] = cr
		}
	}
}
