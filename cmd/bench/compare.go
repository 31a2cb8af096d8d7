package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"kioskd/cmd/bench/barevpx"
	"kioskd/cmd/bench/contender"
	"kioskd/cmd/bench/quality"
	"kioskd/cmd/bench/table"
	"kioskd/cmd/fakecam/camns"
)

const (
	kbps    = 1500
	warmUp  = 2 // seconds whose cost is not counted: a program's start, an encoder's making
	skipped = 60
	// farRounds is how often mediadevices is run: it lies so far off that more tell nothing.
	farRounds = 2
	// overBare is what our encoder may cost at most, as a multiple of libvpx alone.
	overBare = 1.25
)

// row is one camera and codec.
type row struct{ format, codec string }

func rows() []row {
	return []row{{"MJPG", "VP8"}, {"MJPG", "H264"}, {"YUYV", "VP8"}, {"YUYV", "H264"}}
}

// contenders of a codec; the first two are ours twice, which shows the run's own spread.
func contenders(bin, codec string) []contender.Contender {
	list := []contender.Contender{
		contender.Own("kioskd", "/proc/self/exe", "ours"), contender.Own("kioskd again", "/proc/self/exe", "ours"),
		contender.Own("mediadevices", filepath.Join(bin, "bench-mediadevices")),
	}
	if codec == "VP8" {
		return append(list, contender.GStreamer("GStreamer vp8enc 8", 8), contender.GStreamer("GStreamer vp8enc -6", -6))
	}
	return append(list, contender.GStreamer("GStreamer openh264enc", 0))
}

// compare runs every row and gives the table and which promises are missed.
func compare(ctx context.Context, o options, dir string) (text string, broken []string, err error) {
	var all table.Table
	for i, r := range rows() {
		if o.row != "" && o.row != r.format+" "+r.codec {
			continue
		}
		stop, err := startCamera(ctx, o.bin, i, r.format)
		if err != nil {
			return "", nil, err
		}
		err = compareRow(ctx, o, dir, fmt.Sprintf("/dev/video%d", i), r, &all)
		if err := errors.Join(err, stop()); err != nil {
			return "", nil, err
		}
	}
	ratio, err := againstBare(o)
	if err != nil {
		return "", nil, err
	}
	broken = all.Promises()
	if ratio > overBare {
		broken = append(broken, fmt.Sprintf("VP8 encoding is %.2f x bare libvpx, promised %.2f", ratio, overBare))
	}
	return all.String() + fmt.Sprintf("VP8 encoding / bare libvpx with the same settings: %.2f (thread CPU, the same pictures, by turns)\n", ratio), broken, nil
}

func compareRow(ctx context.Context, o options, dir, camera string, r row, all *table.Table) error {
	judge, err := quality.NewJudge(1280, 720, skipped)
	if err != nil {
		return err
	}
	list := contenders(o.bin, r.codec)
	for round := range o.rounds {
		for i := range list {
			c := list[(i+round)%len(list)] // nobody is always the one after the slowest
			if c.Name == table.MediaDevices && round >= farRounds {
				continue
			}
			t := contender.Task{Camera: camera, Format: r.format, Codec: r.codec, Kbps: kbps, Out: c.Path(dir, r.format, r.codec)}
			e, err := measure(ctx, c, t, o.seconds, judge)
			if err != nil {
				return err
			}
			e.Row = r.format + " " + r.codec
			all.Add(e)
			fmt.Fprintf(os.Stderr, "%s %-22s %6.2f ms, %4d frames, %.2f dB, %.0f kbit/s\n", e.Row, c.Name, e.Milliseconds, e.Frames, e.PSNR, e.Kbps)
		}
	}
	return nil
}

// measure runs a contender for the warm-up and then for that and seconds more: the
// difference is what encoding costs.
func measure(ctx context.Context, c contender.Contender, t contender.Task, seconds int, judge *quality.Judge) (table.Entry, error) {
	e := table.Entry{Name: c.Name}
	t.Seconds = warmUp
	short, err := c.Run(ctx, t)
	if err != nil {
		return e, err
	}
	before, err := judge.Stream(ctx, t.Out)
	if err != nil {
		return e, err
	}
	t.Seconds = warmUp + seconds
	long, err := c.Run(ctx, t)
	if err != nil {
		return e, err
	}
	after, err := judge.Stream(ctx, t.Out)
	if err != nil {
		return e, err
	}
	n := after.Frames - before.Frames
	if n < 10 {
		return e, fmt.Errorf("cannot judge %s: %d frames in %d s", c.Name, n, seconds)
	}
	e.Frames, e.PSNR = n, after.PSNR
	e.Milliseconds = (long.CPU - short.CPU).Seconds() * 1000 / float64(n)
	e.Kbps = float64(long.Size-short.Size) * 8 / 1000 / float64(seconds)
	e.MiB = float64(long.RSS) / (1 << 20)
	if long.Frames > 0 {
		e.Allocs = long.Allocs / float64(long.Frames)
	} else {
		e.Allocs = -1
	}
	return e, nil
}

// againstBare holds our VP8 encoder against libvpx alone, by turns.
func againstBare(o options) (float64, error) {
	frames, err := scene(60)
	if err != nil {
		return 0, err
	}
	var mine, bare time.Duration
	for range max(o.rounds, 1) {
		a, err := encodeScene(frames, 300)
		if err != nil {
			return 0, err
		}
		b, _, err := barevpx.Encode(frames, 300, barevpx.Settings{Kbps: kbps, FPS: 30, CPUUsed: vp8Speed, Threads: 1})
		if err != nil {
			return 0, err
		}
		mine, bare = mine+a, bare+b
	}
	return float64(mine) / float64(bare), nil
}

// startCamera starts a fakecam with one camera of the format, /dev/videoN.
func startCamera(ctx context.Context, bin string, n int, format string) (stop func() error, err error) {
	only := "mjpeg"
	if format == "YUYV" {
		only = "yuyv"
	}
	cmd := exec.CommandContext(ctx, filepath.Join(bin, "fakecam"), append(camns.Camera(n).Args(), "-scene", "webcam", "-only", only)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("cannot start fakecam: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("cannot start fakecam: %w", err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil || line != "ready\n" {
		return nil, fmt.Errorf("cannot start fakecam: it said %q (%w)", line, errors.Join(err, cmd.Process.Kill(), cmd.Wait()))
	}
	var once sync.Once
	return func() error {
		var err error
		once.Do(func() {
			err = cmd.Process.Signal(syscall.SIGTERM)
			_ = cmd.Wait() // it ends by our signal
		})
		return err
	}, nil
}
