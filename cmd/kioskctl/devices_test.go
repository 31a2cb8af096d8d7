package main

import (
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
)

func TestDeviceWords(t *testing.T) {
	for want, d := range map[string]apitype.Device{
		"ready": {Present: true, State: "ok"}, "in use": {Present: true, InUse: true}, "not plugged in": {},
		"in the call":          {Present: true, State: "ok", InUse: true, UsedBy: "session"},
		"used by a technician": {Present: true, State: "ok", InUse: true, UsedBy: "technician"},
		"being checked":        {Present: true, State: "ok", InUse: true, UsedBy: "check"},
		"no permission":        {Present: true, State: "no_permission"}, "another program has it": {Present: true, State: "busy"},
		"shutter closed, in the call": {Kind: "camera", Present: true, InUse: true, UsedBy: "session", State: "shuttered"},
		"muted by its button":         {Kind: "microphone", Present: true, State: "shuttered"},
		"hangs":                       {Present: true, State: "hung"}, "USB port too full": {Present: true, State: "no_bandwidth"},
		"does not work": {Present: true, State: "error"}, "of a newer kind": {Present: true, State: "of_a_newer_kind"},
	} {
		if got := deviceWords(d); got != want {
			t.Errorf("%+v is %q, want %q", d, got, want)
		}
	}
}

func TestDevicesGolden(t *testing.T) {
	list := clinicDesk()
	golden(t, "devices.txt", strings.Join(devicesLines(list), "\n"))
	golden(t, "device.txt", strings.Join(deviceLines(list[0]), "\n"))
	if text := strings.Join(append(devicesLines(list), deviceLines(list[1])...), "\n"); strings.Contains(text, "\x1b") {
		t.Errorf("%q steers the terminal", text)
	}
	for _, l := range devicesLines(list) {
		if len([]rune(l)) > 80 {
			t.Errorf("%q is wider than 80", l)
		}
	}
}

// Each state that is not ok names a command, but for one that nobody can type
// anything about.
func TestNext(t *testing.T) {
	spare := apitype.Device{ID: "spare", Kind: "camera", Name: "Spare", Present: true, State: "ok"}
	for _, c := range []struct {
		d    apitype.Device
		list []apitype.Device
		want string
	}{
		{apitype.Device{ID: "a", Kind: "camera", State: "missing", Role: "face"}, []apitype.Device{spare}, "kioskctl role face spare"},
		{apitype.Device{ID: "a", Kind: "camera", State: "missing", Role: "face"}, nil, "kioskctl role face --none"},
		{apitype.Device{ID: "a", Kind: "microphone", State: "missing", Role: "microphone"}, []apitype.Device{spare}, "kioskctl role microphone --none"},
		{apitype.Device{ID: "a", Kind: "camera", State: "missing"}, []apitype.Device{spare}, ""},
		{apitype.Device{ID: "a", Kind: "camera", State: "busy", Path: "/dev/video0"}, nil, "sudo fuser -v /dev/video0"},
		{apitype.Device{ID: "a", Kind: "camera", State: "busy", Path: "/dev/video0;reboot"}, nil, "sudo fuser -v /dev/video*"},
		{apitype.Device{ID: "a", Kind: "microphone", State: "busy", Path: "plughw:0"}, nil, "sudo fuser -v /dev/snd/*"},
		{apitype.Device{ID: "a", Kind: "camera", State: "no_permission", Path: "/dev/video0"}, nil, "ls -l /dev/video0"},
		{apitype.Device{ID: "a", Kind: "camera", State: "no_bandwidth"}, nil, "lsusb -t"},
		{apitype.Device{ID: "a", Kind: "camera", State: "hung"}, nil, "kioskctl preview a"},
		{apitype.Device{ID: "a", Kind: "microphone", State: "shuttered"}, nil, "kioskctl meter a"},
		{apitype.Device{ID: "a", Kind: "speaker", State: "error"}, nil, "kioskctl tone a"},
	} {
		if got, why := next(c.list, c.d); got != c.want || (got != "") != (why != "") {
			t.Errorf("%+v: %q (%s), want %q", c.d, got, why, c.want)
		}
	}
}

func TestControlValue(t *testing.T) {
	all := append(clinicControls(), apitype.DeviceControl{Name: "power_line_frequency", Type: "menu", Max: 2, Menu: []apitype.MenuEntry{{Value: 0, Name: "Disabled"}, {Value: 1, Name: "50 Hz"}, {Value: 2, Name: "60 Hz"}}})
	for _, c := range []struct {
		name, text string
		want       int32
		err        string
	}{
		{"brightness", "12", 12, ""},
		{"brightness", "-999", -999, ""}, // the daemon says what is wrong with it
		{"brightness", "default", 128, ""},
		{"brightness", "bright", 0, `"bright" is not a whole number, and it wants 0 to 255, step 1`},
		{"brightness", "4294967296", 0, "too far from zero"},
		{"auto_exposure", "Manual Mode", 1, ""},
		{"auto_exposure", "aperture", 3, ""},
		{"auto_exposure", "3", 3, ""},
		{"auto_exposure", "mode", 0, "1 (Manual Mode), 3 (Aperture Priority Mode)"},
		{"auto_exposure", "2", 2, ""}, // no choice of this one: the daemon says so
		{"power_line_frequency", "60", 2, ""},
		{"power_line_frequency", "0", 0, ""}, // a value goes before a part of a name
		{"focus_automatic_continuous", "OFF", 0, ""},
		{"focus_automatic_continuous", "on", 1, ""},
		{"focus_automatic_continuous", "maybe", 0, `"maybe" is neither on nor off`},
	} {
		control, ok := controlNamed(all, c.name)
		if !ok {
			t.Fatal(c.name)
		}
		got, err := controlValue(control, c.text)
		if got != c.want || (err == nil) != (c.err == "") || (err != nil && !strings.Contains(err.Error(), c.err)) {
			t.Errorf("%s=%s is %d, %v; want %d, %q", c.name, c.text, got, err, c.want, c.err)
		}
	}
}
