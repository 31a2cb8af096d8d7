// Package camera owns V4L2: it finds the cameras of the machine and names them
// for good (List), takes pictures from one (Open, Run) and keeps the one that is
// wanted running through unplugging, hanging, being busy and a change to another
// camera, with a slate in between (Keeper). It is the only importer of github.com/blackjack/webcam.
//
// It may be imported by daemon and daemon/call. It imports capture and
// capture/pixel.
//
// No wait in it is without a deadline, and ending the context wakes each wait at
// once. After any error everything is torn down: a driver that lost its device
// answers the old descriptor with errors for ever. System calls into a driver
// that hangs in the kernel (other than the wait for a frame) cannot be bounded
// from user space.
package camera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"kioskd/capture"
	"kioskd/capture/pixel"
)

const (
	// buffers is the driver's queue: one filled, one in conversion, two to ride
	// out a late scheduler.
	buffers = 4

	defaultWidth, defaultHeight, defaultFPS = 1280, 720, 30
	defaultDeadline                         = time.Second

	// firstFrame is how long the first picture may take: a USB camera wakes its
	// sensor and finds its exposure first, which can take over a second.
	firstFrame = 3 * time.Second
)

// Config says which camera to open and what to ask of it.
type Config struct {
	Path          string // node, such as /dev/video0 or a link to it
	Width, Height int    // wished size in pixels; 0 means 1280 x 720
	FPS           int    // wished frames a second; 0 means 30
	// Format is YUYV, MJPEG or "" to take YUYV where it gives the wished size and
	// rate and MJPEG elsewhere.
	Format string
	// FrameDeadline is how long a running camera may give no picture; 0 means 1 s.
	FrameDeadline time.Duration
	// Shutter is told how the privacy shutter is: once before the first picture
	// and at each change while the camera runs, from one goroutine of Run's; it
	// must not block. Cameras without the control tell nothing. nil: nobody asks.
	Shutter func(closed bool)
}

// withDefaults fills in what is zero.
func (c Config) withDefaults() Config {
	if c.Width == 0 || c.Height == 0 {
		c.Width, c.Height = defaultWidth, defaultHeight
	}
	if c.FPS == 0 {
		c.FPS = defaultFPS
	}
	if c.FrameDeadline == 0 {
		c.FrameDeadline = defaultDeadline
	}
	return c
}

// Stats counts what a camera gave.
type Stats struct {
	Frames        uint64  // pictures handed on
	Bad           uint64  // pictures dropped because they were short or undecodable
	Width, Height int     // pixels
	Format        string  // YUYV or MJPEG
	FPS           float64 // what the driver promised; 0 where it does not say
}

// Camera is an open camera. It implements capture.Source for one Run.
type Camera struct {
	cfg    Config
	log    *slog.Logger
	cam    *webcam.Webcam
	fd     int
	format v4l2Format
	fourCC string
	fps    float64
	pool   *capture.Pool

	streaming   bool // of Run
	frames, bad atomic.Uint64
	closing     sync.Once
	closeErr    error
}

// Open opens the camera and sets its format. It starts no stream. The caller
// ends it by Run, or by Close when it is never run. Errors wrap ErrGone, ErrBusy,
// ErrNoRoom or ErrPermission where one fits.
func Open(cfg Config, log *slog.Logger) (*Camera, error) {
	cfg = cfg.withDefaults()
	cam, err := webcam.Open(cfg.Path)
	if err != nil {
		return nil, classify("open", cfg.Path, err)
	}
	c := &Camera{cfg: cfg, log: log.With("camera", cfg.Path), cam: cam}
	if err := c.setUp(); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

// setUp negotiates the format; what the driver then has is what is used.
func (c *Camera) setUp() error {
	var err error
	if c.fd, err = descriptor(c.cam); err != nil {
		return err
	}
	// The library does not ask for it, and a child must not hold the camera.
	unix.CloseOnExec(c.fd)

	want, err := choose(formatsOf(c.cam), c.cfg)
	if err != nil {
		// A camera that just went answers every question with nothing.
		if _, gone := readFormat(c.fd); gone != nil && kindOf(gone) != nil {
			return classify("ask", c.cfg.Path, gone)
		}
		return classify("use", c.cfg.Path, err)
	}
	if _, _, _, err := c.cam.SetImageFormat(pixelFormat(want.fourCC), uint32(want.width), uint32(want.height)); err != nil {
		return classify("set the format of", c.cfg.Path, err)
	}
	if c.format, err = readFormat(c.fd); err != nil {
		return classify("read the format of", c.cfg.Path, err)
	}
	if c.fourCC, err = usable(c.format); err != nil {
		return classify("use", c.cfg.Path, err)
	}
	got := choice{c.fourCC, int(c.format.width), int(c.format.height), want.fps}
	if got != want {
		c.log.Warn("the camera set another format than asked", "asked", want.String(), "set", got.String())
	}
	if err := c.setRate(want.fps); err != nil {
		return err
	}
	if err := c.cam.SetBufferCount(buffers); err != nil {
		return classify("prepare", c.cfg.Path, err)
	}
	c.pool = capture.NewPool(got.width, got.height)
	c.log.Info("camera opened", "format", got.String(), "fps", c.fps)
	return nil
}

// setRate asks for a frame rate. A driver may have none to set; then the camera
// runs at its own.
func (c *Camera) setRate(fps float64) error {
	if err := c.cam.SetFramerate(float32(fps)); err != nil {
		if kindOf(err) != nil {
			return classify("set the frame rate of", c.cfg.Path, err)
		}
		c.log.Info("the camera's frame rate cannot be set", "asked", fps, "err", err)
	}
	if got, err := c.cam.GetFramerate(); err == nil {
		c.fps = float64(got)
	}
	return nil
}

// usable checks a format that the driver set and names it.
func usable(f v4l2Format) (string, error) {
	name := fourCC(webcam.PixelFormat(f.pixelFormat))
	switch {
	case name != YUYV && name != MJPEG:
		return "", fmt.Errorf("it set the format %s, which cannot be converted", name)
	case f.width < 16 || f.height < 16 || f.width > capture.MaxSide || f.height > capture.MaxSide:
		return "", fmt.Errorf("it set a picture of %dx%d", f.width, f.height)
	case name == YUYV && (f.width%2 != 0 || f.bytesPerLine != 0 && f.bytesPerLine < 2*f.width):
		return "", fmt.Errorf("it set YUYV lines of %d pixels in %d bytes", f.width, f.bytesPerLine)
	}
	return name, nil
}

func (c choice) String() string { return fmt.Sprintf("%s %dx%d", c.fourCC, c.width, c.height) }

// Stats may be asked at any time by any goroutine.
func (c *Camera) Stats() Stats {
	return Stats{Frames: c.frames.Load(), Bad: c.bad.Load(), Width: int(c.format.width), Height: int(c.format.height), Format: c.fourCC, FPS: c.fps}
}

// Close closes a camera that is never run. After Run it does nothing.
func (c *Camera) Close() error {
	c.closing.Do(func() {
		if err := c.cam.Close(); err != nil {
			c.closeErr = classify("close", c.cfg.Path, err)
		}
	})
	return c.closeErr
}

// Run takes pictures and hands each to put with its reference, until ctx ends,
// when it returns nil, or the camera fails, when the error wraps ErrGone,
// ErrStalled, ErrBusy or ErrNoRoom where one fits. Frame.Time is the instant the driver gave
// the picture away (the library shows no timestamps), Frame.Seq the camera's own
// count from 0. When Run returns the file is closed; that takes some milliseconds
// after ctx ended. It may be called once.
func (c *Camera) Run(ctx context.Context, put func(*capture.Frame)) (err error) {
	defer func() {
		if cerr := c.Close(); cerr != nil && !errors.Is(err, ErrGone) {
			err = errors.Join(err, cerr)
		}
	}()
	w, err := newWaker(ctx)
	if err != nil {
		return fmt.Errorf("cannot run camera %s: %w", c.cfg.Path, err)
	}
	defer w.close()
	if ctx.Err() != nil {
		return nil
	}
	// First the stream is stopped, so that the lamp goes out at once, then the
	// shutter is left alone, then (above) the file is closed.
	watch := watchShutter(c.fd, c.cfg.Shutter)
	defer watch.end()
	defer c.stop()
	if err := c.cam.StartStreaming(); err != nil {
		// Else the mappings would keep the device open.
		return errors.Join(classify("start", c.cfg.Path, err), unmapAll(c.cam))
	}
	c.streaming = true
	last, patience := time.Now(), max(firstFrame, c.cfg.FrameDeadline)
	for {
		ready, err := w.wait(c.fd, last.Add(patience))
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return classify("wait for", c.cfg.Path, err)
		case !ready:
			return fmt.Errorf("cannot get a picture from camera %s for %v (%d good, %d bad so far): %w",
				c.cfg.Path, patience, c.frames.Load(), c.bad.Load(), ErrStalled)
		}
		good, err := c.take(put)
		if err != nil {
			return err
		}
		if good {
			last, patience = time.Now(), c.cfg.FrameDeadline
		}
	}
}

// stop ends the stream where one runs. Its errors show at the next call.
func (c *Camera) stop() {
	if c.streaming {
		_ = c.cam.StopStreaming()
	}
}

// take fetches one picture, gives the buffer back to the driver as soon as it is
// converted and hands the picture on. It reports false where there was none or it
// was bad.
func (c *Camera) take(put func(*capture.Frame)) (bool, error) {
	b, index, err := dequeue(c.cam)
	now := time.Now()
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false, nil
	case err != nil:
		return false, classify("read from", c.cfg.Path, err)
	}
	f := c.pool.Get()
	bad := c.convert(f, b)
	if err := c.cam.ReleaseFrame(index); err != nil {
		f.Release()
		return false, classify("return a buffer to", c.cfg.Path, err)
	}
	if bad != nil {
		f.Release()
		if n := c.bad.Add(1); n&(n-1) == 0 { // the 1st, 2nd, 4th, 8th: never a flood
			c.log.Warn("picture dropped", "bad", n, "err", bad)
		}
		return false, nil
	}
	f.Seq, f.Time = c.frames.Add(1)-1, now
	put(f)
	return true, nil
}

func (c *Camera) convert(f *capture.Frame, b []byte) error {
	if c.fourCC == MJPEG {
		return pixel.MJPEG(f, b)
	}
	stride := int(c.format.bytesPerLine)
	if stride == 0 {
		stride = 2 * int(c.format.width)
	}
	return pixel.YUYV(f, b, stride)
}
