// Package camera owns V4L2: it finds the cameras of the machine and names them
// for good (Prober), takes pictures from one (Open, Run), sets its controls, and
// keeps the one that is wanted running through unplugging, hanging, being busy and a
// change to another camera, with a slate in between (Keeper). It is the only
// importer of github.com/blackjack/webcam.
//
// It may be imported by daemon and daemon/call. It imports capture and
// capture/pixel.
//
// No wait in it is without a deadline, and ending the context wakes each wait at
// once. After any error everything is torn down: a driver that lost its device
// answers the old descriptor with errors for ever. A system call into a driver
// that hangs in the kernel cannot be ended from user space: Prober and Keeper leave
// its goroutine behind, counted (drivers); Open and Run hang with it.
package camera

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"kioskd/capture"
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
	// Format is YUYV, MJPEG, NV12, I420, GREY or "" to take the one that is cheapest
	// to convert of those that give the wished size and rate.
	Format string
	// FrameDeadline is how long a running camera may give no picture; 0 means 1 s.
	FrameDeadline time.Duration
	// Shutter is told how the privacy shutter is: once before the first picture
	// and at each change while the camera runs, from one goroutine of Run's; it
	// must not block. Cameras without the control tell nothing. nil: nobody asks.
	Shutter func(closed bool)
	// Controls are set before the stream starts, by their names, as far as the
	// camera takes them: what it does not take is logged.
	Controls map[string]int32

	want  *choice // the format to set; nil: the best
	tally *tally  // where it counts; nil: a new one
	// inside is told before the driver is gone into, with the time that may take,
	// and by 0 that it has been left; nil: nobody asks.
	inside func(within time.Duration)
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
	if c.tally == nil {
		c.tally = &tally{}
	}
	if c.inside == nil {
		c.inside = func(time.Duration) {}
	}
	return c
}

// Stats counts what a camera gave.
type Stats struct {
	Frames uint64 // pictures handed on
	// Bad are the pictures that were dropped because they were damaged: the five
	// below together.
	Bad         uint64
	Short       uint64 // too few bytes, or none
	Truncated   uint64 // a JPEG without an end
	Undecodable uint64
	WrongSize   uint64 // another picture size than was set
	Oversized   uint64 // more bytes than the buffer has; each costs a new opening
	// Uneven are good pictures that were dropped because newer ones waited behind
	// them: the camera sent several at a time, or this process was late.
	Uneven        uint64
	Width, Height int     // pixels
	Format        string  // V4L2 letters of the pixel format
	FPS           float64 // what the driver promised; 0 where it does not say
	// Convert is the time spent in making I420 of them, all together.
	Convert time.Duration
}

// Camera is an open camera. It implements capture.Source for one Run.
type Camera struct {
	cfg    Config
	log    *slog.Logger
	cam    *webcam.Webcam
	fd     int
	format v4l2Format
	fourCC string
	way    way
	fps    float64
	pool   *capture.Pool

	offered []Format
	asked   choice

	streaming bool      // of Run
	good      uint64    // pictures handed on, of this stream
	dropped   uint64    // bad ones of this stream
	bad       uint64    // those of them that came after the last good one
	arrived   time.Time // when the last buffer came
	closing   sync.Once
	closeErr  error
}

// Open opens the camera and sets its format. It starts no stream. The caller
// ends it by Run, or by Close when it is never run. Errors wrap ErrGone, ErrBusy,
// ErrNoRoom or ErrPermission where one fits.
func Open(cfg Config, log *slog.Logger) (*Camera, error) { return open(context.Background(), cfg, log) }

// open is Open that goes no further once ctx has ended: setting a USB camera up can take
// seconds, in which it may have been switched off.
func open(ctx context.Context, cfg Config, log *slog.Logger) (*Camera, error) {
	if ctx.Err() != nil {
		return nil, unwanted(ctx, cfg.Path)
	}
	cfg = cfg.withDefaults()
	cam, err := webcam.Open(cfg.Path)
	if err != nil {
		return nil, classify("open", cfg.Path, err)
	}
	c := &Camera{cfg: cfg, log: log.With("camera", cfg.Path), cam: cam}
	if err := c.setUp(ctx); err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}

func unwanted(ctx context.Context, path string) error {
	return fmt.Errorf("cannot open camera %s: %w", path, context.Cause(ctx))
}

// setUp goes step by step until ctx ends.
func (c *Camera) setUp(ctx context.Context) error {
	steps := []func() error{
		c.choose, c.setFormat,
		func() error { return c.setRate(c.asked.fps) },
		func() error { applyControls(ctx, c.fd, c.cfg.Controls, c.log); return nil },
		c.prepare,
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
		if ctx.Err() != nil {
			return unwanted(ctx, c.cfg.Path)
		}
	}
	c.log.Info("camera opened", "format", c.got().String(), "fps", c.fps)
	return nil
}

// choose asks what the camera offers and takes the format to ask for.
func (c *Camera) choose() error {
	var err error
	if c.fd, err = descriptor(c.cam); err != nil {
		return err
	}
	// The library does not ask for it, and a child must not hold the camera.
	unix.CloseOnExec(c.fd)

	c.offered = formatsOf(c.cam)
	want, err := choose(c.offered, c.cfg)
	if c.cfg.want != nil {
		want, err = *c.cfg.want, nil
	}
	c.asked = want
	if err != nil {
		// A camera that just went answers every question with nothing.
		if _, gone := readFormat(c.fd); gone != nil && kindOf(gone) != nil {
			return classify("ask", c.cfg.Path, gone)
		}
		return classify("use", c.cfg.Path, err)
	}
	return nil
}

// setFormat sets the format; what the driver then has is what is used.
func (c *Camera) setFormat() error {
	want := c.asked
	_, _, _, err := c.cam.SetImageFormat(pixelFormat(want.fourCC), uint32(want.width), uint32(want.height))
	if err != nil {
		return classify("set the format of", c.cfg.Path, err)
	}
	if c.format, err = readFormat(c.fd); err != nil {
		return classify("read the format of", c.cfg.Path, err)
	}
	if c.fourCC, err = usable(c.format); err != nil {
		return classify("use", c.cfg.Path, err)
	}
	c.way, _ = wayOf(c.fourCC)
	if got := c.got(); got != want {
		c.log.Warn("the camera set another format than asked", "asked", want.String(), "set", got.String())
	}
	return nil
}

// got is the format that is set.
func (c *Camera) got() choice {
	return choice{c.fourCC, int(c.format.width), int(c.format.height), c.asked.fps}
}

// prepare makes the buffers.
func (c *Camera) prepare() error {
	if err := c.cam.SetBufferCount(buffers); err != nil {
		return classify("prepare", c.cfg.Path, err)
	}
	c.pool = capture.NewPool(int(c.format.width), int(c.format.height))
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
	w, ok := wayOf(name)
	switch {
	case !ok:
		return "", fmt.Errorf("it set the format %s, which cannot be converted", name)
	case f.width < 16 || f.height < 16 || f.width > capture.MaxSide || f.height > capture.MaxSide || !w.takes(int(f.width), int(f.height)):
		return "", fmt.Errorf("it set a picture of %dx%d", f.width, f.height)
	case f.bytesPerLine != 0 && int(f.bytesPerLine) < w.stride*int(f.width):
		return "", fmt.Errorf("it set %s lines of %d pixels in %d bytes", name, f.width, f.bytesPerLine)
	}
	return name, nil
}

func (c choice) String() string { return fmt.Sprintf("%s %dx%d", c.fourCC, c.width, c.height) }

// Stats may be asked at any time by any goroutine.
func (c *Camera) Stats() Stats {
	s := Stats{Width: int(c.format.width), Height: int(c.format.height), Format: c.fourCC, FPS: c.fps}
	c.cfg.tally.stats(&s)
	return s
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
