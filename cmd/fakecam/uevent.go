package main

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// uevents says whether to send the kernel's own messages. A udevd that hears them
// takes them for true and changes the links of real devices.
type uevents string

const (
	ueventsAuto uevents = "auto" // where no udevd runs
	ueventsOn   uevents = "on"
	ueventsOff  uevents = "off"

	udevControl = "/run/udev/control" // there while udevd runs
	ueventWait  = time.Second         // the kernel answers at once
)

func (u uevents) wanted() bool {
	if u != ueventsAuto {
		return u == ueventsOn
	}
	_, err := os.Stat(udevControl)
	return errors.Is(err, os.ErrNotExist)
}

// kernelUevents are what the kernel says when a camera comes or goes, in its
// order: "add@DEVPATH" and NAME=value strings, each with a zero behind it
// (kobject_uevent_env of lib/kobject_uevent.c). The kernel adds SEQNUM.
func kernelUevents(u usb, minors []int, in bool) [][]byte {
	action := "remove"
	if in {
		action = "add"
	}
	message := func(path, subsystem string, more []string) []byte {
		lines := append([]string{action + "@" + path, "ACTION=" + action, "DEVPATH=" + path, "SUBSYSTEM=" + subsystem}, more...)
		return []byte(strings.Join(lines, "\x00") + "\x00")
	}
	all := [][]byte{message(u.usbPath(), "usb", u.uevent()), message(u.interfacePath(), "usb", u.interfaceUevent())}
	for _, n := range minors {
		all = append(all, message(u.nodePath(n), "video4linux", nodeUevent(n)))
	}
	if !in {
		slices.Reverse(all)
	}
	return all
}

// sendKernel asks the kernel to multicast messages as its own: since 4.18
// (uevent_net_rcv_skb) to who has CAP_SYS_ADMIN over the network namespace, and
// to listeners in that one only.
func sendKernel(messages [][]byte) error {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return fmt.Errorf("cannot open a uevent socket: %w", err)
	}
	defer unix.Close(fd)
	tv := unix.NsecToTimeval(int64(ueventWait))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return fmt.Errorf("cannot bound a uevent socket: %w", err)
	}
	for _, body := range messages {
		m := make([]byte, unix.SizeofNlMsghdr, unix.SizeofNlMsghdr+len(body))
		binary.NativeEndian.PutUint32(m, uint32(unix.SizeofNlMsghdr+len(body)))
		binary.NativeEndian.PutUint16(m[4:], unix.NLMSG_MIN_TYPE) // lower ones are netlink's own
		binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_REQUEST|unix.NLM_F_ACK)
		if err := unix.Sendto(fd, append(m, body...), 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
			return fmt.Errorf("cannot send a uevent: %w", err)
		}
		if err := acknowledged(fd); err != nil {
			return err
		}
	}
	return nil
}

// acknowledged waits for the kernel's answer, struct nlmsgerr.
func acknowledged(fd int) error {
	b := make([]byte, 4096)
	n, _, err := unix.Recvfrom(fd, b, 0)
	if err != nil {
		return fmt.Errorf("cannot hear whether a uevent was sent: %w", err)
	}
	if n < unix.SizeofNlMsghdr+4 || binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return fmt.Errorf("cannot understand the answer to a uevent: %d bytes", n)
	}
	if e := int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])); e != 0 {
		return fmt.Errorf("cannot send a uevent (it needs CAP_SYS_ADMIN over the network namespace): %w", unix.Errno(-e))
	}
	return nil
}

// tellKernel lets the kernel speak of a camera that has come or gone. Where it
// may not, the cameras work and listeners hear udev's message only.
func (r *rig) tellKernel(u usb, minors []int, in bool) {
	if !r.opts.uevents.wanted() {
		return
	}
	if err := sendKernel(kernelUevents(u, minors, in)); err != nil {
		r.log.Info("no uevent", "port", u.port, "error", err)
	}
}

// tellUdev sends udev's messages where they are wanted.
func (r *rig) tellUdev(u usb, minors []int, in bool) error {
	if !r.opts.udev {
		return nil
	}
	return sendUdev(u, minors, in)
}
