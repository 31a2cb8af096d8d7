package camera

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"kioskd/capture"
)

const (
	// snapshotWithin bounds a snapshot: opening, waking the sensor and settling.
	snapshotWithin = 10 * time.Second
	// settleFor and settlePictures are how long a camera may look for its exposure
	// and white balance: whichever is over first. Webcams need ten to twenty pictures.
	settleFor      = 800 * time.Millisecond
	settlePictures = 20
)

// snapshot is Prober.Snapshot.
func snapshot(ctx context.Context, d *drivers, cfg Config) (*capture.Frame, error) {
	type answer struct {
		frame *capture.Frame
		err   error
	}
	got := make(chan answer, 1)
	if err := d.do(ctx, cfg.Path, "take a picture from", snapshotWithin, func(ctx context.Context) {
		f, err := settled(ctx, cfg)
		got <- answer{f, err}
	}); err != nil {
		return nil, err
	}
	a := <-got
	return a.frame, a.err
}

// settled runs the camera until it has settled and gives the picture of then.
func settled(ctx context.Context, cfg Config) (*capture.Frame, error) {
	cfg.Shutter = nil // nobody asks
	cam, err := open(ctx, cfg, slog.New(slog.DiscardHandler))
	if err != nil {
		return nil, err
	}
	running, stop := context.WithCancel(ctx)
	defer stop()
	var keep *capture.Frame
	var first time.Time
	n := 0
	err = cam.Run(running, func(f *capture.Frame) {
		if n++; n == 1 {
			first = f.Time
		}
		if keep != nil || n < settlePictures && f.Time.Sub(first) < settleFor {
			f.Release()
			return
		}
		keep = f
		stop()
	})
	switch {
	case keep != nil:
		return keep, nil // whatever came of its closing
	case err != nil:
		return nil, err
	}
	return nil, fmt.Errorf("cannot take a picture from camera %s: %w", cfg.Path, context.Cause(ctx))
}
