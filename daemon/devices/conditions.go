package devices

import (
	"errors"

	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// The conditions of a kind; one of each holds at a time.

func cameraConditions() []string {
	return []string{
		"camera_missing", "camera_busy", "camera_no_permission", "camera_hung", "camera_error", "camera_shuttered",
		"camera_no_bandwidth", "camera_fallback",
	}
}

func microphoneConditions() []string {
	return []string{
		"microphone_missing", "microphone_busy", "microphone_no_permission", "microphone_hung", "microphone_error",
		"microphone_shuttered", "microphone_silent",
	}
}

func speakerConditions() []string { return []string{"speaker_missing"} }

// cameraCondition is the condition of what a Keeper says; "" for none.
func cameraCondition(c camera.Code) string {
	switch c {
	case camera.Gone:
		return "camera_missing"
	case camera.Busy:
		return "camera_busy"
	case camera.NoPermission:
		return "camera_no_permission"
	case camera.Hung:
		return "camera_hung"
	case camera.NoBandwidth:
		return "camera_no_bandwidth"
	case camera.Broken:
		return "camera_error"
	default:
		return ""
	}
}

// atRest is the condition of a camera that nobody uses.
func atRest(s session.DeviceState) string {
	switch s {
	case session.DeviceMissing:
		return "camera_missing"
	case session.DeviceNoPermission:
		return "camera_no_permission"
	case session.DeviceShuttered:
		return "camera_shuttered"
	default:
		return ""
	}
}

// microphoneCondition is the condition of an error of the microphone; "" for none.
func microphoneCondition(err error) string {
	switch {
	case err == nil:
		return ""
	case errors.Is(err, microphone.ErrNoDevice), errors.Is(err, microphone.ErrGone):
		return "microphone_missing"
	case errors.Is(err, microphone.ErrBusy):
		return "microphone_busy"
	case errors.Is(err, microphone.ErrPermission):
		return "microphone_no_permission"
	case errors.Is(err, microphone.ErrStalled), errors.Is(err, errSlow):
		return "microphone_hung"
	default:
		return "microphone_error"
	}
}

// setOnly sets one condition of a group, or none, and clears the others. more is added
// to its hint. The caller holds telling.
func (d *Devices) setOnly(group []string, code, more string) {
	for _, c := range group {
		if c != code {
			d.o.Health.Clear(c)
		}
	}
	if code == "" {
		return
	}
	severity := apitype.SeverityWarning
	if code == "camera_fallback" {
		severity = apitype.SeverityInfo
	}
	hint := d.o.Words.Text("condition." + code + ".hint")
	if more != "" {
		hint += " " + more
	}
	d.o.Health.Set(code, severity, d.o.Words.Text("condition."+code+".title"), hint)
}

// Report looks, says what the session may count on, and sets the conditions of what
// nobody uses; what runs speaks for itself.
func (d *Devices) Report() session.DeviceReport {
	if err := d.look(); err != nil {
		d.log.Error("cannot look for devices", "error", err)
	}
	d.returned()
	d.tryMicrophone()
	d.telling.Lock()
	defer d.telling.Unlock()
	d.mu.Lock()
	r, runs := d.summary(), d.cam.keeper != nil
	lost := ""
	if id := d.bound(apitype.RoleSpeaker); id != "" {
		if _, there := named(d.speakers, id); !there {
			lost = "speaker_missing"
		}
	}
	d.mu.Unlock()
	if !runs {
		d.setOnly(cameraConditions(), atRest(r.Camera), "")
	}
	d.setOnly(speakerConditions(), lost, "")
	return r
}

// summary is what the last look means for the session. The caller holds mu.
func (d *Devices) summary() session.DeviceReport {
	r := session.DeviceReport{
		Camera: session.DeviceMissing, Microphone: forSession(d.mic.err),
		CameraShut: d.cam.shut, MicrophoneShut: d.mic.shut,
	}
	if !d.cfg.Microphone.Enabled {
		r.Microphone = session.DeviceOK
	}
	for _, c := range d.ordered() {
		if old := d.names.Former(c.id); old != "" {
			if r.Renamed == nil {
				r.Renamed = map[string]string{}
			}
			r.Renamed[old] = c.id
		}
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
			r.Cameras = append(r.Cameras, c.id)
		}
	}
	return r
}
