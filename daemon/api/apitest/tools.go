package apitest

import (
	"bytes"
	"context"
	"fmt"
	"image"
	"image/jpeg"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
)

// Microphone and Speaker are the other devices of the test's kiosk.
const (
	Microphone = "usb-1-mic"
	Speaker    = "usb-1-speaker"
)

// Zoom is the one control that the test's cameras have: 100 to 500 in steps of 10.
const Zoom = "zoom_absolute"

// Tools plays the devices for a technician: cameras that give a grey picture, a
// microphone that hums, a speaker that is quick.
type Tools struct {
	kiosk *Kiosk

	mu    sync.Mutex
	roles map[string]string           // role -> device
	set   map[string]map[string]int32 // device -> control -> value
	using *apitype.Technician
	quit  chan struct{} // closed: what is in use ends
	fail  error

	played []apitype.ToneRequest
}

func newTools(k *Kiosk) *Tools {
	return &Tools{kiosk: k, roles: map[string]string{apitype.RoleFace: Camera, apitype.RoleMicrophone: Microphone, apitype.RoleSpeaker: Speaker}, set: map[string]map[string]int32{}, quit: make(chan struct{})}
}

// Fail lets whatever is asked from now on fail with err; nil ends that.
func (t *Tools) Fail(err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.fail = err
}

// Played are the tones that were played.
func (t *Tools) Played() []apitype.ToneRequest {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Clone(t.played)
}

// State tells what is kept, as text.
func (t *Tools) State() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return fmt.Sprint(t.roles, t.set)
}

// decorate adds what was bound and set to the list of devices.
func (t *Tools) decorate(list []apitype.Device) []apitype.Device {
	t.mu.Lock()
	defer t.mu.Unlock()
	for i := range list {
		d := &list[i]
		for role, id := range t.roles {
			if id == d.ID {
				d.Role = role
			}
		}
		if t.using != nil && t.using.Device == d.ID {
			d.InUse, d.UsedBy = true, "technician"
		}
		if d.Kind == apitype.KindCamera {
			value, kept := t.set[d.ID][Zoom]
			d.Controls = []apitype.DeviceControl{{
				Name: Zoom, Label: "Zoom, Absolute", Type: "integer", Min: 100, Max: 500, Step: 10, Default: 100,
				Value: max(value, 100), Enabled: true, Kept: kept,
			}}
		}
	}
	return list
}

func (t *Tools) find(id, kind string) error {
	for _, d := range t.kiosk.devices() {
		if d.ID == id && (kind == "" || d.Kind == kind) {
			return nil
		}
	}
	return apitype.NewProblem(http.StatusNotFound, apitype.CodeDeviceUnknown, "cannot find this device", "GET /v1/devices lists them")
}

// SetRole binds a device, whatever its kind.
func (t *Tools) SetRole(role, device, by string) error {
	kinds := map[string]string{
		apitype.RoleFace: apitype.KindCamera, apitype.RoleDocument: apitype.KindCamera, apitype.RoleExam: apitype.KindCamera,
		apitype.RoleMicrophone: apitype.KindMicrophone, apitype.RoleSpeaker: apitype.KindSpeaker,
	}
	kind, known := kinds[role]
	if !known {
		return apitype.NewProblem(http.StatusNotFound, apitype.CodeRoleUnknown, "cannot find this role", "")
	}
	if device != "" {
		if err := t.find(device, ""); err != nil {
			return err
		}
		if t.find(device, kind) != nil {
			return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeRoleKind, "cannot bind this to the role", "it takes a "+kind)
		}
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.fail != nil {
		return t.fail
	}
	maps.DeleteFunc(t.roles, func(r, id string) bool { return r == role || id == device })
	if device != "" {
		t.roles[role] = device
	}
	t.kiosk.Audit.add("audit", fmt.Sprintf("role done role=%s device=%s by: %s", role, device, by))
	return nil
}

// SetControls takes Zoom.
func (t *Tools) SetControls(_ context.Context, id string, values map[string]int32, by string) ([]apitype.DeviceControl, error) {
	if err := t.find(id, apitype.KindCamera); err != nil {
		return nil, err
	}
	for _, name := range slices.Sorted(maps.Keys(values)) {
		switch v := values[name]; {
		case name != Zoom:
			return nil, apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeControlUnknown, "cannot set a control that there is not", "")
		case v < 100 || v > 500 || v%10 != 0:
			return nil, apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeControlValue, "cannot set "+Zoom+" to this", "100 to 500 in steps of 10")
		}
	}
	t.mu.Lock()
	t.set[id] = maps.Clone(values)
	t.mu.Unlock()
	t.kiosk.Audit.add("audit", fmt.Sprintf("controls done device=%s by: %s", id, by))
	for _, d := range t.kiosk.devices() {
		if d.ID == id {
			return d.Controls, nil
		}
	}
	return nil, nil
}

// use is a technician's use of a device until done.
func (t *Tools) use(id, kind, what, by string) (quit <-chan struct{}, done func(), err error) {
	if err := t.find(id, kind); err != nil {
		return nil, nil, err
	}
	if t.kiosk.Runner.Model().Running() {
		return nil, nil, SessionActive()
	}
	if quit, err = t.begin(id, kind, what); err != nil {
		return nil, nil, err
	}
	t.kiosk.Audit.add("audit", fmt.Sprintf("%s device=%s by: %s", what, id, by))
	t.kiosk.API.Changed() // which asks for the devices: not under the lock
	return quit, func() {
		t.mu.Lock()
		t.using = nil
		t.mu.Unlock()
		t.kiosk.API.Changed()
	}, nil
}

func (t *Tools) begin(id, kind, what string) (<-chan struct{}, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	switch {
	case t.fail != nil:
		return nil, t.fail
	case t.using != nil && t.using.Device == id:
		return nil, apitype.NewProblem(http.StatusConflict, apitype.CodeDeviceInUse, "cannot use it: it is in use", "")
	}
	t.using = &apitype.Technician{Device: id, Kind: kind, What: what, Since: time.Now().UTC()}
	return t.quit, nil
}

// SessionActive is the problem of a tool while there is a session.
func SessionActive() error {
	return apitype.NewProblem(http.StatusConflict, apitype.CodeSessionActive, "cannot do this: there is a session", "End the call first.")
}

// opened ends what is in use.
func (t *Tools) opened() {
	t.mu.Lock()
	defer t.mu.Unlock()
	close(t.quit)
	t.quit = make(chan struct{})
}

// Snapshot gives a grey picture of 16 x 16.
func (t *Tools) Snapshot(_ context.Context, id, by string) ([]byte, error) {
	_, done, err := t.use(id, apitype.KindCamera, "snapshot", by)
	if err != nil {
		return nil, err
	}
	defer done()
	var out bytes.Buffer
	err = jpeg.Encode(&out, image.NewGray(image.Rect(0, 0, 16, 16)), nil)
	return out.Bytes(), err
}

// Level hums.
func (t *Tools) Level(ctx context.Context, id, by string, tell func(apitype.Level) error) error {
	quit, done, err := t.use(id, apitype.KindMicrophone, "level", by)
	if err != nil {
		return err
	}
	defer done()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-quit:
			return SessionActive()
		case now := <-tick.C:
			if err := tell(apitype.Level{Peak: 0.5, RMS: 0.25, At: now.UTC()}); err != nil {
				return err
			}
		}
	}
}

// Tone takes no time.
func (t *Tools) Tone(_ context.Context, id string, tone apitype.ToneRequest, by string) error {
	_, done, err := t.use(id, apitype.KindSpeaker, "tone", by)
	if err != nil {
		return err
	}
	t.mu.Lock()
	t.played = append(t.played, tone)
	t.mu.Unlock()
	done()
	return nil
}

// Technician is the use that lasts.
func (t *Tools) Technician() *apitype.Technician {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.using == nil {
		return nil
	}
	shown := *t.using
	return &shown
}
