package pixel

import (
	"bytes"
	"errors"
	"image"
	"testing"
	"time"

	"kioskd/capture"
)

// planar packs a 4:2:0 picture as a driver would, in lines of stride bytes.
func planar(m *image.YCbCr, stride int, interleaved bool) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	var out []byte
	line := func(p []byte, stride int) { out = append(append(out, p...), make([]byte, stride-len(p))...) }
	for y := range h {
		line(m.Y[y*m.YStride:][:w], stride)
	}
	if interleaved {
		for y := range h / 2 {
			uv := make([]byte, 0, w)
			for x := range w / 2 {
				uv = append(uv, m.Cb[y*m.CStride+x], m.Cr[y*m.CStride+x])
			}
			line(uv, stride)
		}
		return out
	}
	for _, p := range [][]byte{m.Cb, m.Cr} {
		for y := range h / 2 {
			line(p[y*m.CStride:][:w/2], stride/2)
		}
	}
	return out
}

func same(t *testing.T, got, want *image.YCbCr) {
	t.Helper()
	if dy, dc := maxDiff(t, got, want); dy != 0 || dc != 0 {
		t.Errorf("off by %d in luma and %d in chroma", dy, dc)
	}
}

func TestPlanarFormats(t *testing.T) {
	for _, size := range []image.Point{{2, 2}, {48, 32}, {1280, 720}, {62, 34}} {
		m := scene(size.X, size.Y, image.YCbCrSubsampleRatio420)
		for _, stride := range []int{size.X, size.X + 2, size.X + 64} {
			for name, c := range map[string]struct {
				convert func(*capture.Frame, []byte, int) error
				src     []byte
			}{
				"NV12": {NV12, planar(m, stride, true)},
				"I420": {I420, planar(m, stride, false)},
			} {
				g := newGuarded(size.X, size.Y)
				if err := c.convert(g.frame, c.src, stride); err != nil {
					t.Fatalf("%s %v: %v", name, size, err)
				}
				g.check(t)
				same(t, &g.frame.YCbCr, m)
				least := len(c.src) - (stride - size.X)
				if name == "I420" {
					least = len(c.src) - (stride-size.X)/2
				}
				if err := c.convert(g.frame, c.src[:least], stride); err != nil {
					t.Errorf("%s: a cut last line: %v", name, err)
				}
				if err := c.convert(g.frame, c.src[:least-1], stride); !errors.Is(err, ErrPicture) {
					t.Errorf("%s: too short: %v", name, err)
				}
				if err := c.convert(g.frame, c.src, size.X-2); !errors.Is(err, ErrPicture) {
					t.Errorf("%s: lines too short: %v", name, err)
				}
			}
		}
	}
}

func TestGrey(t *testing.T) {
	m := scene(33, 17, image.YCbCrSubsampleRatio420)
	src := make([]byte, 0, 40*17)
	for y := range 17 {
		src = append(append(src, m.Y[y*m.YStride:][:33]...), 1, 2, 3, 4, 5, 6, 7)
	}
	g := newGuarded(33, 17)
	for range 2 { // and with what was there before
		if err := GREY(g.frame, src, 40); err != nil {
			t.Fatal(err)
		}
		g.check(t)
		fill(m.Cb, 128)
		fill(m.Cr, 128)
		same(t, &g.frame.YCbCr, m)
	}
	if err := GREY(g.frame, src[:40*16+32], 40); !errors.Is(err, ErrPicture) {
		t.Errorf("too short: %v", err)
	}
	if err := GREY(g.frame, src, 32); !errors.Is(err, ErrPicture) {
		t.Errorf("lines too short: %v", err)
	}
}

// TestScaleIsTheMean: a half-size picture is the mean of four pixels, within rounding, and what is
// known of the frame goes along.
func TestScaleIsTheMean(t *testing.T) {
	pool, half := capture.NewPool(64, 48), capture.NewPool(32, 24)
	src, dst := pool.Get(), half.Get()
	copy(src.Y, bytes.Repeat([]byte{10, 20, 30, 40, 200}, len(src.Y)/5+1))
	fill(src.Cb, 90)
	fill(src.Cr, 160)
	src.Seq, src.Time, src.Patient, src.Scene = 7, time.Unix(5, 0), true, true
	if err := Scale(dst, src); err != nil {
		t.Fatal(err)
	}
	for y := range 24 {
		for x := range 32 {
			at := func(dx, dy int) int { return int(src.Y[(2*y+dy)*src.YStride+2*x+dx]) }
			want := (at(0, 0) + at(1, 0) + at(0, 1) + at(1, 1) + 2) / 4
			if got := int(dst.Y[y*dst.YStride+x]); got < want-1 || got > want+1 {
				t.Fatalf("%d,%d is %d, want %d", x, y, got, want)
			}
		}
	}
	if dst.Cb[0] != 90 || dst.Cr[0] != 160 || dst.Seq != 7 || !dst.Time.Equal(src.Time) || !dst.Patient || !dst.Scene {
		t.Errorf("chroma %d %d, %d %v %v %v", dst.Cb[0], dst.Cr[0], dst.Seq, dst.Time, dst.Patient, dst.Scene)
	}
}

// TestScaleCrops: of another aspect ratio the middle is taken.
func TestScaleCrops(t *testing.T) {
	src, dst := capture.NewPool(64, 16).Get(), capture.NewPool(8, 8).Get()
	for y := range 16 {
		for x := range 64 {
			src.Y[y*src.YStride+x] = 0
			if x >= 24 && x < 40 {
				src.Y[y*src.YStride+x] = 200
			}
		}
	}
	if err := Scale(dst, src); err != nil {
		t.Fatal(err)
	}
	for y := range 8 {
		for x := range 8 {
			if dst.Y[y*dst.YStride+x] != 200 {
				t.Fatalf("%d,%d is %d", x, y, dst.Y[y*dst.YStride+x])
			}
		}
	}
	if err := Scale(dst, &capture.Frame{}); err == nil {
		t.Error("an empty frame was scaled")
	}
}

func TestPlanarAllocatesNothing(t *testing.T) {
	g, small := newGuarded(64, 48), capture.NewPool(32, 24).Get()
	src := make([]byte, 64*48*2)
	if n := testing.AllocsPerRun(50, func() {
		if err := errors.Join(NV12(g.frame, src, 64), I420(g.frame, src, 64), GREY(g.frame, src, 64), Scale(small, g.frame)); err != nil {
			t.Fatal(err)
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func FuzzPlanar(f *testing.F) {
	f.Add(uint8(0), uint8(16), uint8(8), 16, bytes.Repeat([]byte{1, 2, 3, 4}, 48))
	f.Add(uint8(1), uint8(2), uint8(2), 4, []byte{1, 2, 3})
	f.Add(uint8(2), uint8(7), uint8(3), 14, make([]byte, 42))
	f.Fuzz(func(t *testing.T, kind, w, h uint8, stride int, src []byte) {
		if w == 0 || h == 0 {
			return
		}
		g := newGuarded(int(w), int(h))
		convert := []func(*capture.Frame, []byte, int) error{NV12, I420, GREY}[kind%3]
		err := convert(g.frame, src, stride)
		g.check(t)
		if err == nil && g.frame.Y[0] != src[0] {
			t.Errorf("first luma %d, want %d", g.frame.Y[0], src[0])
		}
	})
}

func FuzzScale(f *testing.F) {
	f.Add(uint16(64), uint16(48), uint8(32), uint8(24))
	f.Add(uint16(1), uint16(400), uint8(200), uint8(1))
	f.Add(uint16(3), uint16(3), uint8(255), uint8(2))
	f.Fuzz(func(t *testing.T, sw, sh uint16, w, h uint8) {
		if sw == 0 || sh == 0 || w == 0 || h == 0 || sw > 512 || sh > 512 {
			return
		}
		src, dst := newGuarded(int(sw), int(sh)), newGuarded(int(w), int(h))
		if err := Scale(dst.frame, src.frame); err != nil {
			t.Error(err)
		}
		src.check(t)
		dst.check(t)
	})
}

func BenchmarkPlanar720p(b *testing.B) {
	m := scene(1280, 720, image.YCbCrSubsampleRatio420)
	nv12, i420 := planar(m, 1280, true), planar(m, 1280, false)
	dst, small := capture.NewPool(1280, 720).Get(), capture.NewPool(640, 360).Get()
	for name, run := range map[string]func() error{
		"NV12":  func() error { return NV12(dst, nv12, 1280) },
		"I420":  func() error { return I420(dst, i420, 1280) },
		"GREY":  func() error { return GREY(dst, i420, 1280) },
		"Scale": func() error { return Scale(small, dst) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := run(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
