package main

import (
	"fmt"
	"strings"

	"kioskd/daemon/api/apitype"
)

// device asks the daemon for its devices and gives the one that word means; see
// find.
func (e *env) device(kind, word string) (apitype.Device, error) {
	list, err := e.kiosk.Devices(e.ctx)
	if err != nil {
		return apitype.Device{}, err
	}
	return find(list, kind, word)
}

// find gives the device of a kind that word means: its id, its path, the role it
// is bound to, or a part of its id or name that no other has, in any case. An
// empty word means the one in the kind's first role, else the only one plugged
// in. The error lists those that it could have been.
func find(list []apitype.Device, kind, word string) (apitype.Device, error) {
	all := ofKind(list, kind)
	kind = orElse(kind, "device")
	if len(all) == 0 {
		return apitype.Device{}, fmt.Errorf("cannot find a %s: the kiosk knows none. Is it plugged in? See: kioskctl devices", kind)
	}
	if word == "" {
		return usual(all, kind)
	}
	fits := fitting(all, word)
	switch len(fits) {
	case 1:
		return fits[0], nil
	case 0:
		return apitype.Device{}, fmt.Errorf("cannot find a %s by %q. There %s:%s", kind, word, either(len(all) == 1, "is", "are"), candidates(all))
	}
	return apitype.Device{}, fmt.Errorf("cannot tell which %s is meant by %q. It fits:%s", kind, word, candidates(fits))
}

// fitting gives the devices that word means: the surest way that finds any.
func fitting(list []apitype.Device, word string) []apitype.Device {
	lower := strings.ToLower(word)
	for _, means := range []func(apitype.Device) bool{
		func(d apitype.Device) bool { return d.ID == word },
		func(d apitype.Device) bool { return d.Path == word },
		func(d apitype.Device) bool { return d.Role == lower },
		func(d apitype.Device) bool {
			return strings.Contains(strings.ToLower(d.ID), lower) || strings.Contains(strings.ToLower(d.Name), lower)
		},
	} {
		var fits []apitype.Device
		for _, d := range list {
			if means(d) {
				fits = append(fits, d)
			}
		}
		if len(fits) > 0 {
			return fits
		}
	}
	return nil
}

// usual gives the device that is meant where none is named.
func usual(all []apitype.Device, kind string) (apitype.Device, error) {
	var there []apitype.Device
	for _, d := range all {
		if d.Role == firstRole(kind) {
			return d, nil
		}
		if d.Present {
			there = append(there, d)
		}
	}
	if len(there) == 1 {
		return there[0], nil
	}
	return apitype.Device{}, fmt.Errorf("cannot tell which %s is meant: name one of these:%s", kind, candidates(all))
}

// candidates lists devices under an error.
func candidates(list []apitype.Device) string {
	var b strings.Builder
	for _, d := range list {
		fmt.Fprintf(&b, "\n  %s  %s", printable(d.ID), deviceName(d))
		for _, more := range []string{d.Role, d.Where, either(d.Present, "", "not plugged in")} {
			if more != "" {
				b.WriteString(", " + printable(more))
			}
		}
	}
	return b.String()
}

// ofKind gives the devices of a kind; with an empty one, all.
func ofKind(list []apitype.Device, kind string) []apitype.Device {
	var out []apitype.Device
	for _, d := range list {
		if kind == "" || d.Kind == kind {
			out = append(out, d)
		}
	}
	return out
}

// firstRole is the role that a call uses of a kind.
func firstRole(kind string) string { return either(kind == apitype.KindCamera, apitype.RoleFace, kind) }

// roleKind is the kind of device that a role takes.
func roleKind(role string) string {
	switch role {
	case apitype.RoleMicrophone, apitype.RoleSpeaker:
		return role
	default:
		return apitype.KindCamera
	}
}

// deviceName is what people call a device.
func deviceName(d apitype.Device) string { return printable(orElse(d.Name, "without a name")) }
