package devices

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"kioskd/capture"
	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/daemon/api/apitype"
)

// trialUse is what a trial of the devices is called in the audit.
const trialUse = "check"

// Sources are the camera and the microphone of a trial, as a call takes them: a slate
// and silence where there is none.
type Sources struct {
	Camera     func(ctx context.Context, put func(*capture.Frame))
	Microphone func(ctx context.Context, put func([]int16, time.Time))
	// Live counts the pictures that a camera gave, slates not among them; Trouble is why
	// it gives none now, a state of apitype.Device; "": nothing is known to be wrong.
	Live    func() uint64
	Trouble func() string
}

// Trial has do use the camera and the microphone that a call would use, until it is
// done or ctx, a session or the daemon ends it; by says who asks, for the audit. The
// errors of its own are *apitype.Problem: session_active, device_in_use, stopping. do
// must return soon after its context ended; a session waits for that.
func (d *Devices) Trial(ctx context.Context, by string, do func(context.Context, Sources) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	d.awaitCheck(ctx)
	cam, mic := d.tried()
	tools := []*tool{d.trialTool(cancel, cam, apitype.KindCamera)}
	if mic != "" {
		tools = append(tools, d.trialTool(cancel, mic, apitype.KindMicrophone))
	}
	for i, t := range tools {
		if err := d.beginSoon(ctx, t); err != nil {
			d.endTrial(tools[:i])
			return err
		}
	}
	defer d.endTrial(tools)
	if err := d.o.Store.Append(auditEntry(trialUse + " by: " + by)); err != nil {
		d.log.Error("cannot write down who uses a device", "error", err)
		return unavailable(err)
	}
	d.o.Shown()
	var code atomic.Value // camera.Code
	k := d.trialKeeper(func(s camera.State) { code.Store(s.Code) })
	err := do(ctx, Sources{
		Camera: func(ctx context.Context, put func(*capture.Frame)) {
			if err := k.Run(ctx, put); err != nil {
				d.log.Error("the camera did not close cleanly", "error", err)
			}
		},
		Live: func() uint64 { return k.Stats().Frames },
		Trouble: func() string {
			c, _ := code.Load().(camera.Code)
			return strings.TrimPrefix(cameraCondition(c), "camera_") // its conditions are named after the states
		},
		Microphone: func(ctx context.Context, put func([]int16, time.Time)) { d.tryMicrophoneFor(ctx, mic, put) },
	})
	if cause := context.Cause(ctx); cause != nil { // it did not fail, it was ended
		return endProblem(trialUse, cause)
	}
	return err
}

// tried names the devices that a trial uses. A camera that is not there has a name too:
// two trials of no camera are two all the same.
func (d *Devices) tried() (cam, mic string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	cam = "no-camera"
	if c, _ := d.wantedCamera(); c != nil {
		cam = c.id
	}
	if m, ok := d.wantedMicrophone(); ok && d.cfg.Microphone.Enabled {
		mic = m.id
	}
	return cam, mic
}

func (d *Devices) trialTool(cancel context.CancelCauseFunc, id, kind string) *tool {
	return &tool{
		Technician: apitype.Technician{Device: id, Kind: kind, What: trialUse, Since: time.Now().UTC()},
		cancel:     cancel, closed: make(chan struct{}),
	}
}

// beginSoon is begin for who can wait a moment: a session that has just ended lets its
// devices go, and they are looked at then.
func (d *Devices) beginSoon(ctx context.Context, t *tool) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(makeRoom); ; {
		err := d.begin(t)
		var p *apitype.Problem
		if !errors.As(err, &p) || p.Code != apitype.CodeDeviceInUse || time.Now().After(end) {
			return err
		}
		select {
		case <-ctx.Done():
			return err
		case <-tick.C:
		}
	}
}

// endTrial ends the uses of a trial whose devices are closed.
func (d *Devices) endTrial(tools []*tool) {
	for _, t := range tools {
		d.closed(t)
		d.end(t)
	}
}

// trialKeeper keeps the camera that a call would use first, apart from the call's own:
// no condition comes of it.
func (d *Devices) trialKeeper(changed func(camera.State)) *camera.Keeper {
	return camera.NewKeeper(camera.KeeperConfig{
		Choose: func() (camera.Config, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			c, _ := d.wantedCamera()
			switch {
			case c == nil:
				return camera.Config{}, camera.ErrGone
			case c.Err != nil:
				return camera.Config{Path: c.Path}, c.Err
			}
			return d.config(*c), nil
		},
		Width: d.cfg.Camera.Width, Height: d.cfg.Camera.Height, Changed: changed, Log: d.log, Prober: d.prober,
		Slate: []string{d.o.Words.Text("slate.camera_missing")},
	})
}

// tryMicrophoneFor keeps the microphone called id running until ctx ends; "" is silence.
func (d *Devices) tryMicrophoneFor(ctx context.Context, id string, put func([]int16, time.Time)) {
	k := microphone.NewKeeper(microphone.KeeperConfig{
		Choose: func() (microphone.Config, error) {
			d.mu.Lock()
			defer d.mu.Unlock()
			m, ok := d.wantedMicrophone()
			if !ok || m.id != id {
				return microphone.Config{}, fmt.Errorf("cannot try the microphone: %w", microphone.ErrNoDevice)
			}
			return microphone.Config{Device: m.device}, nil
		},
		Log: d.log,
	})
	if err := k.Run(ctx, put); err != nil {
		d.log.Error("the microphone did not close cleanly", "error", err)
	}
}
