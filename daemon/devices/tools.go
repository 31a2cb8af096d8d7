package devices

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image/jpeg"
	"net/http"
	"strings"
	"sync"
	"time"

	"kioskd/capture"
	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/capture/speaker"
	"kioskd/daemon/api/apitype"
)

// Bounds of a technician's tools.
const (
	snapshotWithin = 8 * time.Second // a camera wakes up and finds its exposure
	// shownFor is how long a tool is shown at least: whoever stands before the screen
	// has to see that a camera was used.
	shownFor   = time.Second
	levelEvery = 100 * time.Millisecond
	// makeRoom is how long the call waits for a tool to let its device go; it has been
	// told before.
	makeRoom = 2 * time.Second

	defaultHertz   = 440
	defaultSeconds = 2
	jpegQuality    = 90
)

// Why a tool is ended by us.
var (
	errSessionActive = errors.New("an appointment was opened") // the session takes its device
	errStopping      = errors.New("the daemon is going down")
)

// tool is a technician's use of a device.
type tool struct {
	apitype.Technician
	cancel context.CancelCauseFunc
	closed chan struct{} // the device is closed
	ended  bool          // and nobody waits for the answer
}

// holder is for whom it holds its device.
func (t *tool) holder() string {
	if t.What == trialUse {
		return byCheck
	}
	return byTechnician
}

// Technician is the use that has lasted longest; nil: there is none. A trial counts
// nothing and shows nothing to anybody: it is none.
func (d *Devices) Technician() *apitype.Technician {
	d.mu.Lock()
	defer d.mu.Unlock()
	var oldest *apitype.Technician
	for _, t := range d.tools {
		if t.What != trialUse && (oldest == nil || t.Since.Before(oldest.Since)) {
			shown := t.Technician
			oldest = &shown
		}
	}
	return oldest
}

// use has a technician, who is by, use a device: do runs with the device's description,
// until it is done or ctx, the session or the daemon ends it. use returns at once then,
// with the reason; do may need a moment more to close the device, and holds it so long.
// least is how long the use is shown.
func (d *Devices) use(ctx context.Context, kind, what, id, by string, least time.Duration, do func(context.Context, apitype.Device) error) error {
	dev, err := d.find(id, kind)
	if err != nil {
		return err
	}
	if !dev.Present {
		return missingProblem(what)
	}
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	t := &tool{
		Technician: apitype.Technician{Device: dev.ID, Kind: kind, What: what, Since: time.Now().UTC()},
		cancel:     cancel, closed: make(chan struct{}),
	}
	if kind == apitype.KindMicrophone {
		d.awaitCheck(ctx)
	}
	if err := d.begin(t); err != nil {
		return err
	}
	defer d.end(t)
	if err := d.o.Store.Append(auditEntry(fmt.Sprintf("%s device=%s by: %s", what, dev.ID, by))); err != nil {
		d.closed(t) // who looked has to be known
		d.log.Error("cannot write down who uses a device", "error", err)
		return unavailable(err)
	}
	d.o.Shown()
	done := make(chan error, 1)
	d.work.Go(func() {
		err := do(ctx, dev)
		d.closed(t)
		done <- err
	})
	select {
	case err = <-done:
	case <-ctx.Done():
		return endProblem(what, context.Cause(ctx))
	}
	if err != nil {
		if cause := context.Cause(ctx); cause != nil { // it did not fail, it was ended
			return endProblem(what, cause)
		}
		return err
	}
	rest := time.NewTimer(time.Until(t.Since.Add(least)))
	defer rest.Stop()
	select {
	case <-rest.C:
		return nil
	case <-ctx.Done():
		return endProblem(what, context.Cause(ctx))
	}
}

// begin notes a use, unless there is a session or another's.
func (d *Devices) begin(t *tool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.stopping:
		return endProblem(t.What, errStopping)
	case d.session.running:
		return endProblem(t.What, errSessionActive)
	}
	_, held := d.holds[t.Device]
	if _, used := d.tools[t.Device]; used || held {
		return apitype.NewProblem(http.StatusConflict, apitype.CodeDeviceInUse,
			"cannot use the "+t.Kind+": it is in use already", "try again when the other use is over")
	}
	d.tools[t.Device] = t
	d.holds.take(t.Device, t.holder())
	return nil
}

// closed notes that a use has let its device go, end that nobody waits for it. The later
// of both ends it.
func (d *Devices) closed(t *tool) {
	d.mu.Lock()
	d.holds.drop(t.Device, t.holder())
	close(t.closed)
	d.over(t)
	d.mu.Unlock()
	d.o.Shown()
}

func (d *Devices) end(t *tool) {
	t.cancel(nil)
	d.mu.Lock()
	t.ended = true
	d.over(t)
	d.mu.Unlock()
	d.o.Shown()
}

// over forgets a use that is. The caller holds mu.
func (d *Devices) over(t *tool) {
	select {
	case <-t.closed:
		if t.ended && d.tools[t.Device] == t {
			delete(d.tools, t.Device)
		}
	default:
	}
}

// endTools waits until no tool holds a device, or ctx ends; not for ever: a driver may
// hang.
func (d *Devices) endTools(ctx context.Context) {
	d.mu.Lock()
	var open []*tool
	for _, t := range d.tools {
		open = append(open, t)
	}
	d.mu.Unlock()
	timer := time.NewTimer(makeRoom)
	defer timer.Stop()
	for _, t := range open {
		select {
		case <-t.closed:
		case <-timer.C:
			d.log.Error("a technician's tool does not let its device go", "device", t.Device)
			return
		case <-ctx.Done():
			return
		}
	}
}

// Snapshot takes one picture with a camera, for a technician: JPEG. Errors are
// *apitype.Problem: session_active, device_in_use, device_unknown, device_missing or
// device_failed; the same go for Level and Tone.
func (d *Devices) Snapshot(ctx context.Context, id, by string) ([]byte, error) {
	var out bytes.Buffer
	err := d.use(ctx, apitype.KindCamera, "snapshot", id, by, shownFor, func(ctx context.Context, dev apitype.Device) error {
		ctx, cancel := context.WithTimeout(ctx, snapshotWithin)
		defer cancel()
		picture, err := d.prober.Snapshot(ctx, d.configAt(dev))
		if err != nil {
			return deviceProblem("take a picture", err)
		}
		defer picture.Release()
		return encode(&out, picture)
	})
	if err != nil {
		return nil, err
	}
	return out.Bytes(), nil
}

func encode(out *bytes.Buffer, picture *capture.Frame) error {
	if err := jpeg.Encode(out, &picture.YCbCr, &jpeg.Options{Quality: jpegQuality}); err != nil {
		return fmt.Errorf("cannot make a JPEG of the picture: %w", err)
	}
	return nil
}

// configAt is what the camera of a description is asked for.
func (d *Devices) configAt(dev apitype.Device) camera.Config {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.cameras {
		if c.id == dev.ID {
			return d.config(c)
		}
	}
	return camera.Config{Path: dev.Path}
}

// Level tells how loud a microphone is, ten times a second, until ctx ends (nil), tell
// gives an error (that), a session opens or the device fails (*apitype.Problem).
func (d *Devices) Level(ctx context.Context, id, by string, tell func(apitype.Level) error) error {
	// tell may write to who waits for this function's answer: it must not be called
	// once that is given.
	var mu sync.Mutex
	over := false
	guarded := func(l apitype.Level) error {
		mu.Lock()
		defer mu.Unlock()
		if over {
			return context.Canceled
		}
		return tell(l)
	}
	err := d.use(ctx, apitype.KindMicrophone, "level", id, by, 0, func(ctx context.Context, dev apitype.Device) error {
		return d.levels(ctx, dev.Path, guarded)
	})
	mu.Lock()
	over = true
	mu.Unlock()
	if ctx.Err() != nil {
		return nil //nolint:nilerr // who asked has hung up: the usual end
	}
	return err
}

// levels runs a microphone until ctx ends or it fails.
func (d *Devices) levels(ctx context.Context, device string, tell func(apitype.Level) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	live := make(chan struct{})
	var once sync.Once
	k := microphone.NewKeeper(microphone.KeeperConfig{
		Choose: func() (microphone.Config, error) { return microphone.Config{Device: device}, nil },
		Changed: func(s microphone.State) {
			if s.Err != nil {
				cancel(deviceProblem("listen to the microphone", s.Err))
				return
			}
			once.Do(func() { close(live) })
		},
		Log: d.log,
	})
	var run sync.WaitGroup
	run.Go(func() {
		if err := k.Run(ctx, func([]int16, time.Time) {}); err != nil {
			d.log.Error("the microphone did not close cleanly", "error", err)
		}
	})
	defer run.Wait()
	defer cancel(nil)
	select {
	case <-live:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	tick := time.NewTicker(levelEvery)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case now := <-tick.C:
			l := k.Level()
			if err := tell(apitype.Level{Peak: l.Peak, RMS: l.RMS, At: now.UTC()}); err != nil {
				return err
			}
		}
	}
}

// Tone plays a tone on a speaker and returns when it is over.
func (d *Devices) Tone(ctx context.Context, id string, tone apitype.ToneRequest, by string) error {
	if tone.Hertz == 0 {
		tone.Hertz = defaultHertz
	}
	if tone.Seconds == 0 {
		tone.Seconds = defaultSeconds
	}
	return d.use(ctx, apitype.KindSpeaker, "tone", id, by, 0, func(ctx context.Context, dev apitype.Device) error {
		err := speaker.PlayTone(ctx, dev.Path, tone.Hertz, time.Duration(tone.Seconds)*time.Second)
		if err != nil {
			return deviceProblem("play the tone", err)
		}
		return nil
	})
}

// endProblem says why a use was refused or ended.
func endProblem(what string, cause error) error {
	switch {
	case errors.Is(cause, errSessionActive):
		return apitype.NewProblem(http.StatusConflict, apitype.CodeSessionActive,
			"cannot go on with the "+what+": there is a session", "end the call first, or wait for its end")
	case errors.Is(cause, errStopping):
		return apitype.NewProblem(http.StatusServiceUnavailable, apitype.CodeStopping,
			"cannot go on with the "+what+": the daemon is stopping", "try again")
	default:
		return cause
	}
}

func missingProblem(what string) error {
	return apitype.NewProblem(http.StatusConflict, apitype.CodeDeviceMissing,
		"cannot do this ("+what+"): the device is not plugged in", "plug it in")
}

// deviceProblem says that a device is there and did not do something.
func deviceProblem(what string, err error) error {
	switch {
	case errors.Is(err, errSessionActive), errors.Is(err, errStopping), errors.Is(err, context.Canceled):
		return err
	case errors.Is(err, camera.ErrGone), errors.Is(err, microphone.ErrNoDevice), errors.Is(err, microphone.ErrGone),
		errors.Is(err, speaker.ErrNoDevice), errors.Is(err, speaker.ErrGone):
		return missingProblem(what)
	}
	return apitype.NewProblem(http.StatusBadGateway, apitype.CodeDeviceFailed,
		sentence("cannot "+what, err), "GET "+apitype.RouteDevices+" says how the device is")
}

// sentence puts what went wrong behind what was to be done.
func sentence(what string, err error) string {
	const most = 300 // bytes; an error of a driver is a line
	text := what + ": " + strings.ToValidUTF8(err.Error(), "?")
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") + "..."
	}
	return text
}
