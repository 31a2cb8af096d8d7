package picture

import (
	"testing"

	"kioskd/cmd/fakecam/blocks"
)

// Black pictures are of one colour to the last byte and carry no code; the scene
// comes back unharmed.
func TestBlack(t *testing.T) {
	for _, scene := range []Scene{Bars, Webcam} {
		p := NewStudio(scene).Painter()
		for _, s := range []size{{640, 480}, {320, 250}} {
			dst := make([]byte, 2*s.w*s.h+8)
			p.Black(true)
			n, err := p.YUYV(dst, s.w, s.h, code(7))
			if err != nil || n != 2*s.w*s.h {
				t.Fatalf("%d bytes, %v", n, err)
			}
			for i := 0; i < n; i += 2 {
				if dst[i] != blackLuma || dst[i+1] != blocks.Chroma {
					t.Fatalf("%s %v: byte %d is %d, %d", scene, s, i, dst[i], dst[i+1])
				}
			}
			if dst[n] != 0 {
				t.Errorf("%s %v: written past the end", scene, s)
			}
			if n, err = p.MJPEG(dst, s.w, s.h, code(7)); err != nil {
				t.Fatal(err)
			}
			img := decode(t, dst[:n])
			for i, y := range img.Y {
				if y > blackLuma+2 {
					t.Fatalf("%s %v: luma %d at %d", scene, s, y, i)
				}
			}
			if c, err := blocks.Read(img.Y, img.YStride, s.w, s.h); err == nil {
				t.Errorf("%s %v: a black picture says %+v", scene, s, c)
			}
			p.Black(false)
			if n, err = p.MJPEG(dst, s.w, s.h, code(8)); err != nil {
				t.Fatal(err)
			}
			img = decode(t, dst[:n])
			if c, err := blocks.Read(img.Y, img.YStride, s.w, s.h); err != nil || c != code(8) {
				t.Errorf("%s %v: after black: %+v, %v", scene, s, c, err)
			}
		}
	}
	p := NewStudio(Bars).Painter()
	p.Black(true)
	if _, err := p.YUYV(make([]byte, 10), 640, 480, code(1)); err == nil {
		t.Error("black was painted into 10 bytes")
	}
}
