package daemon

import (
	"context"
	"fmt"

	"kioskd/capture"
	"kioskd/capture/camera"
)

// runCamera keeps the camera called id ("" for the first usable one) running for
// the call; switchCamera hands over to another one meanwhile.
func (d *devices) runCamera(ctx context.Context, id string, put func(*capture.Frame)) {
	c := d.cfg.Camera
	k := camera.NewKeeper(camera.KeeperConfig{
		Choose: d.choose, Width: c.Width, Height: c.Height, Log: d.log,
		Slate:   []string{d.words.Text("slate.camera_missing")},
		Changed: d.cameraChanged, ShutterChanged: d.shutterChanged,
	})
	d.mu.Lock()
	if !d.switched { // else the wish has changed before we came here
		d.target = id
	}
	d.keeper, d.switched = k, false
	d.mu.Unlock()
	if err := k.Run(ctx, put); err != nil {
		d.log.Error("the camera did not close cleanly", "error", err)
	}
	d.mu.Lock()
	d.keeper, d.shut, d.switched = nil, false, false
	d.mu.Unlock()
	d.holdCamera(false)
	d.changed() // a look says what is still wrong
	d.shown()
}

// switchCamera has the running camera replaced by the one called id, with the
// smallest gap there can be. It returns at once.
func (d *devices) switchCamera(id string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.target = id
	if d.keeper != nil {
		d.keeper.Retarget()
		return
	}
	d.switched = true // the run that is to begin takes it up
}

// choose says which camera the call wants, as it is now.
func (d *devices) choose() (camera.Config, error) {
	if err := d.look(); err != nil {
		return camera.Config{}, fmt.Errorf("%w: %w", camera.ErrGone, err)
	}
	c := d.cfg.Camera
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, info := range d.ordered() {
		if d.target == "" || info.ID == d.target {
			d.chosen = info.ID
			return camera.Config{Path: info.Path, Width: c.Width, Height: c.Height, FPS: c.FPS, Format: format(c.Format)}, info.Err
		}
	}
	return camera.Config{}, camera.ErrGone
}

// format is the capture package's word for the configuration's.
func format(configured string) string {
	switch configured {
	case "yuyv":
		return camera.YUYV
	case "mjpeg":
		return camera.MJPEG
	default:
		return ""
	}
}

func cameraConditions() []string {
	return []string{"camera_missing", "camera_busy", "camera_no_permission", "camera_hung", "camera_error", "camera_shuttered"}
}

func (d *devices) cameraChanged(s camera.State) {
	now := map[camera.Code]string{
		camera.Gone: "camera_missing", camera.Busy: "camera_busy", camera.NoPermission: "camera_no_permission",
		camera.Hung: "camera_hung", camera.Broken: "camera_error",
	}[s.Code]
	d.holdCamera(now == "")
	d.mu.Lock()
	if now == "" && d.shut {
		now = "camera_shuttered"
	}
	d.mu.Unlock()
	d.setOnly(cameraConditions(), now)
	d.changed()
}

// shutterChanged follows the privacy shutter of the running camera. The hardware
// only takes away: the patient's choice stays what it is.
func (d *devices) shutterChanged(closed bool) {
	d.mu.Lock()
	d.shut = closed
	d.mu.Unlock()
	const code = "camera_shuttered"
	if closed {
		d.setOnly(cameraConditions(), code)
	} else {
		d.health.Clear(code)
	}
	d.changed()
}

// holdCamera notes that the chosen camera is the one that is open, or that none is.
func (d *devices) holdCamera(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.cameras {
		delete(d.held, c.ID)
	}
	delete(d.held, d.chosen)
	if on {
		d.held[d.chosen] = true
	}
}
