package main

import (
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
)

func TestFind(t *testing.T) {
	list := clinicDesk()
	for _, c := range []struct{ kind, word, id string }{
		{apitype.KindCamera, "usb-0c45-6366-A1", "usb-0c45-6366-A1"},
		{apitype.KindCamera, "/dev/video2", "usb-1b3f-2247-at-usb-1-3"},
		{apitype.KindCamera, "face", "usb-046d-0892-8C5DAC1F"},
		{apitype.KindCamera, "Document", "usb-1b3f-2247-at-usb-1-1"}, // its role, though another has it in its name
		{apitype.KindCamera, "SCOPE", "usb-0c45-6366-A1"},
		{apitype.KindCamera, "8c5dac", "usb-046d-0892-8C5DAC1F"},
		{apitype.KindCamera, "", "usb-046d-0892-8C5DAC1F"}, // face
		{apitype.KindMicrophone, "", "usb-046d-0892-8C5DAC1F-audio"},
		{apitype.KindMicrophone, "046d", "usb-046d-0892-8C5DAC1F-audio"},
		{"", "usb-046d-0892-8C5DAC1F", "usb-046d-0892-8C5DAC1F"}, // whole, though a part of another's
	} {
		d, err := find(list, c.kind, c.word)
		if err != nil || d.ID != c.id {
			t.Errorf("%s %q is %q, %v; want %q", c.kind, c.word, d.ID, err, c.id)
		}
	}
}

// Who cannot be told is an error that names those that could be meant.
func TestFindNamesTheCandidates(t *testing.T) {
	list := clinicDesk()
	unbound := clinicDesk()
	unbound[0].Role = ""
	for _, c := range []struct {
		list       []apitype.Device
		kind, word string
		has        []string
		hasNot     string
	}{
		{list, apitype.KindCamera, "1b3f", []string{`cannot tell which camera is meant by "1b3f"`, "-1-1  Document\ufffd[2J camera, document, USB port 1-1, not plugged in", "-1-3  Document camera, USB port 1-3"}, "C920"},
		{list, apitype.KindCamera, "nothing", []string{`cannot find a camera by "nothing". There are:`, "C920", "Exam scope"}, "audio"},
		{list, apitype.KindMicrophone, "face", []string{`cannot find a microphone by "face". There is:`, "-audio  C920, USB port 1-2.4"}, "Exam"},
		{list, apitype.KindSpeaker, "", []string{"cannot find a speaker: the kiosk knows none", "kioskctl devices"}, "C920"},
		{unbound, apitype.KindCamera, "", []string{"cannot tell which camera is meant: name one of these:", "Exam scope"}, "audio"},
		{nil, "", "x", []string{"cannot find a device: the kiosk knows none"}, "camera"},
	} {
		_, err := find(c.list, c.kind, c.word)
		if err == nil {
			t.Errorf("%s %q is found", c.kind, c.word)
			continue
		}
		for _, h := range c.has {
			if !strings.Contains(err.Error(), h) {
				t.Errorf("%s %q: %v\nlacks %q", c.kind, c.word, err, h)
			}
		}
		if strings.Contains(err.Error(), c.hasNot) {
			t.Errorf("%s %q: %v\nhas %q", c.kind, c.word, err, c.hasNot)
		}
		if strings.Contains(err.Error(), "\x1b") {
			t.Errorf("%q steers the terminal", err)
		}
	}
}
