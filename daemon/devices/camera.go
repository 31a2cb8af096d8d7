package devices

import (
	"context"
	"errors"
	"maps"
	"slices"

	"kioskd/capture"
	"kioskd/capture/camera"
	"kioskd/daemon/api/apitype"
)

// cameraRun is the camera that runs for the call.
type cameraRun struct {
	keeper *camera.Keeper // nil: none runs
	target string         // the name of the camera that is wanted; "": the first usable one
	// switched: target was set for a run that has not begun.
	switched bool
	next     chosen      // the one that the Keeper was told to use last
	live     string      // name of the one whose pictures come
	code     camera.Code // how the wanted camera is; "" not known yet
	fits     string      // the format that runs because the wanted one has no room
	shut     bool        // the shutter of the one in use is closed
	standsIn bool        // another than the wanted one was chosen, which is gone
}

// RunCamera keeps the camera called id ("" for the first usable one) running for the
// call, and puts a slate while there is none; SwitchCamera hands over to another one
// meanwhile. It returns when ctx has ended and every file is closed.
func (d *Devices) RunCamera(ctx context.Context, id string, put func(*capture.Frame)) {
	d.endTools(ctx)
	c := d.cfg.Camera
	k := camera.NewKeeper(camera.KeeperConfig{
		Choose: d.choose, Width: c.Width, Height: c.Height, Log: d.log,
		Slate:   []string{d.o.Words.Text("slate.camera_missing")},
		Changed: d.cameraChanged, ShutterChanged: d.shutterChanged, Held: d.cameraHeld, Prober: d.prober,
	})
	d.mu.Lock()
	if !d.cam.switched { // else the wish has changed before we came here
		d.cam.target = id
	}
	d.cam = cameraRun{keeper: k, target: d.cam.target}
	d.mu.Unlock()
	if err := k.Run(ctx, put); err != nil {
		d.log.Error("the camera did not close cleanly", "error", err)
	}
	d.mu.Lock()
	d.cam = cameraRun{target: d.cam.target}
	d.mu.Unlock()
	d.o.Changed() // a look says what is still wrong
	d.o.Shown()
}

// SwitchCamera has the running camera replaced by the one called id, with the
// smallest gap there can be. It returns at once.
func (d *Devices) SwitchCamera(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.names.Resolve(d.cam.target) != d.names.Resolve(id) {
		d.cam.standsIn = false // nothing does for this one
	}
	d.cam.target = id
	if d.cam.keeper != nil {
		d.cam.keeper.Retarget()
		return
	}
	d.cam.switched = true // the run that is to begin takes it up
}

// choose says which camera the call wants, as it is now.
func (d *Devices) choose() (camera.Config, error) {
	if err := d.lookForCameras(false); err != nil {
		d.log.Warn("the cameras are taken as they were", "error", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c, standsIn := d.wantedCamera()
	if c == nil {
		return camera.Config{}, camera.ErrGone
	}
	if c.Err != nil {
		return camera.Config{Path: c.Path}, c.Err
	}
	d.cam.standsIn = standsIn
	d.cam.next = chosen{c.id, c.Path}
	return d.config(*c), nil
}

// wantedCamera is the camera to use, nil for none; standsIn: it is another than was
// chosen. The caller holds mu.
func (d *Devices) wantedCamera() (c *aCamera, standsIn bool) {
	list := d.ordered()
	usable := slices.IndexFunc(list, aCamera.usable)
	bound := func(c aCamera) bool { return c.usable() && d.roleBound(c.id) != "" }
	target := d.names.Resolve(d.cam.target)
	if target == "" {
		if usable < 0 && len(list) > 0 {
			usable = 0 // and say what is wrong with it
		}
	} else {
		i := slices.IndexFunc(list, func(c aCamera) bool { return c.id == target })
		// Back, and not to be used: what stands in for it goes on, where there is something.
		if i >= 0 && (list[i].Err == nil || !d.cam.standsIn || usable < 0) {
			return &list[i], false
		}
		if !d.cfg.Camera.Fallback {
			return nil, false
		}
		standsIn = true
		if i := slices.IndexFunc(list, bound); i >= 0 {
			usable = i
		}
	}
	if usable < 0 {
		return nil, false
	}
	return &list[usable], standsIn
}

// usable tells whether pictures may come from it now.
func (c aCamera) usable() bool { return c.Err == nil && c.Shutter != camera.ShutterClosed }

// config is what a camera is asked for. The caller holds mu.
func (d *Devices) config(c aCamera) camera.Config {
	set := d.cfg.Camera
	return camera.Config{
		Path: c.Path, Width: set.Width, Height: set.Height, FPS: set.FPS, Format: format(set.Format),
		Controls: d.keptControls(c.id),
	}
}

// format is the capture package's word for the configuration's.
func format(configured string) string {
	switch configured {
	case "yuyv":
		return camera.YUYV
	case "mjpeg":
		return camera.MJPEG
	case "nv12":
		return camera.NV12
	case "yu12":
		return camera.I420
	case "grey":
		return camera.GREY
	default:
		return ""
	}
}

// cameraHeld notes which cameras' files are open, as the Keeper says.
func (d *Devices) cameraHeld(path string, open bool) {
	d.mu.Lock()
	if open {
		d.open[path] = d.cameraAt(path)
		d.holds.take(d.open[path], bySession)
	} else if id, ok := d.open[path]; ok {
		delete(d.open, path)
		// One that hung may close late, when the same camera runs at another node.
		if !slices.Contains(slices.Collect(maps.Values(d.open)), id) {
			d.holds.drop(id, bySession)
		}
	}
	d.mu.Unlock()
	d.o.Shown()
}

// cameraAt is the name of the camera at a node. The caller holds mu.
func (d *Devices) cameraAt(path string) string {
	if d.cam.next.path == path {
		return d.cam.next.id
	}
	for _, c := range d.cameras {
		if c.Path == path {
			return c.id
		}
	}
	return path
}

// cameraChanged follows the Keeper.
func (d *Devices) cameraChanged(s camera.State) {
	d.mu.Lock()
	d.cam.code, d.cam.fits, d.cam.live = s.Code, s.Fits, ""
	if s.Err == nil {
		d.cam.live = d.open[s.Path]
	}
	d.mu.Unlock()
	d.tellCamera()
	d.o.Changed()
}

// shutterChanged follows the privacy shutter of the running camera. The hardware
// only takes away: the patient's choice stays what it is.
func (d *Devices) shutterChanged(closed bool) {
	d.mu.Lock()
	d.cam.shut = closed
	d.mu.Unlock()
	d.tellCamera()
	d.o.Changed()
}

// returned has the Keeper look again where the wanted camera is back, can be used, and
// another stands in for it.
func (d *Devices) returned() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.cam.keeper == nil || !d.cam.standsIn {
		return
	}
	if _, still := d.wantedCamera(); !still {
		d.cam.keeper.Retarget()
	}
}

// tellCamera says what is wrong with the camera that runs.
func (d *Devices) tellCamera() {
	d.telling.Lock()
	defer d.telling.Unlock()
	d.mu.Lock()
	run := d.cam
	d.mu.Unlock()
	if run.keeper == nil {
		return // a look tells
	}
	code, more := cameraCondition(run.code), ""
	switch {
	case code != "" || run.code == "":
	case run.shut:
		code = "camera_shuttered"
	case run.standsIn:
		code = "camera_fallback"
	case run.fits != "":
		code, more = "camera_no_bandwidth", d.o.Words.Text("condition.camera_no_bandwidth.fits", "format", run.fits)
	}
	d.setOnly(cameraConditions(), code, more)
}

// CameraFigures are those of the camera in use; nil: none is.
func (d *Devices) CameraFigures() *apitype.VideoSource {
	d.mu.Lock()
	k := d.cam.keeper
	d.mu.Unlock()
	if k == nil {
		return nil
	}
	s := k.Stats()
	return &apitype.VideoSource{
		Width: s.Width, Height: s.Height, Frames: s.Frames, FramesPerSecond: s.FPS,
		PixelFormat: s.Format, FramesCorrupted: s.Bad, TotalConvert: s.Convert.Seconds(),
	}
}

// cameraState is how a camera is, as the last look and the run know it. The caller
// holds mu.
func (d *Devices) cameraState(c aCamera) string {
	if d.cam.live == c.id && d.cam.code == camera.Present {
		if d.cam.shut {
			return apitype.DeviceShuttered
		}
		return apitype.DeviceOK
	}
	if d.cam.keeper != nil && c.Err == nil && d.names.Resolve(d.cam.target) == c.id {
		switch d.cam.code { // it opens for a look, and gives no picture
		case camera.Hung:
			return apitype.DeviceHung
		case camera.NoBandwidth:
			return apitype.DeviceNoBandwidth
		case camera.Busy:
			return apitype.DeviceBusy
		case camera.Broken:
			return apitype.DeviceError
		default: // the others show in what the look found
		}
	}
	switch err := c.Err; {
	case err == nil && c.Shutter == camera.ShutterClosed:
		return apitype.DeviceShuttered
	case err == nil:
		return apitype.DeviceOK
	case errors.Is(err, camera.ErrPermission):
		return apitype.DeviceNoPermission
	case errors.Is(err, camera.ErrBusy):
		return apitype.DeviceBusy
	case errors.Is(err, camera.ErrHung), errors.Is(err, camera.ErrStalled):
		return apitype.DeviceHung
	case errors.Is(err, camera.ErrNoRoom):
		return apitype.DeviceNoBandwidth
	default:
		return apitype.DeviceError
	}
}
