// Package quality measures how near a stream comes to what the camera drew. Each
// picture carries its number (fakecam/blocks), so that lost ones do not matter.
// Imported by the bench only.
package quality

import (
	"context"
	"errors"
	"fmt"
	"image"
	"io"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"kioskd/capture"
	"kioskd/capture/pixel"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/picture"
)

// Figure is what a stream is worth.
type Figure struct {
	Frames   int     // decoded
	Judged   int     // of them, compared
	PSNR     float64 // of the luma, dB: of the mean error of all that were judged
	Distinct int     // pictures with a number of their own
}

// Judge compares a stream of w x h with fakecam's webcam scene, from its skip-th frame on.
type Judge struct {
	W, H, Skip int
	painter    *picture.Painter
	raw        []byte
	want       *capture.Frame
}

// NewJudge makes one.
func NewJudge(w, h, skip int) (*Judge, error) {
	scene, err := picture.ParseScene("webcam")
	if err != nil {
		return nil, fmt.Errorf("cannot draw what the camera sees: %w", err)
	}
	return &Judge{W: w, H: h, Skip: skip, painter: picture.NewStudio(scene).Painter(), raw: make([]byte, 2*w*h), want: capture.NewPool(w, h).Get()}, nil
}

// Stream decodes a file with GStreamer and judges it.
func (j *Judge) Stream(ctx context.Context, path string) (Figure, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Minute)
	defer cancel()
	args := []string{"-q", "filesrc", "location=" + path, "!"}
	switch filepath.Ext(path) {
	case ".ivf":
		args = append(args, "ivfparse", "!", "vp8dec", "!")
	case ".mkv":
		args = append(args, "matroskademux", "!", "vp8dec", "!")
	default:
		args = append(args, "h264parse", "!", "openh264dec", "!")
	}
	// A Matroska file's times drop nothing here: nobody waits for a clock.
	args = append(args, "videoconvert", "!", "video/x-raw,format=I420", "!", "fdsink", "fd=1", "sync=false")
	cmd := exec.CommandContext(ctx, "gst-launch-1.0", args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return Figure{}, fmt.Errorf("cannot decode %s: %w", path, err)
	}
	if err := cmd.Start(); err != nil {
		return Figure{}, fmt.Errorf("cannot decode %s: %w", path, err)
	}
	f, err := j.Pictures(out)
	if werr := cmd.Wait(); err == nil && werr != nil {
		err = fmt.Errorf("cannot decode %s: %w", path, werr)
	}
	return f, err
}

// Pictures judges raw I420 pictures.
func (j *Judge) Pictures(r io.Reader) (Figure, error) {
	var f Figure
	var sum float64
	var pixels int
	seen := map[uint32]bool{}
	buf := make([]byte, j.W*j.H*3/2)
	for ; ; f.Frames++ {
		if _, err := io.ReadFull(r, buf); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return f, fmt.Errorf("cannot read a decoded picture: %w", err)
		}
		code, err := blocks.Read(buf, j.W, j.W, j.H)
		if err != nil {
			continue // not to be told apart from the encoder's mistakes: it counts as not judged
		}
		seen[code.Counter] = true
		if f.Frames < j.Skip {
			continue
		}
		if err := j.draw(code); err != nil {
			return f, err
		}
		e, n := squares(buf, j.want.Y, j.W, j.want.YStride, image.Rect(0, blocks.Height(j.H), j.W, j.H))
		sum += e
		pixels += n
		f.Judged++
	}
	f.Distinct = len(seen)
	if pixels > 0 && sum > 0 {
		f.PSNR = 10 * math.Log10(255*255*float64(pixels)/sum)
	}
	return f, nil
}

// draw makes what the camera drew, as it went into its converter.
func (j *Judge) draw(code blocks.Code) error {
	if _, err := j.painter.YUYV(j.raw, j.W, j.H, code); err != nil {
		return fmt.Errorf("cannot draw picture %d: %w", code.Counter, err)
	}
	if err := pixel.YUYV(j.want, j.raw, 2*j.W); err != nil {
		return fmt.Errorf("cannot draw picture %d: %w", code.Counter, err)
	}
	return nil
}

// squares is the sum of squared differences within r, and its number of pixels.
func squares(a, b []byte, as, bs int, r image.Rectangle) (float64, int) {
	var sum int64
	for y := r.Min.Y; y < r.Max.Y; y++ {
		la, lb := a[y*as:][r.Min.X:r.Max.X], b[y*bs:][r.Min.X:r.Max.X]
		for x, v := range la {
			d := int64(v) - int64(lb[x])
			sum += d * d
		}
	}
	return float64(sum), r.Dx() * r.Dy()
}
