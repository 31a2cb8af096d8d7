package host

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"kioskd/daemon/api/apitype"
)

// usbCamera is a USB device with a video interface.
type usbCamera struct {
	name string
	bus  string
	mbit float64 // what was agreed with its port
}

// usb looks at the cameras' share of their buses.
func (h *Host) usb() apitype.Check {
	const code = "usb"
	folder := h.path("sys", "bus", "usb", "devices")
	entries, err := os.ReadDir(folder)
	if err != nil {
		return skip(code, "no_usb", "This machine has no USB, or the kernel does not show it.")
	}
	var cameras []usbCamera
	for _, e := range entries {
		if strings.Contains(e.Name(), ":") { // an interface, not a device
			continue
		}
		if c, ok := h.usbCamera(e.Name()); ok {
			cameras = append(cameras, c)
		}
	}
	return judgeUSB(cameras)
}

// usbCamera reads one device; ok tells that it has a video interface, class 0e.
func (h *Host) usbCamera(name string) (c usbCamera, ok bool) {
	base := []string{"sys", "bus", "usb", "devices"}
	classes, _ := filepath.Glob(h.path(append(base, name+":*", "bInterfaceClass")...)) // a device's name has no pattern in it
	if !slices.ContainsFunc(classes, func(p string) bool {
		b, err := os.ReadFile(p)
		return err == nil && strings.TrimSpace(string(b)) == "0e"
	}) {
		return usbCamera{}, false
	}
	read := func(what string) string {
		text, err := h.read(append(base, name, what)...)
		if err != nil {
			return ""
		}
		return text
	}
	c = usbCamera{name: printable(read("product")), bus: read("busnum")}
	c.mbit, _ = strconv.ParseFloat(read("speed"), 64) // 0: not known
	return c, true
}

// judgeUSB judges them. A full-speed port (12 Mbit/s) carries no picture of use, and a
// high-speed bus (480 Mbit/s) has room for one camera that sends raw pictures, for at
// most 80 % of a microframe may be reserved (USB 2.0, section 5.6.4).
func judgeUSB(cameras []usbCamera) apitype.Check {
	const code, high = "usb", 480
	perBus := map[string]int{}
	for _, c := range cameras {
		if c.mbit > 0 && c.mbit < high {
			return fail(code, "usb_slow", fmt.Sprintf("The camera %s is connected with %g Mbit/s only.", c.name, c.mbit),
				"Plug it in without a hub, or with another cable.", "lsusb -t")
		}
		if c.mbit == high {
			if perBus[c.bus]++; perBus[c.bus] == 2 {
				return warn(code, "usb_shared", "Two cameras share USB bus "+c.bus+" of 480 Mbit/s.",
					"If one of them finds no room, plug it into a port of another controller or set camera.format to mjpeg.", "lsusb -t")
			}
		}
	}
	if len(cameras) == 0 {
		return skip(code, "no_usb_camera", "There is no USB camera.")
	}
	return pass(code, fmt.Sprintf("%d USB camera(s), each with room on its bus.", len(cameras)))
}
