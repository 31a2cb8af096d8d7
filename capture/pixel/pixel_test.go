package pixel

import (
	"bytes"
	"errors"
	"image"
	"image/color"
	"image/jpeg"
	"math/rand/v2"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/capture"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// scene is a picture with smooth parts, edges and noise in all three planes.
func scene(w, h int, ratio image.YCbCrSubsampleRatio) *image.YCbCr {
	m := image.NewYCbCr(image.Rect(0, 0, w, h), ratio)
	r := rand.New(rand.NewPCG(1, 2))
	for y := range h {
		for x := range w {
			v := 40 + 160*x/w + r.IntN(9)
			if (x/16+y/16)%5 == 0 {
				v = 220 - y%32
			}
			m.Y[m.YOffset(x, y)] = byte(v)
			m.Cb[m.COffset(x, y)] = byte(90 + 80*y/h)
			m.Cr[m.COffset(x, y)] = byte(170 - 90*x/w)
		}
	}
	return m
}

// pack makes YUYV of a 4:2:2 picture with lines of stride bytes.
func pack(m *image.YCbCr, stride int) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	b := make([]byte, stride*h)
	for y := range h {
		for x := 0; x < w; x += 2 {
			p := b[y*stride+2*x:]
			p[0], p[2] = m.Y[m.YOffset(x, y)], m.Y[m.YOffset(x+1, y)]
			p[1], p[3] = m.Cb[m.COffset(x, y)], m.Cr[m.COffset(x, y)]
		}
	}
	return b
}

func encode(t testing.TB, m image.Image, quality int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// guarded is a frame whose planes lie between walls of a known byte, so that a
// write outside of a line's pixels is seen.
type guarded struct {
	frame *capture.Frame
	mem   []byte
}

const wall, wallLen = 0xA5, 256

func newGuarded(w, h int) guarded {
	ys, cs := w+32, (w+1)/2+32
	yn, cn := ys*h, cs*((h+1)/2)
	mem := bytes.Repeat([]byte{wall}, yn+2*cn+4*wallLen)
	cut := func(off, n int) []byte { return mem[off : off+n : off+n] }
	return guarded{mem: mem, frame: &capture.Frame{YCbCr: image.YCbCr{
		Y: cut(wallLen, yn), Cb: cut(2*wallLen+yn, cn), Cr: cut(3*wallLen+yn+cn, cn),
		YStride: ys, CStride: cs, SubsampleRatio: image.YCbCrSubsampleRatio420, Rect: image.Rect(0, 0, w, h),
	}}}
}

// check fails if a byte that is no pixel was written.
func (g guarded) check(t testing.TB) {
	t.Helper()
	f := g.frame
	clean := bytes.Clone(g.mem)
	wipe := func(off, stride, w, h int) {
		for y := range h {
			for i := range w {
				clean[off+y*stride+i] = wall
			}
		}
	}
	w, h := f.Rect.Dx(), f.Rect.Dy()
	cw, ch := (w+1)/2, (h+1)/2
	wipe(wallLen, f.YStride, w, h)
	wipe(2*wallLen+len(f.Y), f.CStride, cw, ch)
	wipe(3*wallLen+len(f.Y)+len(f.Cb), f.CStride, cw, ch)
	for i, b := range clean {
		if b != wall {
			t.Fatalf("byte %d outside the picture was written", i)
		}
	}
}

// maxDiff is the largest difference of two pictures of the same size in each
// channel, compared pixel by pixel.
func maxDiff(t *testing.T, got, want *image.YCbCr) (dy, dc int) {
	t.Helper()
	if got.Rect != want.Rect {
		t.Fatalf("size %v, want %v", got.Rect, want.Rect)
	}
	for y := range got.Rect.Dy() {
		for x := range got.Rect.Dx() {
			a, b := got.YCbCrAt(x, y), want.YCbCrAt(x, y)
			dy = max(dy, diff(a.Y, b.Y))
			dc = max(dc, diff(a.Cb, b.Cb), diff(a.Cr, b.Cr))
		}
	}
	return dy, dc
}

func diff(a, b uint8) int { return max(int(a)-int(b), int(b)-int(a)) }

// TestYUYVEqualsPlainMath compares with the conversion written out: luma copied,
// chroma the mean of two lines.
func TestYUYVEqualsPlainMath(t *testing.T) {
	for _, c := range []struct{ w, h, stride int }{
		{2, 1, 4}, {2, 2, 4}, {64, 48, 128}, {66, 47, 132}, {320, 240, 640}, {640, 480, 1344}, {1280, 720, 2560},
	} {
		m := scene(c.w, c.h, image.YCbCrSubsampleRatio422)
		g := newGuarded(c.w, c.h)
		src := pack(m, c.stride)
		src = src[:c.stride*(c.h-1)+2*c.w] // a driver may end at the last pixel
		if err := YUYV(g.frame, src, c.stride); err != nil {
			t.Fatalf("%dx%d: %v", c.w, c.h, err)
		}
		g.check(t)
		for y := range c.h {
			next := min(y+1, c.h-1)
			for x := range c.w {
				if got, want := g.frame.Y[g.frame.YOffset(x, y)], m.Y[m.YOffset(x, y)]; got != want {
					t.Fatalf("%dx%d: luma %d,%d is %d, want %d", c.w, c.h, x, y, got, want)
				}
				if y%2 != 0 {
					continue
				}
				o := g.frame.COffset(x, y)
				cb := (int(m.Cb[m.COffset(x, y)]) + int(m.Cb[m.COffset(x, next)]) + 1) / 2
				cr := (int(m.Cr[m.COffset(x, y)]) + int(m.Cr[m.COffset(x, next)]) + 1) / 2
				if diff(g.frame.Cb[o], byte(cb)) > 1 || diff(g.frame.Cr[o], byte(cr)) > 1 {
					t.Fatalf("%dx%d: chroma %d,%d is %d %d, want %d %d", c.w, c.h, x, y, g.frame.Cb[o], g.frame.Cr[o], cb, cr)
				}
			}
		}
	}
}

// TestColours sends flat colours through both ways and reads them with Go's own
// colour math.
func TestColours(t *testing.T) {
	for _, want := range []color.RGBA{
		{255, 255, 255, 255}, {0, 0, 0, 255}, {200, 30, 40, 255}, {20, 180, 60, 255}, {30, 60, 210, 255}, {128, 128, 128, 255},
	} {
		m := image.NewYCbCr(image.Rect(0, 0, 64, 64), image.YCbCrSubsampleRatio422)
		yy, cb, cr := color.RGBToYCbCr(want.R, want.G, want.B)
		for i := range m.Y {
			m.Y[i] = yy
		}
		for i := range m.Cb {
			m.Cb[i], m.Cr[i] = cb, cr
		}
		for name, convert := range map[string]func(*capture.Frame) error{
			"YUYV":  func(f *capture.Frame) error { return YUYV(f, pack(m, 128), 128) },
			"MJPEG": func(f *capture.Frame) error { return MJPEG(f, encode(t, m, 95)) },
		} {
			f := capture.NewPool(64, 64).Get()
			if err := convert(f); err != nil {
				t.Fatal(err)
			}
			got := color.RGBAModel.Convert(f.At(31, 17)).(color.RGBA)
			if diff(got.R, want.R) > 6 || diff(got.G, want.G) > 6 || diff(got.B, want.B) > 6 {
				t.Errorf("%s: %v became %v", name, want, got)
			}
		}
	}
}

func TestDamagedPicturesAreErrors(t *testing.T) {
	const w, h = 64, 48
	good := encode(t, scene(w, h, image.YCbCrSubsampleRatio420), 90)
	other := encode(t, scene(w*2, h, image.YCbCrSubsampleRatio420), 90)
	sof, _ := segment(t, good, 0xC0)
	huge := bytes.Clone(good)
	copy(huge[sof+5:], []byte{0xFF, 0xFF, 0xFF, 0xFF})
	yuyv := pack(scene(w, h, image.YCbCrSubsampleRatio422), 2*w)
	for name, convert := range map[string]func(*capture.Frame) error{
		"jpeg: nothing":         func(f *capture.Frame) error { return MJPEG(f, nil) },
		"jpeg: two bytes":       func(f *capture.Frame) error { return MJPEG(f, good[:2]) },
		"jpeg: markers only":    func(f *capture.Frame) error { return MJPEG(f, []byte{0xFF, 0xD8, 0xFF, 0xD9}) },
		"jpeg: no end":          func(f *capture.Frame) error { return MJPEG(f, good[:len(good)-2]) },
		"jpeg: half":            func(f *capture.Frame) error { return MJPEG(f, good[:len(good)/2]) },
		"jpeg: zeroes":          func(f *capture.Frame) error { return MJPEG(f, make([]byte, len(good))) },
		"jpeg: text":            func(f *capture.Frame) error { return MJPEG(f, []byte(strings.Repeat("no picture ", 40))) },
		"jpeg: other size":      func(f *capture.Frame) error { return MJPEG(f, other) },
		"jpeg: 65535x65535":     func(f *capture.Frame) error { return MJPEG(f, huge) },
		"jpeg: too many bytes":  func(f *capture.Frame) error { return MJPEG(f, append(bytes.Clone(good), make([]byte, maxJPEG)...)) },
		"yuyv: nothing":         func(f *capture.Frame) error { return YUYV(f, nil, 2*w) },
		"yuyv: a byte short":    func(f *capture.Frame) error { return YUYV(f, yuyv[:len(yuyv)-1], 2*w) },
		"yuyv: narrow lines":    func(f *capture.Frame) error { return YUYV(f, yuyv, 2*w-2) },
		"yuyv: no lines":        func(f *capture.Frame) error { return YUYV(f, yuyv, 0) },
		"yuyv: backwards lines": func(f *capture.Frame) error { return YUYV(f, yuyv, -2*w) },
		"yuyv: endless lines":   func(f *capture.Frame) error { return YUYV(f, yuyv, 1<<40) },
	} {
		g := newGuarded(w, h)
		err := convert(g.frame)
		if !errors.Is(err, ErrPicture) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: error %v, want one that wraps ErrPicture", name, err)
		}
		g.check(t)
	}
	g := newGuarded(65, h)
	if err := YUYV(g.frame, make([]byte, 1<<20), 132); !errors.Is(err, ErrPicture) {
		t.Errorf("YUYV of odd width: %v", err)
	}
}

func TestForeignFrameIsRefused(t *testing.T) {
	good := encode(t, scene(64, 48, image.YCbCrSubsampleRatio420), 90)
	for name, change := range map[string]func(*image.YCbCr){
		"short luma":   func(m *image.YCbCr) { m.Y = m.Y[:100] },
		"short chroma": func(m *image.YCbCr) { m.Cr = m.Cr[:10] },
		"stride":       func(m *image.YCbCr) { m.YStride = 8 },
		"half stride":  func(m *image.YCbCr) { m.CStride = 31 },
		"422":          func(m *image.YCbCr) { m.SubsampleRatio = image.YCbCrSubsampleRatio422 },
		"empty":        func(m *image.YCbCr) { m.Rect = image.Rectangle{} },
		"offset":       func(m *image.YCbCr) { m.Rect = m.Rect.Add(image.Pt(2, 2)) },
		"huge":         func(m *image.YCbCr) { m.Rect.Max.X = 1 << 20 },
	} {
		f := capture.NewPool(64, 48).Get()
		change(&f.YCbCr)
		if err := MJPEG(f, good); !errors.Is(err, errFrame) {
			t.Errorf("MJPEG, %s: %v", name, err)
		}
		if err := YUYV(f, make([]byte, 64*48*2), 128); !errors.Is(err, errFrame) {
			t.Errorf("YUYV, %s: %v", name, err)
		}
	}
}

func TestNoAllocationAFrame(t *testing.T) {
	const w, h = 640, 480
	f := capture.NewPool(w, h).Get()
	raw := pack(scene(w, h, image.YCbCrSubsampleRatio422), 2*w)
	jpg := encode(t, scene(w, h, image.YCbCrSubsampleRatio420), 85)
	if n := testing.AllocsPerRun(50, func() { _ = YUYV(f, raw, 2*w) }); n != 0 {
		t.Errorf("YUYV: %v allocations a frame", n)
	}
	if n := testing.AllocsPerRun(50, func() { _ = MJPEG(f, jpg) }); n != 0 {
		t.Errorf("MJPEG: %v allocations a frame", n)
	}
}

func BenchmarkYUYV720p(b *testing.B) {
	f := capture.NewPool(1280, 720).Get()
	raw := pack(scene(1280, 720, image.YCbCrSubsampleRatio422), 2560)
	b.ReportAllocs()
	for b.Loop() {
		if err := YUYV(f, raw, 2560); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMJPEG720p(b *testing.B) {
	f := capture.NewPool(1280, 720).Get()
	jpg := encode(b, scene(1280, 720, image.YCbCrSubsampleRatio420), 80)
	b.ReportAllocs()
	for b.Loop() {
		if err := MJPEG(f, jpg); err != nil {
			b.Fatal(err)
		}
	}
}
