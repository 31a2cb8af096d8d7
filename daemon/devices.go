package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/configs"
	"kioskd/configs/words"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/health"
	"kioskd/daemon/session"
)

// devices finds the cameras and the microphone, keeps the wanted ones running
// and says how they are. It opens nothing for longer than a look unless the
// call asks for it.
type devices struct {
	cfg    configs.Config
	words  *words.Catalogue
	health *health.Set
	log    *slog.Logger
	// changed is told that a device came or went while it was wanted.
	changed func()
	// shown is told that list has something else to say.
	shown func()

	mu      sync.Mutex
	cameras []camera.Info // of the last look
	mics    []microphone.Info
	held    map[string]bool // ids of devices that are open now
	target  string          // id of the camera that the call wants; "": the first usable one
	chosen  string          // id of the camera that was chosen last
	keeper  *camera.Keeper  // of the running camera; nil: none runs
	// switched: target was set for a run that has not begun.
	switched bool
	shut     bool  // the running camera's shutter is closed
	micErr   error // why the microphone does not open, nil when it does
	trying   bool  // a try of the microphone is under way
}

func newDevices(cfg configs.Config, w *words.Catalogue, h *health.Set, log *slog.Logger) *devices {
	return &devices{cfg: cfg, words: w, health: h, log: log, held: map[string]bool{}, changed: func() {}, shown: func() {}}
}

// look lists the devices anew.
func (d *devices) look() error {
	cameras, err := camera.List(d.cfg.Camera.Directory)
	mics, merr := microphone.List()
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		d.cameras = cameras
	}
	if merr == nil {
		d.mics = mics
	}
	return errors.Join(err, merr)
}

// report looks and says what the session may count on.
func (d *devices) report() session.DeviceReport {
	if err := d.look(); err != nil {
		d.log.Error("cannot look for devices", "error", err)
	}
	micErr := d.tryMicrophone()
	d.mu.Lock()
	if !d.held[d.cfg.Microphone.Device] { // else the call has opened it meanwhile and knows better
		d.micErr = micErr
	}
	r, runs := d.summary(), d.keeper != nil
	d.mu.Unlock()
	if !runs { // else the running camera speaks for itself
		d.setOnly(cameraConditions(), map[session.DeviceState]string{
			session.DeviceMissing: "camera_missing", session.DeviceNoPermission: "camera_no_permission",
			session.DeviceShuttered: "camera_shuttered",
		}[r.Camera])
	}
	return r
}

// summary is what the last look means for the session. The caller holds mu.
func (d *devices) summary() session.DeviceReport {
	r := session.DeviceReport{Camera: session.DeviceMissing, Microphone: micState(d.micErr)}
	for _, c := range d.ordered() {
		switch {
		case errors.Is(c.Err, camera.ErrPermission):
			if r.Camera == session.DeviceMissing {
				r.Camera = session.DeviceNoPermission
			}
		case c.Shutter == camera.ShutterClosed:
			if r.Camera == session.DeviceMissing {
				r.Camera = session.DeviceShuttered
			}
		default: // a busy camera may be free again when it is needed
			r.Camera = session.DeviceOK
			r.Cameras = append(r.Cameras, c.ID)
		}
	}
	return r
}

// ordered lists the cameras with the configured face camera first. The caller holds mu.
func (d *devices) ordered() []camera.Info {
	var first, rest []camera.Info
	for _, c := range d.cameras {
		if f := d.cfg.Camera.Face; f != "" && (c.ID == f || c.Path == f) {
			first = append(first, c)
		} else {
			rest = append(rest, c)
		}
	}
	return append(first, rest...)
}

// tryMicrophone opens the microphone for a moment, unless the call holds it.
func (d *devices) tryMicrophone() error {
	if !d.cfg.Microphone.Enabled {
		return nil
	}
	d.mu.Lock()
	held, known := d.held[d.cfg.Microphone.Device], d.micErr
	d.mu.Unlock()
	if held {
		return known
	}
	return d.boundedTry()
}

// tryWithin bounds the try: alsa-lib's pulse plugin waits for its server without
// a deadline.
const tryWithin = 2 * time.Second

// errSilentServer is a sound server that does not answer.
var errSilentServer = errors.New("the sound server does not answer; restart it")

// boundedTry opens and closes the microphone in a goroutine that may outlive it
// where the sound server hangs; there is never more than one.
func (d *devices) boundedTry() error {
	d.mu.Lock()
	busy := d.trying
	d.trying = true
	d.mu.Unlock()
	if busy {
		return errSilentServer
	}
	done := make(chan error, 1)
	go func() {
		err := openAndClose(d.cfg.Microphone.Device)
		d.mu.Lock()
		d.trying = false
		d.mu.Unlock()
		done <- err
	}()
	timer := time.NewTimer(tryWithin)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
		return errSilentServer
	}
}

func openAndClose(name string) error {
	m, err := microphone.Open(microphone.Config{Device: name})
	if err != nil {
		return fmt.Errorf("cannot try the microphone: %w", err)
	}
	ended, cancel := context.WithCancel(context.Background())
	cancel() // Run closes it at once
	if err := m.Run(ended, func([]int16, time.Time) {}); err != nil {
		return fmt.Errorf("cannot try the microphone: %w", err)
	}
	return nil
}

func micState(err error) session.DeviceState {
	switch {
	case err == nil, errors.Is(err, microphone.ErrBusy):
		return session.DeviceOK
	case errors.Is(err, microphone.ErrPermission):
		return session.DeviceNoPermission
	default:
		return session.DeviceMissing
	}
}

func microphoneConditions() []string {
	return []string{"microphone_missing", "microphone_busy", "microphone_no_permission", "microphone_hung", "microphone_error"}
}

// runMicrophone keeps the microphone running for the call. Where it is switched
// off by configuration silence comes at the same pace.
func (d *devices) runMicrophone(ctx context.Context, put func([]int16, time.Time)) {
	name := d.cfg.Microphone.Device
	k := microphone.NewKeeper(microphone.KeeperConfig{
		Choose: func() (microphone.Config, error) {
			if !d.cfg.Microphone.Enabled {
				return microphone.Config{}, microphone.ErrNoDevice
			}
			return microphone.Config{Device: name}, nil
		},
		Changed: func(s microphone.State) { d.microphoneChanged(name, s) }, Log: d.log,
	})
	if err := k.Run(ctx, put); err != nil {
		d.log.Error("the microphone did not close cleanly", "error", err)
	}
	d.hold(name, false)
	for _, code := range microphoneConditions() {
		d.health.Clear(code)
	}
	d.shown()
}

func (d *devices) microphoneChanged(name string, s microphone.State) {
	now := map[microphone.Code]string{
		microphone.Gone: "microphone_missing", microphone.Busy: "microphone_busy",
		microphone.NoPermission: "microphone_no_permission", microphone.Hung: "microphone_hung", microphone.Broken: "microphone_error",
	}[s.Code]
	d.hold(name, now == "")
	d.mu.Lock()
	d.micErr = s.Err
	d.mu.Unlock()
	if d.cfg.Microphone.Enabled {
		d.setOnly(microphoneConditions(), now)
	}
	d.changed()
}

// setOnly sets one condition of a group, or none, and clears the others.
func (d *devices) setOnly(group []string, code string) {
	for _, c := range group {
		if c != code {
			d.health.Clear(c)
		}
	}
	if code != "" {
		d.health.Set(code, apitype.SeverityWarning, d.words.Text("condition."+code+".title"), d.words.Text("condition."+code+".hint"))
	}
}

func (d *devices) hold(id string, on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if on {
		d.held[id] = true
	} else {
		delete(d.held, id)
	}
}

// list is GET /v1/devices: what was seen last, and what is held.
func (d *devices) list() []apitype.Device {
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]apitype.Device, 0, len(d.cameras)+len(d.mics)+1)
	for i, c := range d.ordered() {
		dev := apitype.Device{
			ID: c.ID, Kind: "camera", Name: c.Name, Present: true, InUse: d.held[c.ID], State: cameraState(c),
		}
		if i == 0 {
			dev.Role = "face"
		}
		for _, f := range c.Formats {
			for _, z := range f.Sizes {
				dev.Formats = append(dev.Formats, fmt.Sprintf("%s %dx%d@%.3g", f.FourCC, z.Width, z.Height, z.FPS))
			}
		}
		out = append(out, dev)
	}
	configured := d.cfg.Microphone.Device
	listed := false
	for _, m := range d.mics {
		listed = listed || m.ID == configured
		out = append(out, d.microphone(m.ID, m.Name))
	}
	if !listed && d.cfg.Microphone.Enabled {
		out = append(out, d.microphone(configured, configured))
	}
	return out
}

// microphone describes one. The caller holds mu.
func (d *devices) microphone(id, name string) apitype.Device {
	dev := apitype.Device{ID: id, Kind: "microphone", Name: name, Present: true, InUse: d.held[id], State: "ok"}
	if id != d.cfg.Microphone.Device {
		return dev
	}
	dev.Role = "microphone"
	switch {
	case errors.Is(d.micErr, microphone.ErrBusy):
		dev.State = "busy"
	case errors.Is(d.micErr, microphone.ErrPermission):
		dev.State = "no_permission"
	case d.micErr != nil:
		dev.State, dev.Present = "missing", false
	}
	return dev
}

func cameraState(c camera.Info) string {
	switch err := c.Err; {
	case err == nil && c.Shutter == camera.ShutterClosed:
		return "shuttered"
	case err == nil:
		return "ok"
	case errors.Is(err, camera.ErrPermission):
		return "no_permission"
	case errors.Is(err, camera.ErrBusy):
		return "busy"
	default:
		return "error"
	}
}
