package devices

import (
	"fmt"
	"net/http"
	"slices"

	"kioskd/capture/camera"
	"kioskd/daemon/api/apitype"
)

// List is GET /v1/devices: what was seen last, what is bound and not there, and what is
// held for whom. It does not wait.
func (d *Devices) List() []apitype.Device {
	hanging := map[string]bool{} // we may have these open for as long as their drivers like
	for _, h := range d.prober.Hanging() {
		hanging[h.Path] = true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	out := make([]apitype.Device, 0, len(d.cameras)+len(d.mics)+len(d.speakers))
	face := d.face()
	for _, c := range d.ordered() {
		dev := d.device(apitype.KindCamera, c.id, c.Name, c.Where, c.Path, d.cameraState(c))
		if c.id == face {
			dev.Role = apitype.RoleFace
		}
		if hanging[c.Path] && !dev.InUse {
			dev.InUse, dev.UsedBy = true, byCheck
		}
		dev.Formats, dev.Controls = formats(c.Formats), d.controls(c)
		out = append(out, dev)
	}
	for _, m := range d.mics {
		dev := d.device(apitype.KindMicrophone, m.id, m.name, m.where, m.device, d.microphoneState(m))
		if wanted, ok := d.wantedMicrophone(); ok && wanted.id == m.id {
			dev.Role = apitype.RoleMicrophone
		}
		out = append(out, dev)
	}
	for _, s := range d.speakers {
		dev := d.device(apitype.KindSpeaker, s.id, s.name, s.where, s.device, apitype.DeviceOK)
		if d.bound(apitype.RoleSpeaker) == "" && s.device == d.cfg.Speaker.Device {
			dev.Role = apitype.RoleSpeaker
		}
		out = append(out, dev)
	}
	return append(out, d.missing(out)...)
}

// device describes one. The caller holds mu.
func (d *Devices) device(kind, id, name, where, path, state string) apitype.Device {
	by, held := d.holds[id]
	dev := apitype.Device{
		ID: id, Kind: kind, Name: name, Where: where, Path: path, Present: state != apitype.DeviceMissing,
		InUse: held, UsedBy: by, State: state, Role: d.roleBound(id),
	}
	if state != apitype.DeviceOK {
		key := "device." + kind + "_" + state
		dev.Message, dev.Hint = d.o.Words.Text(key+".title"), d.o.Words.Text(key+".hint")
	}
	return dev
}

// missing describes the devices that are bound, configured or wanted, and not listed.
// The caller holds mu.
func (d *Devices) missing(listed []apitype.Device) []apitype.Device {
	var out []apitype.Device
	add := func(kind, id string) {
		same := func(o apitype.Device) bool { return o.ID == id }
		if id == "" || slices.ContainsFunc(listed, same) || slices.ContainsFunc(out, same) {
			return
		}
		name := d.labels[id]
		if name == "" {
			name = id
		}
		out = append(out, d.device(kind, id, name, "", "", apitype.DeviceMissing))
	}
	for _, role := range allRoles() {
		add(kindOf(role), d.bound(role))
	}
	if d.cam.keeper != nil {
		add(apitype.KindCamera, d.names.Resolve(d.cam.target))
	}
	return out
}

// find gives a device by its name, of any kind for "", or a *apitype.Problem.
func (d *Devices) find(id, kind string) (apitype.Device, error) {
	d.mu.Lock()
	id = d.names.Resolve(id)
	d.mu.Unlock()
	for _, dev := range d.List() {
		if dev.ID == id && (kind == "" || dev.Kind == kind) {
			return dev, nil
		}
	}
	if kind == "" {
		kind = "device"
	}
	return apitype.Device{}, apitype.NewProblem(http.StatusNotFound, apitype.CodeDeviceUnknown,
		"cannot find this "+kind, "GET "+apitype.RouteDevices+" lists them")
}

// formats names what a camera offers, such as "MJPG 1280x720@30".
func formats(list []camera.Format) []string {
	var out []string
	for _, f := range list {
		for _, z := range f.Sizes {
			out = append(out, fmt.Sprintf("%s %dx%d@%.3g", f.FourCC, z.Width, z.Height, z.FPS))
		}
	}
	return out
}
