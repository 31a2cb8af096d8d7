// Package uevent tells of devices that come, go and change: it listens to what
// udev, or where there is no udev the kernel, multicasts about them. It owns one
// netlink socket a Watch and nothing else, and knows no kind of device.
//
// It may be imported by daemon. It imports the standard library and x/sys only.
package uevent

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"

	"golang.org/x/sys/unix"
)

// Event is one message about a device, or the word that some were lost.
type Event struct {
	// Action is what happened: add, remove, change, bind, unbind, move, online, offline.
	Action string
	// DevPath is the device below /sys, such as
	// /devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2:1.0/video4linux/video0.
	DevPath string
	// Subsystem is such as video4linux, sound or usb.
	Subsystem string
	// DevName is the node, such as /dev/video0; "" where there is none.
	DevName string
	// Lost says that messages did not reach us, whatever they were about. Then
	// all else is empty: look at every device.
	Lost bool
}

const (
	// groupKernel has what the kernel says, groupUdev what udevd says once it
	// has made nodes, links and permissions (libudev-monitor.c).
	groupKernel, groupUdev = 1, 2

	// udevControl is there while udevd runs; libudev asks the same.
	udevControl = "/run/udev/control"

	// maxMessage bounds one message in bytes: the kernel's end at 2048
	// (UEVENT_BUFFER_SIZE), libudev reads up to 8192.
	maxMessage = 8192

	// queue is asked for as the socket's: a hub with everything behind it makes a
	// hundred messages at once. What does not fit is lost, and told.
	queue = 1 << 20
)

// Watch tells changed of each event in one of the subsystems, all where none is
// named, until ctx ends, when it returns nil. It listens to udevd where that runs
// at the start and to the kernel otherwise, and believes only root (libudev-monitor.c does
// the same). Where the socket's queue ran over, or a message cannot be read,
// changed gets an event with Lost. changed runs on Watch's goroutine and must not
// block. An error means that the socket cannot be had, or broke; the caller falls
// back to looking now and then.
func Watch(ctx context.Context, subsystems []string, changed func(Event)) error {
	return watch(ctx, udevControl, subsystems, changed, func() {})
}

// watch is Watch with udevd's control file at a given place; listening is called
// once nothing is missed any more.
func watch(ctx context.Context, control string, subsystems []string, changed func(Event), listening func()) error {
	group := uint32(groupKernel)
	if _, err := os.Stat(control); err == nil {
		group = groupUdev
	}
	s, err := open(group)
	if err != nil {
		return fmt.Errorf("cannot watch for devices: %w", err)
	}
	stop := context.AfterFunc(ctx, s.wake)
	defer func() {
		stop()
		s.close()
	}()
	listening()
	for {
		e, err := s.next()
		switch {
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errForeign):
		case err != nil:
			return fmt.Errorf("cannot go on watching for devices: %w", err)
		case e.Lost || len(subsystems) == 0 || slices.Contains(subsystems, e.Subsystem):
			changed(e)
		}
	}
}

// credentials finds the sender in the control messages of recvmsg(2).
func credentials(oob []byte) (*unix.Ucred, bool) {
	msgs, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return nil, false
	}
	for i := range msgs {
		if cred, err := unix.ParseUnixCredentials(&msgs[i]); err == nil {
			return cred, true
		}
	}
	return nil, false
}
