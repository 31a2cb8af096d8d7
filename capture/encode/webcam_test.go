package encode_test

import (
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/pixel"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/picture"
)

// webcam gives fakecam's own pictures of its webcam scene: texture, a head and a
// mouth that move, a sensor's grain.
type webcam struct {
	pool *capture.Pool
	loop []*capture.Frame
}

// newWebcam draws n pictures of w x h.
func newWebcam(t testing.TB, w, h, n int) *webcam {
	t.Helper()
	kind, err := picture.ParseScene("webcam")
	if err != nil {
		t.Fatal(err)
	}
	painter := picture.NewStudio(kind).Painter()
	s := &webcam{pool: capture.NewPool(w, h)}
	raw := make([]byte, 2*w*h)
	for i := range n {
		if _, err := painter.YUYV(raw, w, h, blocks.New(uint32(i), start())); err != nil {
			t.Fatal(err)
		}
		f := s.pool.Get()
		if err := pixel.YUYV(f, raw, 2*w); err != nil {
			t.Fatal(err)
		}
		s.loop = append(s.loop, f)
	}
	return s
}

// frame gives picture n, taken at the instant at. The caller releases it, but not before the next call.
func (s *webcam) frame(n int, at time.Time) *capture.Frame {
	f := s.loop[n%len(s.loop)]
	f.Retain()
	f.Seq, f.Time = uint64(n), at
	return f
}
