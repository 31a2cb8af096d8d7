package camera

import (
	"context"
	"errors"
	"runtime"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/encode"
)

// pipeline is a camera, a mailbox and an encoder, as a call has them.
type pipeline struct {
	box *capture.Mailbox
	enc *encode.VP8
}

func startPipeline(tb testing.TB, format string) *pipeline {
	tb.Helper()
	only := map[string]string{MJPEG: "mjpeg", YUYV: "yuyv"}[format]
	c := startFakecam(tb, "-scene", "webcam", "-only", only)
	cam, err := Open(Config{Path: c.path(0), Format: format}, quiet())
	if err != nil {
		tb.Fatal(err)
	}
	enc, err := encode.NewVP8(encode.VP8Params{BitRate: 1_500_000, FrameRate: 30})
	if err != nil {
		tb.Fatal(errors.Join(err, cam.Close()))
	}
	ctx, cancel := context.WithCancel(context.Background())
	p, done := &pipeline{box: capture.NewMailbox(), enc: enc}, make(chan error, 1)
	go func() { done <- cam.Run(ctx, p.box.Put) }()
	tb.Cleanup(func() {
		cancel()
		if err := errors.Join(<-done, enc.Close()); err != nil {
			tb.Error(err)
		}
		p.box.Close()
	})
	return p
}

// frame waits for a picture and encodes it.
func (p *pipeline) frame(ctx context.Context) error {
	f, err := p.box.Get(ctx)
	if err != nil {
		return err
	}
	defer f.Release()
	_, _, err = p.enc.Encode(f)
	return err
}

// From the driver's buffer to VP8 nothing is allocated: a collection in a call is a
// hitch in its sound and picture.
func TestNothingIsAllocatedFromDriverToVP8(t *testing.T) {
	for _, format := range []string{MJPEG, YUYV} {
		t.Run(format, func(t *testing.T) {
			p := startPipeline(t, format)
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			defer cancel()
			for range 30 { // pools fill, the encoder settles
				if err := p.frame(ctx); err != nil {
					t.Fatal(err)
				}
			}
			const frames = 60
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for range frames {
				if err := p.frame(ctx); err != nil {
					t.Fatal(err)
				}
			}
			runtime.ReadMemStats(&after)
			// The runtime itself takes one now and then, for a goroutine that waits.
			if n := after.Mallocs - before.Mallocs; n > frames/10 {
				t.Errorf("%d allocations in %d frames", n, frames)
			}
		})
	}
}

// What comes of it for one frame: `go test -run xxx -bench DriverToVP8 -benchmem ./capture/camera`.
func BenchmarkDriverToVP8(b *testing.B) {
	for _, format := range []string{MJPEG, YUYV} {
		b.Run(format, func(b *testing.B) {
			p := startPipeline(b, format)
			if err := p.frame(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if err := p.frame(b.Context()); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
