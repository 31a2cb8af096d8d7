// Command mediadevices is a contender of the bench: the library's own pipeline,
// its camera driver, decoder and encoder, as its examples use them. It is never part of
// kioskd.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/pion/mediadevices"
	"github.com/pion/mediadevices/pkg/codec/openh264"
	"github.com/pion/mediadevices/pkg/codec/vpx"
	"github.com/pion/mediadevices/pkg/driver"
	_ "github.com/pion/mediadevices/pkg/driver/camera" // registers the cameras
	"github.com/pion/mediadevices/pkg/frame"
	"github.com/pion/mediadevices/pkg/prop"

	"kioskd/cmd/bench/contender"
	"kioskd/cmd/bench/ivf"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// maxTorn is how many pictures of a run may be torn.
const maxTorn = 30

func run() error {
	var t contender.Task
	t.Flags(flag.CommandLine)
	flag.Parse()
	id := ""
	for _, d := range driver.GetManager().Query(driver.FilterVideoRecorder()) {
		if strings.Contains(d.Info().Label, filepath.Base(t.Camera)) {
			id = d.ID()
		}
	}
	if id == "" {
		return fmt.Errorf("cannot find %s among the library's cameras", t.Camera)
	}
	name := "vp8"
	var selector *mediadevices.CodecSelector
	if t.Codec == "VP8" {
		p, err := vpx.NewVP8Params()
		if err != nil {
			return fmt.Errorf("cannot set up vpx: %w", err)
		}
		p.BitRate = 1000 * t.Kbps
		selector = mediadevices.NewCodecSelector(mediadevices.WithVideoEncoders(&p))
	} else {
		name = "h264"
		p, err := openh264.NewParams()
		if err != nil {
			return fmt.Errorf("cannot set up openh264: %w", err)
		}
		p.BitRate, p.EnableFrameSkip, p.IntraPeriod = 1000*t.Kbps, false, 0
		selector = mediadevices.NewCodecSelector(mediadevices.WithVideoEncoders(&p))
	}
	format := frame.FormatMJPEG
	if t.Format == "YUYV" {
		format = frame.FormatYUYV
	}
	stream, err := mediadevices.GetUserMedia(mediadevices.MediaStreamConstraints{
		Video: func(c *mediadevices.MediaTrackConstraints) {
			c.DeviceID = prop.StringExact(id)
			c.FrameFormat = prop.FrameFormatExact(format)
			c.Width, c.Height, c.FrameRate = prop.IntExact(1280), prop.IntExact(720), prop.Float(30)
		},
		Codec: selector,
	})
	if err != nil {
		return fmt.Errorf("cannot open the camera: %w", err)
	}
	track := stream.GetVideoTracks()[0]
	defer func() { _ = track.Close() }()
	reader, err := track.NewEncodedReader(name)
	if err != nil {
		return fmt.Errorf("cannot encode: %w", err)
	}
	defer func() { _ = reader.Close() }()
	file, err := os.Create(t.Out)
	if err != nil {
		return fmt.Errorf("cannot make the stream's file: %w", err)
	}
	defer func() { _ = file.Close() }()
	write := func(b []byte) error { _, err := file.Write(b); return err }
	if t.Codec == "VP8" {
		w, err := ivf.New(file, 1280, 720)
		if err != nil {
			return err
		}
		write = w.Write
	}
	var r contender.Report
	var before, after runtime.MemStats
	torn := 0
	counted := 0 // from the second second on, as for ours: what comes before is the building of the parts
	for end := time.Now().Add(time.Duration(t.Seconds) * time.Second); time.Now().Before(end); r.Frames++ {
		b, release, err := reader.Read()
		if err != nil {
			// It gives buffers back before it has copied them, so that the driver can write
			// into one that is being decoded: such a picture is left out, as a program would.
			if torn++; torn > maxTorn {
				return fmt.Errorf("cannot read a frame, %d times: %w", torn, err)
			}
			r.Frames--
			continue
		}
		if err := write(b.Data); err != nil {
			return fmt.Errorf("cannot write a frame: %w", err)
		}
		release()
		if r.Frames == 30 {
			runtime.ReadMemStats(&before)
			counted = r.Frames
		}
	}
	runtime.ReadMemStats(&after)
	if n := r.Frames - counted; counted > 0 && n > 0 {
		r.Allocs = float64(after.Mallocs-before.Mallocs) / float64(n) * float64(r.Frames)
		r.Bytes = (after.TotalAlloc - before.TotalAlloc) / uint64(n) * uint64(r.Frames)
	}
	if err := json.NewEncoder(os.Stdout).Encode(r); err != nil {
		return fmt.Errorf("cannot report: %w", err)
	}
	return nil
}
