package encode_test

import (
	"image"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/capture"
	"kioskd/cmd/fakecam/blocks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// start is where every made stream begins; only differences matter.
func start() time.Time { return time.Unix(1_700_000_000, 0) }

// scene makes pictures like a camera's: a soft background that sways, a face of
// a finer texture that moves over it, and sensor noise. Each carries its number
// in fakecam's block code.
type scene struct {
	pool    *capture.Pool
	w, h    int
	texture []byte             // (w+64) x (h+64)
	noise   []byte             // a power of two long
	loop    [24]*capture.Frame // the pictures drawn so far; played forth and back
}

func newScene(w, h, amplitude int) *scene {
	rng := rand.New(rand.NewPCG(1, 2))
	s := &scene{pool: capture.NewPool(w, h), w: w, h: h, noise: make([]byte, 1<<16)}
	for i := range s.noise {
		if amplitude > 0 {
			s.noise[i] = byte(rng.IntN(2*amplitude+1) - amplitude)
		}
	}
	tw, th := w+64, h+64
	s.texture = make([]byte, tw*th)
	for y := range th {
		for x := range tw {
			fx, fy := float64(x), float64(y)
			v := 120 + 40*math.Sin(fx/37+fy/91) + 25*math.Sin(fx/11-fy/17) + 12*math.Sin(fx/3.1+fy/4.3)
			s.texture[y*tw+x] = byte(v)
		}
	}
	return s
}

// frame gives picture n, taken at the instant at. The caller releases it.
func (s *scene) frame(n int, at time.Time) *capture.Frame {
	k := n % (2*len(s.loop) - 2)
	if k >= len(s.loop) {
		k = 2*len(s.loop) - 2 - k
	}
	if s.loop[k] == nil {
		s.loop[k] = s.draw(k)
	}
	f := s.pool.Get()
	f.Seq, f.Time = uint64(n), at
	copy(f.Y, s.loop[k].Y)
	copy(f.Cb, s.loop[k].Cb)
	copy(f.Cr, s.loop[k].Cr)
	blocks.Paint(f.Y, f.YStride, s.w, s.h, blocks.New(uint32(n), at))
	return f
}

// draw makes picture k of the loop.
func (s *scene) draw(k int) *capture.Frame {
	f := s.pool.Get()
	dx, dy := 32+int(24*math.Sin(float64(k)/9)), 32+int(16*math.Cos(float64(k)/13))
	for y := range s.h {
		row := f.Y[y*f.YStride:][:s.w]
		src := s.texture[(y+dy)*(s.w+64)+dx:]
		noise := s.noise[(k*7919+y*613)&0x7fff:]
		for x := range row {
			row[x] = src[x] + noise[x]
		}
	}
	for y := range (s.h + 1) / 2 {
		for x := range (s.w + 1) / 2 {
			f.Cb[y*f.CStride+x] = byte(118 + (x+k)&15)
			f.Cr[y*f.CStride+x] = byte(138 - (y+k)&15)
		}
	}
	return f
}

// psnr of the luma of two pictures of one size, in dB.
func psnr(a, b *image.YCbCr) float64 {
	var sum float64
	w, h := a.Rect.Dx(), a.Rect.Dy()
	for y := range h {
		ra, rb := a.Y[y*a.YStride:][:w], b.Y[y*b.YStride:][:w]
		for x := range ra {
			d := float64(ra[x]) - float64(rb[x])
			sum += d * d
		}
	}
	return 10 * math.Log10(255*255*float64(w*h)/sum)
}

// chequer is a plain 4:2:0 picture of Go's own.
func chequer(r image.Rectangle) *image.YCbCr {
	img := image.NewYCbCr(r, image.YCbCrSubsampleRatio420)
	for i := range img.Y {
		img.Y[i] = byte(60 + 100*((i/8)&1))
	}
	for i := range img.Cb {
		img.Cb[i], img.Cr[i] = 128, 128
	}
	return img
}
