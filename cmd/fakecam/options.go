package main

import (
	"flag"
	"fmt"
	"io"

	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/fuse"
	"kioskd/cmd/fakecam/picture"
	"kioskd/cmd/fakecam/v4l2"
)

// options are what the command line says.
type options struct {
	mount string
	dev   string
	n     int
	mode  fuse.Mode
	fps   int
	scene picture.Scene
	only  v4l2.Only
	ctl   string
	log   string
	udev  bool
}

// parseOptions reads the command line; usage and mistakes in flags go to w too.
func parseOptions(args []string, w io.Writer) (options, error) {
	var o options
	f := flag.NewFlagSet("fakecam", flag.ContinueOnError)
	f.SetOutput(w)
	f.Usage = func() {
		_, _ = fmt.Fprintf(w, "usage: fakecam [flags]          serve cameras until SIGTERM (root)\n"+
			"       fakecam ns CMD ARGS...   run CMD with a private /dev (root)\nflags:\n")
		f.PrintDefaults()
	}
	f.StringVar(&o.mount, "mount", "/run/fakecam", "mount point, made where it is missing; "+camns.MountDir+" in a private /dev")
	f.StringVar(&o.dev, "dev", "", "make links videoN, v4l/by-id and v4l/by-path in this `folder`, such as /dev")
	f.IntVar(&o.n, "n", 1, "how many cameras")
	mode := f.String("mode", string(fuse.Auto), "how clients map frames: auto, passthrough or store")
	f.IntVar(&o.fps, "fps", 0, "real frame rate whatever the client asks for; 0: as asked")
	scene := f.String("scene", string(picture.Bars), "bars, or webcam (texture, moving head, sensor noise)")
	only := f.String("only", "", "mjpeg: YUYV at VGA and below only; yuyv: no MJPEG")
	f.StringVar(&o.ctl, "ctl", "", "control `socket`")
	f.StringVar(&o.log, "log", "", "append a line a frame to this `file`: f|d minor counter monotonic-ns unix-ns, and e minor plugged")
	f.BoolVar(&o.udev, "udev", false, "multicast the message of udevd at plug and unplug, for libudev clients")
	if err := f.Parse(args); err != nil {
		return o, err
	}
	if f.NArg() > 0 {
		return o, fmt.Errorf("cannot understand %q: flags only, or ns CMD", f.Arg(0))
	}
	var err error
	if o.mode, err = fuse.ParseMode(*mode); err != nil {
		return o, err
	}
	if o.scene, err = picture.ParseScene(*scene); err != nil {
		return o, err
	}
	switch o.only = v4l2.Only(*only); o.only {
	case v4l2.OnlyAll, v4l2.OnlyMJPEG, v4l2.OnlyYUYV:
	default:
		return o, fmt.Errorf("cannot offer only %q: use mjpeg or yuyv", *only)
	}
	if o.n < 1 || o.n > camns.MaxCameras {
		return o, fmt.Errorf("cannot make %d cameras: use 1 to %d", o.n, camns.MaxCameras)
	}
	if o.fps < 0 || o.fps > 240 {
		return o, fmt.Errorf("cannot make %d frames a second: use 1 to 240, or 0", o.fps)
	}
	return o, nil
}
