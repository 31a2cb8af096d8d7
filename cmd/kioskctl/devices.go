package main

import (
	"fmt"
	"strings"

	"kioskd/daemon/api/apitype"
)

// devicesCmd lists the devices, or shows one in full.
type devicesCmd struct {
	Device string `arg:"" optional:"" help:"Show this one in full: its id, or a part of its id or name, or its role."`
	JSON   bool   `name:"json" help:"Print as JSON."`
}

// Run does it.
func (c *devicesCmd) Run(e *env) error {
	list, err := e.kiosk.Devices(e.ctx)
	if err != nil {
		return err
	}
	if c.Device != "" {
		d, err := find(list, "", c.Device)
		if err != nil {
			return err
		}
		if c.JSON {
			return e.json(d)
		}
		return e.lines(append(deviceLines(d), trouble(list, d)...))
	}
	if c.JSON {
		return e.json(apitype.Devices{Devices: list})
	}
	if len(list) == 0 {
		return e.say("There is no camera, no microphone and no speaker.")
	}
	return e.lines(devicesLines(list))
}

// Widths of the table: a name of 30, so that the state still fits into 80.
const (
	kindWidth = 12
	nameWidth = 30
)

// devicesLines is the table, then what is wrong, then what is left to choose.
func devicesLines(list []apitype.Device) []string {
	row := func(kind, role, name, state string) string {
		return fmt.Sprintf("%-*s%-*s%-*s  %s", kindWidth, kind, kindWidth, role, nameWidth, shorten(name, nameWidth), state)
	}
	lines := []string{row("KIND", "ROLE", "NAME, ID, WHERE", "STATE")}
	for _, d := range list {
		lines = append(lines, row(printable(d.Kind), printable(orElse(d.Role, "-")), deviceName(d), deviceWords(d)),
			strings.TrimRight(fmt.Sprintf("%*s%s  %s", 2*kindWidth, "", printable(d.ID), printable(d.Where)), " "))
	}
	for _, d := range list {
		lines = append(lines, trouble(list, d)...)
	}
	lines = append(lines, toChoose(list)...)
	return append(lines, "", "One in full: kioskctl devices ID")
}

// trouble says what is wrong with a device, what to do, and what to type.
func trouble(list []apitype.Device, d apitype.Device) []string {
	if working(d) {
		return nil
	}
	lines := []string{"", fmt.Sprintf("%s %s: %s", printable(d.Kind), deviceName(d), printable(orElse(d.Message, deviceWords(d)+".")))}
	if d.Hint != "" {
		lines = append(lines, "  "+printable(d.Hint))
	}
	if what, why := next(list, d); what != "" {
		lines = append(lines, "  "+why+":", "    "+what)
	}
	return lines
}

// next gives the command that helps with a device that does not work, and what
// for.
func next(list []apitype.Device, d apitype.Device) (what, why string) {
	id := printable(d.ID)
	switch d.State {
	case apitype.DeviceBusy:
		return "sudo fuser -v " + node(d), "To see which program has it"
	case apitype.DeviceNoPermission:
		return "ls -l " + node(d), "To see who may use it"
	case apitype.DeviceNoBandwidth:
		return "lsusb -t", "To see what shares its USB port"
	case apitype.DeviceShuttered, apitype.DeviceHung, apitype.DeviceError:
		switch d.Kind {
		case apitype.KindMicrophone:
			return "kioskctl meter " + id, "Then listen"
		case apitype.KindSpeaker:
			return "kioskctl tone " + id, "Then listen"
		}
		return "kioskctl preview " + id, "Then look"
	}
	if d.Role == "" {
		return "", ""
	}
	for _, other := range ofKind(list, d.Kind) {
		if working(other) && other.Role == "" {
			return "kioskctl role " + d.Role + " " + printable(other.ID), "Or use " + deviceName(other) + " in its place"
		}
	}
	return "kioskctl role " + d.Role + " --none", "If it will not come back"
}

// node is the file that a shell command about a device is given.
func node(d apitype.Device) string {
	if d.Kind == apitype.KindCamera && strings.HasPrefix(d.Path, "/dev/") && !strings.ContainsFunc(d.Path, unsafe) {
		return d.Path
	}
	return either(d.Kind == apitype.KindCamera, "/dev/video*", "/dev/snd/*")
}

// unsafe tells what a path that is to be typed into a shell does not have.
func unsafe(r rune) bool {
	return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune("/._-", r)
}

// toChoose names the roles of a call that nobody has though somebody could.
func toChoose(list []apitype.Device) []string {
	var lines []string
	for _, role := range []string{apitype.RoleFace, apitype.RoleMicrophone, apitype.RoleSpeaker} {
		if _, taken := holder(list, role); taken {
			continue
		}
		for _, d := range ofKind(list, roleKind(role)) {
			if working(d) && d.Role == "" {
				lines = append(lines, "", nobodyWords(role), "  To choose:", "    kioskctl role "+role+" "+printable(d.ID))
				break
			}
		}
	}
	return lines
}

// deviceLines shows one device in full.
func deviceLines(d apitype.Device) []string {
	var lines []string
	line := func(label, text string) {
		if text != "" {
			lines = append(lines, fmt.Sprintf("%-12s%s", label, text))
		}
	}
	line(printable(d.Kind), deviceName(d))
	line("role", printable(orElse(d.Role, "none")))
	line("id", printable(d.ID))
	line("where", printable(d.Where))
	line("path", printable(d.Path))
	line("state", deviceWords(d))
	label := "formats"
	for _, f := range d.Formats {
		line(label, printable(f))
		label = ""
	}
	if len(d.Controls) > 0 {
		lines = append(lines, "controls")
		lines = append(lines, controlLines(d.Controls, "  ")...)
	}
	return lines
}

// working tells whether nothing is wrong with a device.
func working(d apitype.Device) bool {
	return d.Present && (d.State == "" || d.State == apitype.DeviceOK)
}

// deviceWords says how a device is, and for whom it is in use.
func deviceWords(d apitype.Device) string {
	var words string
	switch {
	case d.State == apitype.DeviceMissing, !d.Present:
		words = "not plugged in"
	case working(d):
		words = "ready"
	case d.State == apitype.DeviceNoPermission:
		words = "no permission"
	case d.State == apitype.DeviceBusy:
		words = "another program has it"
	case d.State == apitype.DeviceShuttered:
		words = either(d.Kind == apitype.KindCamera, "shutter closed", "muted by its button")
	case d.State == apitype.DeviceHung:
		words = "hangs"
	case d.State == apitype.DeviceNoBandwidth:
		words = "USB port too full"
	case d.State == apitype.DeviceError:
		words = "does not work"
	default: // of a newer daemon
		words = printable(strings.ReplaceAll(d.State, "_", " "))
	}
	if !d.InUse {
		return words
	}
	use := "in use"
	switch d.UsedBy {
	case "session":
		use = "in the call"
	case "technician":
		use = "used by a technician"
	case "check":
		use = "being checked"
	}
	if working(d) {
		return use
	}
	return words + ", " + use
}
