package main

import (
	"errors"
	"fmt"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/camns"
)

// sysfs is the folder that stands for /sys/dev/char; empty: none. In it are links
// MAJ:MIN and, below fakecam, a small sysfs with the devices they lead to. Several
// processes share it.
type sysfs string

const (
	sysAuto = "auto"
	sysRoot = "fakecam" // what a DEVPATH is below
)

// findSysfs understands -sys: auto is the private /sys/dev/char of package camns,
// or none where there is only the real one.
func findSysfs(dir, dev string) sysfs {
	if dir != sysAuto {
		return sysfs(dir)
	}
	var st unix.Statfs_t
	if dev == "" || unix.Statfs(camns.CharDir, &st) != nil || st.Type != unix.TMPFS_MAGIC {
		return ""
	}
	return camns.CharDir
}

// at is where a path of sysfs, such as a DEVPATH, lies.
func (s sysfs) at(p string) string { return filepath.Join(string(s), sysRoot, p) }

// plug makes a camera's folders and links. What lies at its port already is of a
// fakecam that has died.
func (s sysfs) plug(u usb, nodes []int) error {
	if s == "" {
		return nil
	}
	if err := s.unplug(u, nodes); err != nil {
		return err
	}
	files, links, doors := u.attributes(), map[string]string{
		path.Join(u.usbPath(), "subsystem"):       "/bus/usb",
		path.Join(u.interfacePath(), "subsystem"): "/bus/usb",
	}, map[string]string{}
	for i, n := range nodes {
		dir := u.nodePath(n)
		files[path.Join(dir, "dev")] = fmt.Sprintf("%d:%d", camns.Major, n)
		files[path.Join(dir, "index")] = strconv.Itoa(i)
		files[path.Join(dir, "name")] = u.product
		files[path.Join(dir, "uevent")] = strings.Join(nodeUevent(n), "\n")
		links[path.Join(dir, "device")] = u.interfacePath()
		links[path.Join(dir, "subsystem")] = "/class/video4linux"
		doors[fmt.Sprintf("/class/video4linux/video%d", n)] = dir
		doors[fmt.Sprintf("/../%d:%d", camns.Major, n)] = dir
	}
	for _, dir := range []string{"/bus/usb", "/class/video4linux"} {
		if err := os.MkdirAll(s.at(dir), 0o755); err != nil {
			return fmt.Errorf("cannot make sysfs: %w", err)
		}
	}
	for name, text := range files {
		if err := os.MkdirAll(filepath.Dir(s.at(name)), 0o755); err != nil {
			return fmt.Errorf("cannot make sysfs: %w", err)
		}
		if err := os.WriteFile(s.at(name), []byte(text+"\n"), 0o444); err != nil {
			return fmt.Errorf("cannot write sysfs: %w", err)
		}
	}
	// What leads to the camera comes when all is there.
	return errors.Join(s.link(links), s.link(doors))
}

// link makes links from and to paths of sysfs, relative as there.
func (s sysfs) link(links map[string]string) error {
	for name, target := range links {
		to, err := filepath.Rel(filepath.Dir(s.at(name)), s.at(target))
		if err != nil {
			return fmt.Errorf("cannot link in sysfs: %w", err)
		}
		if err := link(s.at(name), to); err != nil {
			return err
		}
	}
	return nil
}

// unplug takes them away. Hubs stay.
func (s sysfs) unplug(u usb, nodes []int) error {
	if s == "" {
		return nil
	}
	var errs []error
	for _, n := range nodes {
		for _, name := range []string{fmt.Sprintf("/../%d:%d", camns.Major, n), fmt.Sprintf("/class/video4linux/video%d", n)} {
			if err := os.Remove(s.at(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, err)
			}
		}
	}
	errs = append(errs, os.RemoveAll(s.at(u.usbPath())))
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("cannot clear sysfs: %w", err)
	}
	return nil
}

// attributes are the files of the camera's USB device and interface, and of the
// hubs on the way to it, by their paths in sysfs.
func (u usb) attributes() map[string]string {
	files := map[string]string{}
	add := func(dir string, attributes map[string]string) {
		for name, text := range attributes {
			if text != "" {
				files[path.Join(dir, name)] = text
			}
		}
	}
	add(u.usbPath(), map[string]string{
		"idVendor": fmt.Sprintf("%04x", u.vendor), "idProduct": fmt.Sprintf("%04x", u.model), "bcdDevice": "0011", "bDeviceClass": "ef",
		"manufacturer": u.maker, "product": u.product, "serial": u.serial, "speed": "480", "version": " 2.00",
		"busnum": strconv.Itoa(u.bus()), "devnum": strconv.Itoa(u.devnum), "devpath": u.ports(), "uevent": strings.Join(u.uevent(), "\n"),
	})
	add(u.interfacePath(), map[string]string{
		"bInterfaceNumber": "00", "bInterfaceClass": "0e", "bInterfaceSubClass": "01", "bInterfaceProtocol": "00",
		"uevent": strings.Join(u.interfaceUevent(), "\n"),
	})
	for hub := path.Dir(u.usbPath()); hub != controller; hub = path.Dir(hub) {
		// A hub is a USB device with an idVendor too: who looks for a camera's must stop below.
		add(hub, map[string]string{
			"idVendor": "05e3", "idProduct": "0608", "bDeviceClass": "09", "product": "USB2.0 Hub", "busnum": strconv.Itoa(u.bus()),
		})
		if path.Dir(hub) == controller {
			add(hub, map[string]string{
				"idVendor": "1d6b", "idProduct": "0002", "manufacturer": "Linux 6.18.0 xhci-hcd", "product": "xHCI Host Controller", "serial": "0000:00:14.0",
			})
		}
	}
	return files
}
