package main

import (
	"fmt"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/capture/pixel"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/picture"
)

// vp8Speed is encode's default for VP8.
const vp8Speed = -12

// scene draws n pictures of fakecam's webcam.
func scene(n int) ([]*capture.Frame, error) {
	kind, err := picture.ParseScene("webcam")
	if err != nil {
		return nil, fmt.Errorf("cannot draw the scene: %w", err)
	}
	painter, raw, pool := picture.NewStudio(kind).Painter(), make([]byte, 2*1280*720), capture.NewPool(1280, 720)
	out := make([]*capture.Frame, 0, n)
	for i := range n {
		if _, err := painter.YUYV(raw, 1280, 720, blocks.New(uint32(i), time.Unix(0, 0))); err != nil {
			return nil, fmt.Errorf("cannot draw the scene: %w", err)
		}
		f := pool.Get()
		if err := pixel.YUYV(f, raw, 2*1280); err != nil {
			return nil, err
		}
		out = append(out, f)
	}
	return out, nil
}

// encodeScene encodes total pictures with our VP8 encoder and gives the thread's
// processor time.
func encodeScene(frames []*capture.Frame, total int) (time.Duration, error) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	e, err := encode.NewVP8(encode.VP8Params{BitRate: 1000 * kbps, FrameRate: 30, CPUUsed: vp8Speed, Threads: 1})
	if err != nil {
		return 0, err
	}
	defer func() { _ = e.Close() }()
	began, err := threadTime()
	if err != nil {
		return 0, err
	}
	at := time.Unix(1_700_000_000, 0)
	for i := range total {
		f := frames[i%len(frames)]
		f.Time = at.Add(time.Duration(i) * time.Second / 30)
		if _, _, err := e.Encode(f); err != nil {
			return 0, err
		}
	}
	ended, err := threadTime()
	return ended - began, err
}

func threadTime() (time.Duration, error) {
	var t unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t); err != nil {
		return 0, fmt.Errorf("cannot read the processor time: %w", err)
	}
	return time.Duration(t.Nano()), nil
}
