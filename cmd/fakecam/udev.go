package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

const (
	udevGroup = 2 // UDEV_MONITOR_UDEV: messages of udevd, not of the kernel
	udevMagic = 0xfeedcafe
	udevHead  = 40
)

// udevMessage is what udevd multicasts when videoN, the i-th node of a camera,
// comes or goes: struct udev_monitor_netlink_header of libudev-monitor.c, then
// NAME=value strings.
func udevMessage(u usb, i, minor int, in bool, seq int64) []byte {
	action := "remove"
	if in {
		action = "add"
	}
	capabilities := ":capture:"
	if i > 0 {
		capabilities = ":" // metadata is nothing that v4l_id knows
	}
	p := []string{
		"ACTION=" + action, "DEVPATH=" + u.nodePath(minor), "SUBSYSTEM=video4linux",
		"MAJOR=81", fmt.Sprintf("MINOR=%d", minor), fmt.Sprintf("DEVNAME=/dev/video%d", minor),
		fmt.Sprintf("SEQNUM=%d", seq), "USEC_INITIALIZED=1", "ID_V4L_VERSION=2", "ID_V4L_PRODUCT=" + u.product, "ID_V4L_CAPABILITIES=" + capabilities,
		"ID_BUS=usb", fmt.Sprintf("ID_VENDOR_ID=%04x", u.vendor), fmt.Sprintf("ID_MODEL_ID=%04x", u.model),
		"ID_SERIAL=" + u.idSerial(), "ID_PATH=" + u.idPath(),
	}
	if u.serial != "" {
		p = append(p, "ID_SERIAL_SHORT="+u.serial)
	}
	props := strings.Join(append(p, ""), "\x00")
	h := make([]byte, udevHead)
	copy(h, "libudev")
	binary.BigEndian.PutUint32(h[8:], udevMagic)
	binary.NativeEndian.PutUint32(h[12:], udevHead)
	binary.NativeEndian.PutUint32(h[16:], udevHead)
	binary.NativeEndian.PutUint32(h[20:], uint32(len(props)))
	binary.BigEndian.PutUint32(h[24:], murmur2([]byte("video4linux")))
	return append(h, props...)
}

// sendUdev multicasts it for each node to libudev clients. Those listen only
// where /run/udev/control is there.
func sendUdev(u usb, minors []int, in bool) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("cannot open a uevent socket: %w", err)
	}
	defer unix.Close(fd)
	for i, n := range minors {
		msg := udevMessage(u, i, n, in, time.Now().UnixMilli())
		err = unix.Sendto(fd, msg, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: udevGroup})
		if err != nil && err != unix.ECONNREFUSED { // refused: nobody listens
			return fmt.Errorf("cannot send udev's message (run as root): %w", err)
		}
	}
	return nil
}

// murmur2 is MurmurHash2 with seed 0, by which libudev filters subsystems.
func murmur2(b []byte) uint32 {
	const m = 0x5bd1e995
	h := uint32(len(b))
	for ; len(b) >= 4; b = b[4:] {
		k := binary.LittleEndian.Uint32(b) * m
		h = h*m ^ (k^k>>24)*m
	}
	switch len(b) {
	case 3:
		h ^= uint32(b[2]) << 16
		fallthrough
	case 2:
		h ^= uint32(b[1]) << 8
		fallthrough
	case 1:
		h = (h ^ uint32(b[0])) * m
	}
	h = (h ^ h>>13) * m
	return h ^ h>>15
}
