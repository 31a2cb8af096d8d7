package main

import (
	"fmt"
	"path"
	"regexp"
	"strconv"
	"strings"
)

// controller is the USB controller that all cameras hang on.
const controller = "/devices/pci0000:00/0000:00:14.0"

// identity is what a camera says of itself and where it is plugged in.
type identity struct {
	maker   string // text; empty: it has none
	product string // text, the card's name too
	serial  string // empty: it has none
	vendor  uint16 // idVendor
	model   uint16 // idProduct
	port    string // the USB device's name in sysfs: bus, a dash, ports from the root hub on: "1-2.4"
}

// portForm is a USB device's name (Documentation/ABI/stable/sysfs-bus-usb); USB
// allows five hubs in a row.
var portForm = regexp.MustCompile(`^[1-9][0-9]?-[1-9][0-9]?(\.[1-9][0-9]?){0,5}$`)

// bus is the number of the camera's USB bus, ports the way from its root hub.
func (d identity) bus() int {
	bus, _, _ := strings.Cut(d.port, "-")
	n, _ := strconv.Atoi(bus) // portForm has seen it
	return n
}

func (d identity) ports() string {
	_, ports, _ := strings.Cut(d.port, "-")
	return ports
}

// usbPath is the camera's folder in sysfs, a DEVPATH: below its root hub a folder
// for each hub on the way.
func (d identity) usbPath() string {
	p := path.Join(controller, fmt.Sprintf("usb%d", d.bus()))
	for i, r := range d.port + "." {
		if r == '.' {
			p = path.Join(p, d.port[:i])
		}
	}
	return p
}

// interfacePath is the folder of the camera's video interface.
func (d identity) interfacePath() string { return path.Join(d.usbPath(), d.port+":1.0") }

// nodePath is the folder of videoN.
func (d identity) nodePath(minor int) string {
	return path.Join(d.interfacePath(), "video4linux", fmt.Sprintf("video%d", minor))
}

// idSerial is ID_SERIAL of udev's usb_id, of which the link in by-id is made.
// A camera without a maker's text gets none here, where udev would put idVendor.
func (d identity) idSerial() string {
	var parts []string
	for _, s := range []string{d.maker, d.product, d.serial} {
		if s != "" {
			parts = append(parts, strings.ReplaceAll(s, " ", "_"))
		}
	}
	return strings.Join(parts, "_")
}

// idPath is ID_PATH of udev's path_id.
func (d identity) idPath() string {
	return fmt.Sprintf("pci-0000:00:14.0-usb-0:%s:1.0", d.ports())
}

// usb is a USB device for the kernel: an identity with the number that the bus
// has given it at this plug.
type usb struct {
	identity
	devnum int
}

func (u usb) devname() string { return fmt.Sprintf("bus/usb/%03d/%03d", u.bus(), u.devnum) }

// minor is that of the device's usbfs node, major 189.
func (u usb) minor() int { return (u.bus()-1)*128 + u.devnum - 1 }

// uevent is what the kernel says of the device beside where it is
// (usb_dev_uevent and usb_uevent, drivers/usb/core).
func (u usb) uevent() []string {
	return []string{
		"MAJOR=189", fmt.Sprintf("MINOR=%d", u.minor()), "DEVNAME=" + u.devname(), "DEVTYPE=usb_device", "DRIVER=usb",
		fmt.Sprintf("PRODUCT=%x/%x/11", u.vendor, u.model), "TYPE=239/2/1",
		fmt.Sprintf("BUSNUM=%03d", u.bus()), fmt.Sprintf("DEVNUM=%03d", u.devnum),
	}
}

// interfaceUevent is the same of its video interface.
func (u usb) interfaceUevent() []string {
	return []string{
		"DEVTYPE=usb_interface", "DRIVER=uvcvideo", fmt.Sprintf("PRODUCT=%x/%x/11", u.vendor, u.model), "TYPE=239/2/1", "INTERFACE=14/1/0",
		fmt.Sprintf("MODALIAS=usb:v%04Xp%04Xd0011dcEFdsc02dp01ic0Eisc01ip00in00", u.vendor, u.model),
	}
}

// nodeUevent is the same of videoN.
func nodeUevent(minor int) []string {
	return []string{"MAJOR=81", fmt.Sprintf("MINOR=%d", minor), fmt.Sprintf("DEVNAME=video%d", minor)}
}
