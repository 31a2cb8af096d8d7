package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"sync"
	"time"

	"kioskd/capture"
	"kioskd/capture/camera"
	"kioskd/capture/encode"
	"kioskd/cmd/bench/contender"
	"kioskd/cmd/bench/ivf"
)

// ours is kioskd's own way from the driver to the encoder's bytes, as daemon/call
// has it: camera, mailbox, encoder.
func ours(args []string) error {
	var t contender.Task
	f := flag.NewFlagSet("ours", flag.ContinueOnError)
	t.Flags(f)
	if err := f.Parse(args); err != nil {
		return fmt.Errorf("cannot read the task: %w", err)
	}
	runtime.GOMAXPROCS(1) // as kioskd has it
	cam, err := camera.Open(camera.Config{Path: t.Camera, Format: t.Format}, slog.New(slog.DiscardHandler))
	if err != nil {
		return err
	}
	enc, err := encode.NewVideo(encode.Codec(t.Codec), encode.VideoParams{BitRate: 1000 * t.Kbps, FrameRate: 30})
	if err != nil {
		return errors.Join(err, cam.Close())
	}
	defer func() { _ = enc.Close() }()
	write, end, err := sink(t)
	if err != nil {
		return errors.Join(err, cam.Close())
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Duration(t.Seconds)*time.Second)
	defer cancel()
	var o capture.Fanout
	box := o.Add()
	var source sync.WaitGroup
	var lost error
	source.Go(func() {
		defer o.Remove(box)
		lost = cam.Run(ctx, o.Put)
	})
	r, err := encodeAll(ctx, box, enc, write)
	cancel()
	source.Wait()
	r.Offered = int(cam.Stats().Frames)
	if err := errors.Join(err, lost, end()); err != nil {
		return err
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return fmt.Errorf("cannot report: %w", err)
	}
	return nil
}

// sink opens the stream's file; end flushes and closes it.
func sink(t contender.Task) (write func([]byte) error, end func() error, err error) {
	file, err := os.Create(t.Out)
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make the stream's file: %w", err)
	}
	buffered := bufio.NewWriterSize(file, 1<<20)
	end = func() error { return errors.Join(buffered.Flush(), file.Close()) }
	if t.Codec != "VP8" {
		return func(b []byte) error { _, err := buffered.Write(b); return err }, end, nil
	}
	w, err := ivf.New(buffered, 1280, 720)
	if err != nil {
		return nil, nil, errors.Join(err, end())
	}
	return w.Write, end, nil
}

// encodeAll encodes until the mailbox closes. Allocations are counted from the
// second second on: what comes before is the building of the parts.
func encodeAll(ctx context.Context, box *capture.Mailbox, enc encode.VideoEncoder, write func([]byte) error) (contender.Report, error) {
	var r contender.Report
	var before, after runtime.MemStats
	counted := 0
	for {
		frame, err := box.Get(ctx)
		if err != nil {
			break // the time is over
		}
		data, _, err := enc.Encode(frame)
		frame.Release()
		if err == nil {
			err = write(data)
		}
		if err != nil {
			return r, err
		}
		if r.Frames++; r.Frames == 30 {
			runtime.ReadMemStats(&before)
			counted = r.Frames
		}
	}
	runtime.ReadMemStats(&after)
	if n := r.Frames - counted; counted > 0 && n > 0 { // as if it had been so from the first
		r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(n) * float64(r.Frames)
		r.Bytes = (after.TotalAlloc - before.TotalAlloc) / uint64(n) * uint64(r.Frames)
	}
	return r, nil
}
