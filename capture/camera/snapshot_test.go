package camera

import (
	"context"
	"errors"
	"testing"
	"time"

	"kioskd/cmd/fakecam/blocks"
)

// TestSnapshot: one settled picture, and the camera is closed behind it.
func TestSnapshot(t *testing.T) {
	fc := startFakecam(t)
	p := NewProber(ProberConfig{Dev: fc.dev})
	for _, format := range []string{YUYV, MJPEG} {
		f, err := p.Snapshot(t.Context(), Config{Path: fc.path(0), Width: 640, Height: 480, Format: format})
		if err != nil {
			t.Fatal(err)
		}
		code, err := blocks.Read(f.Y, f.YStride, f.Rect.Dx(), f.Rect.Dy())
		if err != nil || code.Counter < settlePictures/2 || f.Rect.Dx() != 640 || f.Rect.Dy() != 480 {
			t.Errorf("%s: picture %d of %v, %v", format, code.Counter, f.Rect, err)
		}
		f.Release()
		fc.closedWithin(t, 0, closeLimit)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
}

func TestSnapshotFails(t *testing.T) {
	fc := startFakecam(t)
	r := run(t, Config{Path: fc.path(0)})
	r.film.next(t, firstFrame+margin, "picture", live)
	if f, err := Snapshot(t.Context(), Config{Path: fc.path(0)}); !errors.Is(err, ErrBusy) || f != nil {
		t.Errorf("in use: %v, %v", f, err)
	}
	r.stop()
	if err := r.ended(t, closeLimit+margin); err != nil {
		t.Error(err)
	}
	fc.closedWithin(t, 0, closeLimit)

	fc.do(t, "garbage 0 on")
	if f, err := Snapshot(t.Context(), Config{Path: fc.path(0), Format: MJPEG}); !errors.Is(err, ErrDamaged) || f != nil {
		t.Errorf("damaged: %v, %v", f, err)
	}
	fc.do(t, "garbage 0 off")

	// Whoever ends it has the device when it returns.
	p := NewProber(ProberConfig{Dev: fc.dev})
	fc.do(t, "stall 0 60000")
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(100*time.Millisecond, cancel)
	began := time.Now()
	if f, err := p.Snapshot(ctx, Config{Path: fc.path(0)}); !errors.Is(err, context.Canceled) || f != nil {
		t.Errorf("ended: %v, %v", f, err)
	}
	if d := time.Since(began); d > closeLimit {
		t.Errorf("it ends after %v", d)
	}
	if h := p.Hanging(); len(h) != 0 {
		t.Errorf("hanging: %+v", h)
	}
	fc.closedWithin(t, 0, closeLimit)

	fc.do(t, "unplug 0")
	if f, err := Snapshot(t.Context(), Config{Path: fc.path(0)}); !errors.Is(err, ErrGone) || f != nil {
		t.Errorf("unplugged: %v, %v", f, err)
	}
}
