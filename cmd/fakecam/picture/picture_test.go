package picture

import (
	"bytes"
	"encoding/binary"
	"image"
	"image/jpeg"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/cmd/fakecam/blocks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func code(n uint32) blocks.Code { return blocks.New(n, time.UnixMicro(1_700_000_000_123_400)) }

func decode(t *testing.T, b []byte) *image.YCbCr {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("cannot decode: %v", err)
	}
	y, ok := img.(*image.YCbCr)
	if !ok || y.SubsampleRatio != image.YCbCrSubsampleRatio420 {
		t.Fatalf("decoded to %T, want 4:2:0", img)
	}
	return y
}

// whole encodes the same frame in one piece: what the joined strips must equal.
func whole(t *testing.T, p *Painter, w, h int, c blocks.Code) *image.YCbCr {
	t.Helper()
	pix := make([]byte, 2*w*h)
	if _, err := p.YUYV(pix, w, h, c); err != nil {
		t.Fatal(err)
	}
	if p.studio.scene == Bars { // the JPEG has no tear check
		for y := blocks.Height(h); y < h; y++ {
			copy(pix[2*y*w:2*(y+1)*w], p.bars.window(w, c.Counter))
		}
	}
	var b bytes.Buffer
	if err := jpeg.Encode(&b, planar(pix, w, h), &jpeg.Options{Quality: quality}); err != nil {
		t.Fatal(err)
	}
	return decode(t, b.Bytes())
}

// A joined JPEG decodes to the very pixels that the same frame, encoded in one
// piece, decodes to; both scenes, every size, and one that is no multiple of 16.
func TestMJPEG(t *testing.T) {
	for _, scene := range []Scene{Bars, Webcam} {
		p := NewStudio(scene).Painter()
		for _, s := range []size{{640, 480}, {1280, 720}, {1920, 1080}, {320, 250}} {
			for n := uint32(30); n < 32; n++ { // the webcam scene begins anew at 30
				if s.h > 700 && n == 30 {
					continue // a second frame of those takes seconds under the race detector
				}
				dst := make([]byte, s.w*s.h*2)
				k, err := p.MJPEG(dst, s.w, s.h, code(n))
				if err != nil {
					t.Fatal(err)
				}
				if s.w*s.h < k {
					t.Errorf("%s %v: %d bytes are more than a camera's buffer", scene, s, k)
				}
				got := decode(t, dst[:k])
				if got.Rect != image.Rect(0, 0, s.w, s.h) {
					t.Fatalf("decoded to %v, want %v", got.Rect, s)
				}
				if c, err := blocks.Read(got.Y, got.YStride, s.w, s.h); err != nil || c != code(n) {
					t.Errorf("%s %v frame %d: read %+v, %v", scene, s, n, c, err)
				}
				same(t, scene, s, n, got, whole(t, p, s.w, s.h, code(n)))
			}
		}
	}
}

func same(t *testing.T, scene Scene, s size, n uint32, got, want *image.YCbCr) {
	t.Helper()
	for y := range s.h {
		if !bytes.Equal(got.Y[y*got.YStride:][:s.w], want.Y[y*want.YStride:][:s.w]) {
			t.Errorf("%s %v frame %d: luma of line %d differs", scene, s, n, y)
			return
		}
		if y%2 == 0 && (!bytes.Equal(got.Cb[y/2*got.CStride:][:s.w/2], want.Cb[y/2*want.CStride:][:s.w/2]) ||
			!bytes.Equal(got.Cr[y/2*got.CStride:][:s.w/2], want.Cr[y/2*want.CStride:][:s.w/2])) {
			t.Errorf("%s %v frame %d: chroma of line %d differs", scene, s, n, y)
			return
		}
	}
}

// Restart markers count 0 to 7 and there is one between every two strips
// (ITU-T T.81 section F.1.2.3); DRI is one row of MCUs.
func TestRestarts(t *testing.T) {
	dst := make([]byte, 1920*1080)
	k, err := NewStudio(Webcam).Painter().MJPEG(dst, 1920, 1080, code(5))
	if err != nil {
		t.Fatal(err)
	}
	dri := 0
	at, err := segments(dst[:k], func(mark byte, from, to int) {
		if mark == markDRI {
			dri = int(binary.BigEndian.Uint16(dst[from+4:]))
		}
	})
	if err != nil || dri != 120 {
		t.Fatalf("DRI %d, %v; want 120 MCUs", dri, err)
	}
	var marks []byte
	for i := at; i+1 < k; i++ {
		if dst[i] == 0xff && dst[i+1] != 0 {
			marks = append(marks, dst[i+1])
		}
	}
	if len(marks) != 68 || marks[67] != markEOI {
		t.Fatalf("%d markers, want 67 restarts and EOI: %x", len(marks), marks)
	}
	for i, m := range marks[:67] {
		if m != markRST0+byte(i%8) {
			t.Errorf("restart %d is %#x", i, m)
		}
	}
}

func TestYUYV(t *testing.T) {
	for _, scene := range []Scene{Bars, Webcam} {
		p := NewStudio(scene).Painter()
		var last []byte
		for n := range uint32(3) {
			pix := make([]byte, 2*640*480)
			if k, err := p.YUYV(pix, 640, 480, code(n)); err != nil || k != len(pix) {
				t.Fatal(k, err)
			}
			luma := make([]byte, 640*480)
			for i := range luma {
				luma[i] = pix[2*i]
			}
			if c, err := blocks.Read(luma, 640, 640, 480); err != nil || c != code(n) {
				t.Errorf("%s: read %+v, %v", scene, c, err)
			}
			below := pix[2*640*blocks.Height(480):]
			if bytes.Equal(below, last) {
				t.Errorf("%s: frame %d does not move", scene, n)
			}
			last = below
			tear := TearCheck(pix, 640, 480, n)
			if scene == Bars && tear != -1 || scene == Webcam && tear != blocks.Height(480) {
				t.Errorf("%s: tear check finds line %d", scene, tear)
			}
		}
	}
}

func TestTearCheck(t *testing.T) {
	p := NewStudio(Bars).Painter()
	a, b := make([]byte, 2*640*480), make([]byte, 2*640*480)
	for i, dst := range [][]byte{a, b} {
		if _, err := p.YUYV(dst, 640, 480, code(uint32(i))); err != nil {
			t.Fatal(err)
		}
	}
	copy(b[2*640*300:], a[2*640*300:]) // lower part of the frame before
	if got := TearCheck(b, 640, 480, 1); got != 300 {
		t.Errorf("torn at 300, found %d", got)
	}
	if got := TearCheck(a[:1000], 640, 480, 0); got != blocks.Height(480) {
		t.Errorf("short frame: found %d", got)
	}
}

func TestErrors(t *testing.T) {
	p := NewStudio(Bars).Painter()
	for _, c := range []struct{ w, h, n int }{{1280, 720, 100}, {0, 0, 0}, {650, 480, 1 << 20}, {640, 47, 1 << 20}, {640, 481, 1 << 20}, {8192, 480, 1 << 24}} {
		if _, err := p.YUYV(make([]byte, c.n), c.w, c.h, code(0)); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("YUYV %+v: %v", c, err)
		}
		if _, err := p.MJPEG(make([]byte, c.n), c.w, c.h, code(0)); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("MJPEG %+v: %v", c, err)
		}
	}
	if _, err := ParseScene("beach"); err == nil {
		t.Error("unknown scene accepted")
	}
}

func FuzzSegments(f *testing.F) {
	dst := make([]byte, 64*64*2)
	k, err := NewStudio(Bars).Painter().MJPEG(dst, 64, 64, code(1))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(dst[:k])
	f.Fuzz(func(t *testing.T, b []byte) {
		head, scan, err := split(b)
		if err != nil {
			return
		}
		if len(head)+len(scan)+2 != len(b) {
			t.Errorf("%d + %d + 2 bytes of %d", len(head), len(scan), len(b))
		}
		if out, err := wholeHead(head, 64, 480); err == nil && len(out) < len(head) {
			t.Errorf("header shrank from %d to %d", len(head), len(out))
		}
	})
}

func BenchmarkPainter(b *testing.B) {
	for _, scene := range []Scene{Bars, Webcam} {
		for _, s := range []size{{1280, 720}, {1920, 1080}} {
			p, dst, n := NewStudio(scene).Painter(), make([]byte, 2*s.w*s.h), uint32(0)
			for name, draw := range map[string]func([]byte, int, int, blocks.Code) (int, error){"YUYV": p.YUYV, "MJPEG": p.MJPEG} {
				for i := range uint32(Loop) { // fill the cache
					if _, err := draw(dst, s.w, s.h, code(i)); err != nil {
						b.Fatal(err)
					}
				}
				b.Run(string(scene)+"/"+name+"/"+map[int]string{720: "720p", 1080: "1080p"}[s.h], func(b *testing.B) {
					for b.Loop() {
						n++
						if _, err := draw(dst, s.w, s.h, code(n)); err != nil {
							b.Fatal(err)
						}
					}
				})
			}
		}
	}
}
