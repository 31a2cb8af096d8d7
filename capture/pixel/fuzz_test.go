package pixel

import (
	"bytes"
	"image"
	"os"
	"path/filepath"
	"testing"
)

// The fuzz targets hold both promises of this package: no input makes C write
// outside the picture (or crash), and a refused input says so.

func FuzzMJPEG(f *testing.F) {
	const w, h = 48, 32
	good := encode(f, scene(w, h, image.YCbCrSubsampleRatio420), 75)
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(append(bytes.Clone(good[:len(good)-40]), 0xFF, 0xD9))
	f.Add(encode(f, image.NewGray(image.Rect(0, 0, w, h)), 50))
	seeds, err := filepath.Glob("testdata/jpeg/*.jpg")
	if err != nil || len(seeds) == 0 {
		f.Fatal(seeds, err)
	}
	for _, path := range seeds {
		src, err := os.ReadFile(path)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(src)
	}
	f.Fuzz(func(t *testing.T, src []byte) {
		before := bytes.Clone(src)
		for _, side := range [][2]int{{w, h}, {96, 64}, {130, 99}} { // those of the seeds
			g := newGuarded(side[0], side[1])
			_ = MJPEG(g.frame, src)
			g.check(t)
		}
		if !bytes.Equal(src, before) {
			t.Error("the source was written to")
		}
	})
}

func FuzzYUYV(f *testing.F) {
	f.Add(uint8(16), uint8(8), 32, bytes.Repeat([]byte{1, 2, 3, 4}, 64))
	f.Add(uint8(2), uint8(2), 4, []byte{1, 2, 3})
	f.Add(uint8(7), uint8(3), 14, make([]byte, 42))
	f.Fuzz(func(t *testing.T, w, h uint8, stride int, src []byte) {
		if w == 0 || h == 0 {
			return
		}
		g := newGuarded(int(w), int(h))
		err := YUYV(g.frame, src, stride)
		g.check(t)
		fits := w%2 == 0 && stride >= 2*int(w) && stride <= 1<<17 && len(src) >= stride*(int(h)-1)+2*int(w)
		if (err == nil) != fits && stride <= 1<<16 {
			t.Errorf("%dx%d stride %d, %d bytes: error %v", w, h, stride, len(src), err)
		}
		if err == nil && g.frame.Y[0] != src[0] {
			t.Errorf("first luma %d, want %d", g.frame.Y[0], src[0])
		}
	})
}
