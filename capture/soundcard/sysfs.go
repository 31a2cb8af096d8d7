package soundcard

import (
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// place is what sysfs says about where a card comes from; empty where it says nothing.
type place struct{ base, port, where string }

const (
	maxDepth     = 16  // folders between an interface and its USB device: one, in every kernel so far
	maxAttribute = 256 // bytes; a USB string has at most 126 characters
)

// locate looks card index up in the sysfs that is mounted at root. Its device
// link leads to what the driver bound to, for USB an interface; the USB device is
// the folder above that has idVendor (Documentation/ABI/stable/sysfs-bus-usb), and
// that folder's name is the port: bus, then the hubs' ports.
func locate(root string, index int) place {
	real, err := filepath.EvalSymlinks(filepath.Join(root, "class", "sound", fmt.Sprintf("card%d", index), "device"))
	if err != nil {
		return place{}
	}
	top, err := filepath.EvalSymlinks(root)
	if err != nil {
		return place{}
	}
	dir := real
	for range maxDepth {
		if dir == top || dir == filepath.Dir(dir) {
			break
		}
		if vendor := attribute(dir, "idVendor"); vendor != "" {
			return usb(dir, vendor)
		}
		dir = filepath.Dir(dir)
	}
	return fixed(real)
}

// usb names a USB device by its serial number, else by its port.
func usb(dir, vendor string) place {
	port := filepath.Base(dir)
	p := place{port: identifier("usb-"+port, maxPort), where: "USB port " + port}
	p.base = p.port
	if serial := attribute(dir, "serial"); serial != "" {
		p.base = fmt.Sprintf("usb-%s-%s-%s", vendor, attribute(dir, "idProduct"), serial)
	}
	return p
}

// fixed names what does not come and go by the bus it is on: a PCI card's slot
// survives reboots, a platform device's name is the driver's.
func fixed(dir string) place {
	bus, name := "device", filepath.Base(dir)
	if link, err := os.Readlink(filepath.Join(dir, "subsystem")); err == nil {
		bus = filepath.Base(link)
	}
	p := place{port: identifier(bus+"-"+name, maxPort), where: "built in (" + name + ")"}
	if bus == "pci" {
		p.where = "PCI slot " + name
	}
	p.base = p.port
	return p
}

// attribute reads one of a device's files; "" where there is none.
func attribute(dir, name string) string {
	f, err := os.Open(filepath.Join(dir, name))
	if err != nil {
		return ""
	}
	defer func() { _ = f.Close() }() // only read
	text, err := io.ReadAll(io.LimitReader(f, maxAttribute))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}
