package main

import (
	"flag"
	"fmt"
	"io"
	"math"
	"slices"

	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/fuse"
	"kioskd/cmd/fakecam/picture"
	"kioskd/cmd/fakecam/v4l2"
)

const (
	defaultName = "Fake HD Camera"
	counterStep = 1_000_000 // 9 hours at 30 frames a second
)

// options are what the command line says.
type options struct {
	mount string
	dev   string
	n     int
	first int

	counterBase int64 // -1: by the camera's number
	name        string
	ids         []identity // by camera; a product without a text is named after name
	metadata    bool
	shutter     bool
	oneBus      bool
	busRoom     int64 // bytes a second; 0: no bound

	mode  fuse.Mode
	fps   int
	scene picture.Scene
	only  v4l2.Only
	ctl   string
	log   string
	sys   string

	udev    bool
	uevents uevents
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
	f.IntVar(&o.first, "first", 0, "number of the first camera: N of /dev/videoN")
	f.Int64Var(&o.counterBase, "counter-base", -1, "frames of the first camera count from this, those of each further one from a million more; -1: a million times -first")
	f.StringVar(&o.name, "name", defaultName, "the cameras' name; the default, and a name of several, gets the number put behind it")
	var l lists
	f.StringVar(&l.product, "product", "", "the cameras' USB product `texts` and names, instead of -name: one for all, or a comma-separated list")
	f.StringVar(&l.serial, "serial", "", "their serial `numbers`: one for all, or a list, in which an empty one is none")
	f.StringVar(&l.maker, "vendor", "", "their USB manufacturer `texts`: one for all, or a list")
	f.StringVar(&l.usbID, "usb-id", "1209:ca01", "their idVendor:idProduct in `hex`: one for all, or a list")
	f.StringVar(&l.port, "port", "", "USB `ports` they are plugged into, as 1-2 or 1-2.4: a list; without it the N of videoN and 1")
	f.BoolVar(&o.metadata, "metadata", false, "each camera has a second node, videoN+1, for metadata; the next camera is at N+2")
	f.StringVar(&o.sys, "sys", sysAuto, "make the cameras' sysfs entries in this `folder`; auto: in "+camns.CharDir+" where that is private, empty: nowhere")
	uevent := f.String("uevent", string(ueventsAuto), "let the kernel send its uevents at plug and unplug: on, off, or auto: where no udevd runs, which would believe them")
	f.BoolVar(&o.shutter, "shutter", true, "cameras have a privacy shutter (V4L2_CID_PRIVACY)")
	f.BoolVar(&o.oneBus, "one-bus", false, "the cameras share a bus that carries one stream: a second STREAMON gives ENOSPC")
	f.Int64Var(&o.busRoom, "bus-room", 0, "the cameras share a bus that carries so many bytes a second: a STREAMON that does not fit gives ENOSPC")
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
	if err := o.words(*mode, *scene, *only, *uevent); err != nil {
		return o, err
	}
	if err := o.check(); err != nil {
		return o, err
	}
	var err error
	if o.ids, err = l.identities(o.n); err != nil {
		return o, err
	}
	return o, o.checkPorts()
}

// words reads the flags that are one of several words.
func (o *options) words(mode, scene, only, uevent string) (err error) {
	if o.mode, err = fuse.ParseMode(mode); err != nil {
		return err
	}
	if o.scene, err = picture.ParseScene(scene); err != nil {
		return err
	}
	switch o.only = v4l2.Only(only); o.only {
	case v4l2.OnlyAll, v4l2.OnlyMJPEG, v4l2.OnlyYUYV:
	default:
		return fmt.Errorf("cannot offer only %q: use mjpeg or yuyv", only)
	}
	if o.uevents = uevents(uevent); !slices.Contains([]uevents{ueventsAuto, ueventsOn, ueventsOff}, o.uevents) {
		return fmt.Errorf("cannot send uevents %q: use auto, on or off", uevent)
	}
	return nil
}

// check looks at the numbers and words.
func (o options) check() error {
	if o.n < 1 || o.n > camns.MaxCameras {
		return fmt.Errorf("cannot make %d cameras: use 1 to %d", o.n, camns.MaxCameras)
	}
	if o.first < 0 || o.minor(o.n) > camns.MaxCameras {
		return fmt.Errorf("cannot number %d cameras from %d: the last may be %d", o.n, o.first, camns.MaxCameras-1)
	}
	if o.counterBase < -1 || o.counterBase > math.MaxUint32 {
		return fmt.Errorf("cannot count from %d: use 0 to %d", o.counterBase, uint32(math.MaxUint32))
	}
	if !plain(o.name, 1, 31) {
		return fmt.Errorf("cannot use name %q: 31 letters, digits, spaces, - _ . at most", o.name)
	}
	if o.fps < 0 || o.fps > 240 {
		return fmt.Errorf("cannot make %d frames a second: use 1 to 240, or 0", o.fps)
	}
	return nil
}

// plain says whether s can stand in a file name and in struct v4l2_capability.
func plain(s string, least, most int) bool {
	for _, r := range s {
		if r != ' ' && r != '-' && r != '_' && r != '.' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z') {
			return false
		}
	}
	return len(s) >= least && len(s) <= most
}

// base is what the frames of the process's camera i count from.
func (o options) base(i int) uint32 {
	from := o.counterBase
	if from < 0 {
		from = int64(o.first) * counterStep
	}
	return uint32(from + int64(i)*counterStep) // past 32 bits it begins anew
}

// minor is the N of videoN of the process's camera i.
func (o options) minor(i int) int {
	if o.metadata {
		return o.first + 2*i
	}
	return o.first + i
}

// identity is what the process's camera i says of itself.
func (o options) identity(i int) identity {
	id := o.ids[i]
	if id.product == "" {
		id.product = o.name
		if o.n > 1 || o.name == defaultName {
			id.product = fmt.Sprintf("%s %d", o.name, o.minor(i))
		}
	}
	if id.port == "" {
		id.port = fmt.Sprintf("1-%d", o.minor(i)+1)
	}
	return id
}

// checkPorts wants each camera at a port of its own.
func (o options) checkPorts() error {
	seen := map[string]bool{}
	for i := range o.n {
		p := o.identity(i).port
		if seen[p] {
			return fmt.Errorf("cannot plug two cameras into port %s: give each its own with -port", p)
		}
		seen[p] = true
	}
	return nil
}
