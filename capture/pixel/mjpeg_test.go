package pixel

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"os"
	"testing"
)

// TestMJPEGEqualsGo compares with image/jpeg, which shares no code with libjpeg.
func TestMJPEGEqualsGo(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 160, 120))
	for i := range grey.Pix {
		grey.Pix[i] = byte(i % 160)
	}
	for name, m := range map[string]image.Image{
		"small":      scene(64, 48, image.YCbCrSubsampleRatio420),
		"odd blocks": scene(322, 246, image.YCbCrSubsampleRatio420),
		"hd":         scene(1280, 720, image.YCbCrSubsampleRatio420),
		"grey":       grey,
	} {
		t.Run(name, func(t *testing.T) {
			src := encode(t, m, 90)
			for variant, src := range map[string][]byte{
				"plain":           src,
				"padded":          append(bytes.Clone(src), make([]byte, 512)...),
				"without tables":  dropHuffman(t, src),
				"with a comment":  withComment(src),
				"from the device": bytes.Clone(src)[:len(src):len(src)],
			} {
				want := goDecode(t, src)
				g := newGuarded(want.Rect.Dx(), want.Rect.Dy())
				if err := MJPEG(g.frame, src); err != nil {
					t.Fatalf("%s: %v", variant, err)
				}
				g.check(t)
				// Two decoders may round each coefficient another way.
				if dy, dc := maxDiff(t, &g.frame.YCbCr, want); dy > 4 || dc > 4 {
					t.Errorf("%s: differs from image/jpeg by %d in luma, %d in chroma", variant, dy, dc)
				}
			}
		})
	}
}

// TestMJPEGOfCameras decodes what cameras send and image/jpeg cannot write: chroma as in
// testdata/jpeg's names (made with libjpeg's cjpeg -sample), with odd sides, restart markers
// and more than one scan.
func TestMJPEGOfCameras(t *testing.T) {
	for name, fits := range map[string]bool{
		"420-odd": true, "422": true, "422-odd": true, "422-restart": true, "422-progressive": true, "444": true, "444-odd": true,
		"411": false, "440": false,
	} {
		t.Run(name, func(t *testing.T) {
			src, err := os.ReadFile("testdata/jpeg/" + name + ".jpg")
			if err != nil {
				t.Fatal(err)
			}
			want := halved(goDecode(t, src))
			g := newGuarded(want.Rect.Dx(), want.Rect.Dy())
			err = MJPEG(g.frame, src)
			g.check(t)
			if !fits {
				if !errors.Is(err, ErrPicture) {
					t.Errorf("decoded: %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if dy, dc := maxDiff(t, &g.frame.YCbCr, want); dy > 4 || dc > 4 {
				t.Errorf("differs from image/jpeg by %d in luma, %d in chroma", dy, dc)
			}
		})
	}
}

// TestMJPEGGreySampling: the sampling factors of a picture with one component mean nothing
// (T.81, A.2.2).
func TestMJPEGGreySampling(t *testing.T) {
	grey := image.NewGray(image.Rect(0, 0, 150, 101))
	for i := range grey.Pix {
		grey.Pix[i] = byte(i % 150)
	}
	src := encode(t, grey, 90)
	want := goDecode(t, src)
	sof, _ := segment(t, src, 0xC0)
	for _, factors := range []byte{0x11, 0x12, 0x21, 0x22, 0x41, 0x14, 0x44} {
		src[sof+11] = factors
		g := newGuarded(150, 101)
		if err := MJPEG(g.frame, src); err != nil {
			t.Errorf("%#x: %v", factors, err)
			continue
		}
		g.check(t)
		if dy, dc := maxDiff(t, &g.frame.YCbCr, want); dy > 4 || dc > 4 {
			t.Errorf("%#x: differs from image/jpeg by %d in luma, %d in chroma", factors, dy, dc)
		}
	}
}

// halved makes 4:2:0 of any sampling: each chroma value the mean of those it stands for.
func halved(m *image.YCbCr) *image.YCbCr {
	out := image.NewYCbCr(m.Rect, image.YCbCrSubsampleRatio420)
	w, h := m.Rect.Dx(), m.Rect.Dy()
	for y := range h {
		copy(out.Y[y*out.YStride:][:w], m.Y[y*m.YStride:])
	}
	for cy := range (h + 1) / 2 {
		for cx := range (w + 1) / 2 {
			var cb, cr, n int
			for y := 2 * cy; y < min(2*cy+2, h); y++ {
				for x := 2 * cx; x < min(2*cx+2, w); x++ {
					i := m.COffset(x, y)
					cb, cr, n = cb+int(m.Cb[i]), cr+int(m.Cr[i]), n+1
				}
			}
			i := cy*out.CStride + cx
			out.Cb[i], out.Cr[i] = uint8((cb+n/2)/n), uint8((cr+n/2)/n)
		}
	}
	return out
}

// TestMJPEGTorn: a picture whose middle is gone, as where a USB packet was lost, is no picture.
func TestMJPEGTorn(t *testing.T) {
	const w, h = 640, 480
	good := encode(t, scene(w, h, image.YCbCrSubsampleRatio420), 85)
	_, scan := segment(t, good, 0xC4)
	refused, tried := 0, 0
	for at := scan + 600; at+1024 < len(good); at += 1500 {
		tried++
		g := newGuarded(w, h)
		if err := MJPEG(g.frame, append(bytes.Clone(good[:at]), good[at+512:]...)); errors.Is(err, ErrPicture) {
			refused++
		}
		g.check(t)
	}
	if tried < 5 || refused < tried*9/10 {
		t.Errorf("%d of %d torn pictures refused", refused, tried)
	}
}

// goDecode decodes with image/jpeg; Go needs the tables that cameras leave out.
func goDecode(t *testing.T, src []byte) *image.YCbCr {
	t.Helper()
	if !bytes.Contains(src, []byte{0xFF, 0xC4}) {
		src = withHuffman(t, src)
	}
	m, err := jpeg.Decode(bytes.NewReader(src))
	if err != nil {
		t.Fatal(err)
	}
	if y, ok := m.(*image.YCbCr); ok {
		return y
	}
	g := m.(*image.Gray)
	y := image.NewYCbCr(g.Rect, image.YCbCrSubsampleRatio420)
	for i := range y.Cb {
		y.Cb[i], y.Cr[i] = 128, 128
	}
	for row := range g.Rect.Dy() {
		copy(y.Y[row*y.YStride:][:y.YStride], g.Pix[row*g.Stride:])
	}
	return y
}

// segment finds a marker segment before the scan: its start and end.
func segment(t *testing.T, src []byte, marker byte) (from, to int) {
	t.Helper()
	for i := 2; i+4 <= len(src); {
		n := 2 + int(src[i+2])<<8 + int(src[i+3])
		if src[i+1] == marker {
			return i, i + n
		}
		if src[i+1] == 0xDA {
			break
		}
		i += n
	}
	t.Fatalf("no segment %#x", marker)
	return 0, 0
}

func dropHuffman(t *testing.T, src []byte) []byte {
	from, to := segment(t, src, 0xC4)
	return append(bytes.Clone(src[:from]), src[to:]...)
}

// withHuffman puts the tables of T.81 annex K back in, which Go's encoder uses.
func withHuffman(t *testing.T, src []byte) []byte {
	full := encode(t, scene(16, 16, image.YCbCrSubsampleRatio420), 90)
	from, to := segment(t, full, 0xC4)
	at, _ := segment(t, src, 0xDA)
	return append(append(bytes.Clone(src[:at]), full[from:to]...), src[at:]...)
}

func withComment(src []byte) []byte {
	return append([]byte{0xFF, 0xD8, 0xFF, 0xFE, 0, 6, 'a', 'b', 'c', 'd'}, src[2:]...)
}

// TestEveryCut cuts a JPEG after each of its bytes and puts an end marker there:
// libjpeg must neither read past it nor write past the planes.
func TestEveryCut(t *testing.T) {
	const w, h = 48, 32
	good := encode(t, scene(w, h, image.YCbCrSubsampleRatio420), 75)
	errs := 0
	for n := range len(good) {
		g := newGuarded(w, h)
		if err := MJPEG(g.frame, append(bytes.Clone(good[:n]), 0xFF, 0xD9)); err != nil {
			errs++
		}
		g.check(t)
	}
	if head, _ := segment(t, good, 0xDA); errs < head {
		t.Errorf("%d of %d cuts refused, want at least the %d in the headers", errs, len(good), head)
	}
}
