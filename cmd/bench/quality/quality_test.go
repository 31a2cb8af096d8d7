package quality

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/pixel"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/picture"
)

const w, h = 640, 360

// pictures draws what a decoder would give of the webcam scene, changed by spoil.
func pictures(t *testing.T, n int, spoil func(frame int, y []byte)) *bytes.Buffer {
	t.Helper()
	scene, err := picture.ParseScene("webcam")
	if err != nil {
		t.Fatal(err)
	}
	painter, raw, f := picture.NewStudio(scene).Painter(), make([]byte, 2*w*h), capture.NewPool(w, h).Get()
	var out bytes.Buffer
	for i := range n {
		if _, err := painter.YUYV(raw, w, h, blocks.New(uint32(i), time.Unix(0, 0))); err != nil {
			t.Fatal(err)
		}
		if err := pixel.YUYV(f, raw, 2*w); err != nil {
			t.Fatal(err)
		}
		y := make([]byte, 0, w*h)
		for line := range h {
			y = append(y, f.Y[line*f.YStride:][:w]...)
		}
		spoil(i, y)
		out.Write(y)
		out.Write(make([]byte, w*h/2))
	}
	return &out
}

func judge(t *testing.T, skip int, b *bytes.Buffer) Figure {
	t.Helper()
	j, err := NewJudge(w, h, skip)
	if err != nil {
		t.Fatal(err)
	}
	f, err := j.Pictures(b)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestKnownErrorGivesItsPSNR(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	const off = 4
	b := pictures(t, 5, func(_ int, y []byte) {
		for i := blocks.Height(h) * w; i < len(y); i++ {
			switch up := rnd.IntN(2) == 0; {
			case y[i] < off || up && y[i] <= 255-off:
				y[i] += off
			default:
				y[i] -= off
			}
		}
	})
	f := judge(t, 0, b)
	if want := 20 * math.Log10(255.0/off); math.Abs(f.PSNR-want) > 0.001 {
		t.Errorf("PSNR %.3f dB, want %.3f", f.PSNR, want)
	}
	if f.Frames != 5 || f.Judged != 5 || f.Distinct != 5 {
		t.Errorf("%+v, want 5 of each", f)
	}
}

// A picture that comes twice is held against itself, not against the next one.
func TestPicturesAreKnownByTheirNumber(t *testing.T) {
	b := pictures(t, 3, func(int, []byte) {})
	size := b.Len() / 3
	all := b.Bytes()
	twice := bytes.NewBuffer(append(append([]byte{}, all[:size]...), all[2*size:]...))
	twice.Write(all[2*size:])
	f := judge(t, 0, twice)
	if f.Frames != 3 || f.Distinct != 2 {
		t.Errorf("%+v, want 3 frames, 2 distinct", f)
	}
	if f.PSNR != 0 { // no error at all has no PSNR
		t.Errorf("PSNR %.2f dB of pictures without a fault", f.PSNR)
	}
}

func TestSpoiltCodeIsCountedButNotJudged(t *testing.T) {
	b := pictures(t, 3, func(i int, y []byte) {
		if i == 1 {
			clear(y)
		}
	})
	if f := judge(t, 1, b); f.Frames != 3 || f.Judged != 1 {
		t.Errorf("%+v, want 3 frames, 1 judged: the first is skipped, the second has no number", f)
	}
}

func TestCutStreamIsAnError(t *testing.T) {
	b := pictures(t, 1, func(int, []byte) {})
	b.Truncate(b.Len() - 1)
	j, err := NewJudge(w, h, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := j.Pictures(b); err == nil {
		t.Error("a cut picture is no error")
	}
}
