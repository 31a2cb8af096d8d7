package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/fuse"
	"kioskd/cmd/fakecam/v4l2"
)

// camera joins a V4L2 device to its file and its links. It is the fuse.File of
// the device and the v4l2.Kernel that the device talks to.
type camera struct {
	rig   *rig
	index int // in the process
	minor int // N of videoN
	name  string
	dev   *v4l2.Device
	links [][2]string // name, target
	udev  bool

	mu sync.Mutex // one plug or unplug at a time
	in bool
}

func newCamera(i int, o options, r *rig) *camera {
	minor := o.first + i
	c := &camera{rig: r, index: i, minor: minor, name: fmt.Sprintf("video%d", minor), udev: o.udev}
	if o.dev != "" {
		back := filepath.Join("..", "..", c.name)
		c.links = [][2]string{
			{filepath.Join(o.dev, c.name), filepath.Join(o.mount, c.name)},
			{filepath.Join(o.dev, "v4l/by-id/usb-"+o.usbName(minor)+"-video-index0"), back},
			{filepath.Join(o.dev, fmt.Sprintf("v4l/by-path/pci-0000:00:14.0-usb-0:%d:1.0-video-index0", minor+1)), back},
		}
	}
	return c
}

// Present, Open, Allowed and Interrupt are for package fuse.
func (c *camera) Present() bool           { return c.dev.Present() }
func (c *camera) Allowed(uid uint32) bool { return c.dev.Allowed(uid) }
func (c *camera) Interrupt(id uint64)     { c.dev.Interrupt(id) }
func (c *camera) Open(uid uint32) (fuse.Handle, unix.Errno) {
	h, e := c.dev.Open(uid)
	if e != 0 {
		return nil, e
	}
	return handle{h}, 0
}

// handle gives the device its calls.
type handle struct{ *v4l2.Handle }

func (h handle) Ioctl(c *fuse.Call) { h.Handle.Ioctl(c) }

// Wake and Store are for package v4l2.
func (c *camera) Wake(key uint64)              { c.rig.server.Wake(key) }
func (c *camera) Store(off int64, data []byte) { c.rig.server.StoreData(c.index, off, data) }

// plug brings the camera in and makes its links; the device is there before
// its name is.
func (c *camera) plug() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.in {
		return nil
	}
	c.dev.Plug()
	for _, l := range c.links {
		if err := link(l[0], l[1]); err != nil {
			return err
		}
	}
	c.in = true
	return c.tell()
}

// unplug takes the links and then the camera away.
func (c *camera) unplug() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.in {
		return nil
	}
	var err error
	for _, l := range c.links {
		if e := os.Remove(l[0]); e != nil && !errors.Is(e, os.ErrNotExist) {
			err = errors.Join(err, fmt.Errorf("cannot remove the link of %s: %w", c.name, e))
		}
	}
	c.dev.Unplug()
	c.in = false
	return errors.Join(err, c.tell())
}

// tell writes the event into the frame log and sends udev's message.
func (c *camera) tell() error {
	c.rig.journal.event(c.minor, c.in)
	if !c.udev {
		return nil
	}
	return sendUdev(c.minor, c.in)
}

// link makes a symbolic link, in place of an older one.
func link(name, target string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", name, err)
	}
	if old, err := os.Lstat(name); err == nil && old.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("cannot link %s: it is there and no link; is it a real camera? Use fakecam ns", name)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot replace %s: %w", name, err)
	}
	if err := os.Symlink(target, name); err != nil {
		return fmt.Errorf("cannot link %s: %w", name, err)
	}
	return nil
}
