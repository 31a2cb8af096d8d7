package camera

import (
	"bytes"
	"errors"
	"image"
	"image/jpeg"
	"testing"

	"github.com/blackjack/webcam"
)

// picture is a JPEG of the size.
func picture(t testing.TB, w, h int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, image.NewYCbCr(image.Rect(0, 0, w, h), image.YCbCrSubsampleRatio420), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestBadKind(t *testing.T) {
	good := picture(t, 64, 48)
	mjpg := v4l2Format{width: 64, height: 48, sizeImage: 64 * 48, pixelFormat: uint32(pixelFormat(MJPEG))}
	yuyv := v4l2Format{width: 64, height: 48, bytesPerLine: 128, sizeImage: 64 * 48 * 2, pixelFormat: uint32(pixelFormat(YUYV))}
	offered := []Size{{64, 48, 30}, {32, 24, 30}}
	for _, c := range []struct {
		name string
		f    v4l2Format
		b    []byte
		want error
	}{
		{"nothing", mjpg, nil, errShort},
		{"noise", mjpg, []byte{0x12, 0x34, 0xff, 0xd8, 0xff}, errUndecodable},
		{"cut", mjpg, good[:len(good)/2], errTruncated},
		{"another size", mjpg, picture(t, 32, 24), errWrongSize},
		{"another size, cut", mjpg, picture(t, 32, 24)[:400], errWrongSize},
		{"torn header", mjpg, append([]byte{0xff, 0xd8, 0xff, 0xc0, 0, 2}, 0xff, 0xd9), errUndecodable},
		{"raw, nothing", yuyv, nil, errShort},
		{"raw, half", yuyv, make([]byte, 64*48), errShort},
		{"raw, another size", yuyv, make([]byte, 32*24*2), errWrongSize},
	} {
		w, _ := wayOf(fourCC(webcam.PixelFormat(c.f.pixelFormat)))
		if got := badKind(c.f, w, offered, c.b); !errors.Is(got, c.want) {
			t.Errorf("%s: %v, want %v", c.name, got, c.want)
		}
		if err := tooLong(c.f, w, c.b); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
	}
	w, _ := wayOf(YUYV)
	if err := tooLong(yuyv, w, make([]byte, 64*48*2+1)); !errors.Is(err, errWrongSize) {
		t.Errorf("a raw picture that is too long: %v", err)
	}
}

func TestTallyCounts(t *testing.T) {
	var c tally
	for i, kind := range []error{errShort, errTruncated, errUndecodable, errWrongSize} {
		for range i + 1 {
			c.count(kind)
		}
	}
	c.oversized.Add(5)
	c.uneven.Add(6)
	c.frames.Add(7)
	var s Stats
	c.stats(&s)
	if want := (Stats{Frames: 7, Bad: 15, Short: 1, Truncated: 2, Undecodable: 3, WrongSize: 4, Oversized: 5, Uneven: 6}); s != want {
		t.Errorf("%+v, want %+v", s, want)
	}
}

func TestJPEGSize(t *testing.T) {
	for _, z := range []image.Point{{1, 1}, {64, 48}, {1280, 720}, {16383, 3}} {
		if w, h, ok := jpegSize(picture(t, z.X, z.Y)); !ok || w != z.X || h != z.Y {
			t.Errorf("%v: %dx%d, %v", z, w, h, ok)
		}
	}
}

// FuzzJPEGSize: no bytes crash it, and what the standard library can read it reads
// the same.
func FuzzJPEGSize(f *testing.F) {
	good := picture(f, 32, 24)
	f.Add(good)
	f.Add(good[:len(good)/3])
	f.Add([]byte{0xff, 0xd8, 0xff, 0xff, 0xff, 0xc0, 0, 11, 8, 0, 1, 0, 1})
	f.Add([]byte{0xff, 0xd8, 0xff, 0xe0, 0, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, h, ok := jpegSize(b)
		if !ok && (w != 0 || h != 0) {
			t.Errorf("no size, but %dx%d", w, h)
		}
		if c, err := jpeg.DecodeConfig(bytes.NewReader(b)); err == nil && ok && (c.Width != w || c.Height != h) {
			t.Errorf("%dx%d, the standard library reads %dx%d", w, h, c.Width, c.Height)
		}
	})
}
