package uevent

import (
	"encoding/binary"
	"errors"
	"strings"
	"testing"
)

const camera = "/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/video4linux/video0"

// kernelMessage is what the kernel sends.
func kernelMessage(action, path string, properties ...string) []byte {
	return []byte(strings.Join(append([]string{action + "@" + path, "ACTION=" + action, "DEVPATH=" + path}, properties...), "\x00") + "\x00")
}

// udevMessage is what udevd sends: head bytes in all, the properties behind it.
func udevMessage(head int, properties ...string) []byte {
	p := strings.Join(properties, "\x00") + "\x00"
	h := make([]byte, head)
	copy(h, udevPrefix)
	binary.BigEndian.PutUint32(h[8:], udevMagic)
	binary.NativeEndian.PutUint32(h[12:], uint32(head))
	binary.NativeEndian.PutUint32(h[16:], uint32(head))
	binary.NativeEndian.PutUint32(h[20:], uint32(len(p)))
	return append(h, p...)
}

// changed gives a copy with four bytes at off replaced.
func changed(b []byte, off int, v uint32) []byte {
	b = append([]byte(nil), b...)
	binary.NativeEndian.PutUint32(b[off:], v)
	return b
}

func added() []string {
	return []string{"ACTION=add", "DEVPATH=" + camera, "SUBSYSTEM=video4linux", "MAJOR=81", "DEVNAME=/dev/video0", "ID_V4L_CAPABILITIES=:capture:", "DEVLINKS="}
}

func TestParse(t *testing.T) {
	video := Event{Action: "add", DevPath: camera, Subsystem: "video4linux", DevName: "/dev/video0"}
	kernel := kernelMessage("add", camera, "SUBSYSTEM=video4linux", "MAJOR=81", "MINOR=0", "DEVNAME=video0", "SEQNUM=7")
	udev := udevMessage(40, added()...)
	for name, c := range map[string]struct {
		group uint32
		b     []byte
		want  Event
		err   error
	}{
		"kernel":                  {groupKernel, kernel, video, nil},
		"kernel without a node":   {groupKernel, kernelMessage("bind", "/devices/x", "SUBSYSTEM=usb"), Event{Action: "bind", DevPath: "/devices/x", Subsystem: "usb"}, nil},
		"udev":                    {groupUdev, udev, video, nil},
		"udev of another version": {groupUdev, udevMessage(24, added()...), video, nil},
		"udev, longer head":       {groupUdev, udevMessage(96, added()...), video, nil},
		"udev's to the kernel's":  {groupKernel, udev, Event{}, errHead},
		"kernel's to udev's":      {groupUdev, kernel, Event{}, errHead},
		"nothing":                 {groupKernel, nil, Event{}, errHead},
		"no head":                 {groupKernel, []byte("ACTION=add\x00DEVPATH=/x\x00"), Event{}, errHead},
		"no zero":                 {groupKernel, []byte("add@/devices/x"), Event{}, errHead},
		"two stories":             {groupKernel, []byte("add@/a\x00ACTION=add\x00DEVPATH=/b\x00SUBSYSTEM=usb\x00"), Event{}, errHead},
		"cut":                     {groupKernel, kernel[:len(kernel)-1], Event{}, errProperties},
		"no subsystem":            {groupKernel, kernelMessage("add", camera), Event{}, errProperties},
		"no value":                {groupKernel, kernelMessage("add", camera, "SUBSYSTEM=usb", "DEVNAME"), Event{}, errProperties},
		"no name":                 {groupKernel, kernelMessage("add", camera, "SUBSYSTEM=usb", "=x"), Event{}, errProperties},
		"a line in a name":        {groupKernel, kernelMessage("add", camera, "SUBSYSTEM=usb\nx"), Event{}, errProperties},
		"no text":                 {groupKernel, kernelMessage("add", camera, "SUBSYSTEM=usb", "DEVNAME=\xff"), Event{}, errProperties},
		"too many":                {groupKernel, kernelMessage("add", camera, append([]string{"SUBSYSTEM=usb"}, strings.Split(strings.Repeat("A=1 ", maxProperties)+"A=1", " ")...)...), Event{}, errProperties},
		"udev, short head":        {groupUdev, udev[:23], Event{}, errHead},
		"udev, wrong magic":       {groupUdev, changed(udev, 8, 1), Event{}, errHead},
		"udev, offset in head":    {groupUdev, changed(udev, 16, 8), Event{}, errHead},
		"udev, offset past end":   {groupUdev, changed(udev, 16, 1<<31), Event{}, errHead},
		"udev, length past end":   {groupUdev, changed(udev, 20, 1<<32-1), Event{}, errHead},
		"udev, empty":             {groupUdev, changed(udev, 20, 0), Event{}, errProperties},
	} {
		if got, err := parse(c.group, c.b); got != c.want || !errors.Is(err, c.err) {
			t.Errorf("%s: %+v, %v; want %+v, %v", name, got, err, c.want, c.err)
		}
	}
}

// FuzzParse: whatever comes, an event is whole and can stand in a log.
func FuzzParse(f *testing.F) {
	f.Add(uint32(groupKernel), kernelMessage("add", camera, "SUBSYSTEM=video4linux", "DEVNAME=video0"))
	f.Add(uint32(groupUdev), udevMessage(40, added()...))
	f.Add(uint32(groupUdev), changed(udevMessage(40, added()...), 20, 1<<32-1))
	f.Add(uint32(groupKernel), []byte("add@\x00"))
	f.Fuzz(func(t *testing.T, group uint32, b []byte) {
		e, err := parse(group, b)
		if err != nil {
			if e != (Event{}) {
				t.Errorf("an error with %+v", e)
			}
			return
		}
		if !plain(e.Action) || !plain(e.DevPath) || !plain(e.Subsystem) || e.Lost || e.DevName != "" && (!plain(e.DevName) || e.DevName[0] != '/') {
			t.Errorf("%q became %+v", b, e)
		}
	})
}
