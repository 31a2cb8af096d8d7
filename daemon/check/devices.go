package check

import (
	"slices"

	"kioskd/daemon/api/apitype"
)

// checkDevices looks at the devices that a call would use.
func (c *Checker) checkDevices(wanted func(string) bool) []finding {
	kinds := []string{apitype.CheckCamera, apitype.CheckMicrophone, apitype.CheckSpeaker}
	if c.o.Devices == nil || !slices.ContainsFunc(kinds, wanted) {
		return nil
	}
	if c.o.Look != nil {
		c.o.Look()
	}
	list := c.o.Devices()
	var found []finding
	for _, kind := range kinds {
		if wanted(kind) {
			found = append(found, judgeDevice(kind, list))
		}
	}
	return found
}

// judgeDevice judges the device of a kind that a call would use: the one with the
// kind's role, of cameras the face, else the first one. A kiosk without a camera or a
// microphone can call, but it is half a call; without a speaker it is none that
// kioskd could mend: the browser plays the sound.
func judgeDevice(kind string, list []apitype.Device) finding {
	role := kind // microphone and speaker are roles
	if kind == apitype.KindCamera {
		role = apitype.RoleFace
	}
	mine := slices.DeleteFunc(slices.Clone(list), func(d apitype.Device) bool { return d.Kind != kind })
	i := slices.IndexFunc(mine, func(d apitype.Device) bool { return d.Role == role })
	d := apitype.Device{State: apitype.DeviceMissing}
	if i >= 0 {
		d = mine[i]
	} else if len(mine) > 0 {
		d = mine[0]
	}
	if d.State == apitype.DeviceOK || d.State == "" {
		return pass(kind, "name", d.Name)
	}
	f := fail(kind, kind+"_"+d.State, deviceCommand(kind, d))
	f.words = "device." + f.fault
	if kind == apitype.KindSpeaker || d.State == apitype.DeviceShuttered {
		f.result = apitype.CheckWarn
	}
	return f
}

// anyCamera is a shell's pattern of the cameras' nodes.
const anyCamera = "/dev/video*"

// deviceCommand mends what is wrong with a device, or shows what a hand has to mend.
func deviceCommand(kind string, d apitype.Device) string {
	camera := kind == apitype.KindCamera
	switch d.State {
	case apitype.DeviceNoPermission:
		if camera {
			return "chgrp video " + Quote(d.Path) + " && chmod 660 " + Quote(d.Path)
		}
		return "usermod -aG audio kioskd && systemctl restart kioskd"
	case apitype.DeviceBusy:
		if camera && d.Path == anyCamera {
			return "fuser -v " + anyCamera
		} else if camera {
			return "fuser -v " + Quote(d.Path)
		}
		return "fuser -v /dev/snd/*"
	case apitype.DeviceShuttered:
		if camera {
			return "v4l2-ctl -d " + Quote(d.Path) + " -C privacy"
		}
		return "alsamixer -V capture"
	case apitype.DeviceNoBandwidth:
		return "lsusb -t"
	case apitype.DeviceMissing:
		switch kind {
		case apitype.KindMicrophone:
			return "arecord -l"
		case apitype.KindSpeaker:
			return "aplay -l"
		}
		return "v4l2-ctl --list-devices"
	default:
		return "journalctl -u kioskd -n 50"
	}
}
