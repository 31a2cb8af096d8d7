package uevent

import (
	"bytes"
	"encoding/binary"
	"errors"
	"strings"
	"unicode/utf8"
)

const (
	// udevPrefix and udevMagic begin a message of udevd: struct
	// monitor_netlink_header of systemd's sd-device/device-monitor.c.
	udevPrefix = "libudev\x00"
	udevMagic  = 0xfeedcafe
	udevHead   = 24 // up to and with the properties' length

	// maxProperties bounds what is looked at; a camera has about 40 from udev.
	maxProperties = 512
)

var (
	errHead       = errors.New("cannot read a uevent: its head is none")
	errProperties = errors.New("cannot read a uevent: its properties are none")
)

// parse reads a message of the group.
func parse(group uint32, b []byte) (Event, error) {
	if group == groupUdev {
		return parseUdev(b)
	}
	return parseKernel(b)
}

// parseKernel reads what the kernel sends (lib/kobject_uevent.c):
// "ACTION@DEVPATH\0KEY=VALUE\0KEY=VALUE\0".
func parseKernel(b []byte) (Event, error) {
	head, rest, ok := bytes.Cut(b, []byte{0})
	action, path, at := bytes.Cut(head, []byte{'@'})
	if !ok || !at || bytes.HasPrefix(b, []byte(udevPrefix)) {
		return Event{}, errHead
	}
	e, err := properties(rest)
	if err == nil && (e.Action != string(action) || e.DevPath != string(path)) {
		err = errHead
	}
	if err != nil {
		return Event{}, err
	}
	return e, nil
}

// parseUdev reads what udevd sends: the header, at a given offset the properties.
func parseUdev(b []byte) (Event, error) {
	if len(b) < udevHead || !bytes.HasPrefix(b, []byte(udevPrefix)) || binary.BigEndian.Uint32(b[8:]) != udevMagic {
		return Event{}, errHead
	}
	// The header's own size grows with its version; offset and length stand fast.
	off, n := uint64(binary.NativeEndian.Uint32(b[16:])), uint64(binary.NativeEndian.Uint32(b[20:]))
	if off < udevHead || off+n > uint64(len(b)) {
		return Event{}, errHead
	}
	return properties(b[off : off+n])
}

// properties reads KEY=VALUE strings, each with a zero behind it. Action, device
// and subsystem have to be there.
func properties(b []byte) (Event, error) {
	var e Event
	for range maxProperties {
		if len(b) == 0 {
			break
		}
		line, rest, ok := bytes.Cut(b, []byte{0})
		if !ok {
			return Event{}, errProperties
		}
		b = rest
		key, value, ok := strings.Cut(string(line), "=")
		if !ok || key == "" {
			return Event{}, errProperties
		}
		e.set(key, value)
	}
	if len(b) > 0 || !plain(e.Action) || !plain(e.DevPath) || !plain(e.Subsystem) || e.DevName != "" && !plain(e.DevName) {
		return Event{}, errProperties
	}
	return e, nil
}

// set keeps the properties that an Event has. The kernel's DEVNAME is relative to
// /dev, udev's is not.
func (e *Event) set(key, value string) {
	switch key {
	case "ACTION":
		e.Action = value
	case "DEVPATH":
		e.DevPath = value
	case "SUBSYSTEM":
		e.Subsystem = value
	case "DEVNAME":
		if value != "" && !strings.HasPrefix(value, "/") {
			value = "/dev/" + value
		}
		e.DevName = value
	}
}

// plain says whether s can stand in a log: not empty, and no control characters.
func plain(s string) bool {
	return s != "" && utf8.ValidString(s) && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
