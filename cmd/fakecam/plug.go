package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"kioskd/cmd/fakecam/camns"
)

// usb is the camera as its bus sees it at this plug.
func (c *camera) usb() usb {
	// A bus numbers devices anew at each plug, 1 is its root hub.
	return usb{c.id, 2 + (c.start+c.plugs*camns.MaxCameras)%125}
}

// plug brings the camera in: as with a real one the device first, then sysfs, the
// node and the kernel's word, at last udev's links and word.
func (c *camera) plug() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.plugIn()
}

func (c *camera) plugIn() error {
	if c.in {
		return nil
	}
	c.plugs++
	minors := c.minors(c.node().minor)
	c.dev.Plug()
	if err := c.rig.sys.plug(c.usb(), minors); err != nil {
		return err
	}
	for _, n := range minors {
		if err := c.linkNode(newNode(n).name); err != nil {
			return err
		}
	}
	c.in = true
	c.rig.tellKernel(c.usb(), minors, true)
	if err := c.takeLinks(minors); err != nil {
		return err
	}
	c.rig.journal.event(c.node().minor, true)
	return c.rig.tellUdev(c.usb(), minors, true)
}

// unplug takes all of it away, in the other order of a real one: the kernel drops
// the device and its node, then udev hears of it.
func (c *camera) unplug() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.pull()
}

func (c *camera) pull() error {
	if !c.in {
		return nil
	}
	minors := c.minors(c.node().minor)
	var errs []error
	if dev := c.rig.opts.dev; dev != "" {
		for _, n := range minors {
			if err := os.Remove(filepath.Join(dev, newNode(n).name)); err != nil && !errors.Is(err, os.ErrNotExist) {
				errs = append(errs, fmt.Errorf("cannot remove a node: %w", err))
			}
		}
	}
	c.dev.Unplug()
	errs = append(errs, c.rig.sys.unplug(c.usb(), minors))
	c.in = false
	c.rig.tellKernel(c.usb(), minors, false)
	errs = append(errs, c.dropLinks())
	c.rig.journal.event(c.node().minor, false)
	return errors.Join(append(errs, c.rig.tellUdev(c.usb(), minors, false))...)
}

// move unplugs the camera and plugs it back as /dev/videoN: another number, the
// same port, as after a reset of the bus.
func (c *camera) move(n int) error {
	c.rig.moves.Lock() // two at a time could take one place
	defer c.rig.moves.Unlock()
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.free(n); err != nil {
		return err
	}
	if err := c.pull(); err != nil {
		return err
	}
	c.dev.Rename(n)
	c.at.Store(newNode(n))
	c.moves.Add(1)
	return c.plugIn()
}

// free says whether the camera may have number n.
func (c *camera) free(n int) error {
	own := c.minors(c.node().minor)
	for _, want := range c.minors(n) {
		if want >= camns.MaxCameras {
			return fmt.Errorf("cannot move to number %d: the last is %d", want, camns.MaxCameras-1)
		}
		if slices.Contains(own, want) {
			continue
		}
		taken := slices.ContainsFunc(c.rig.cams, func(x *camera) bool {
			return x != c && slices.Contains(x.minors(x.node().minor), want)
		})
		if dev := c.rig.opts.dev; dev != "" && !taken {
			_, err := os.Stat(filepath.Join(dev, newNode(want).name)) // of another process
			taken = err == nil
		}
		if taken {
			return fmt.Errorf("cannot move to number %d: another camera has it", want)
		}
	}
	return nil
}

// linkNode makes the node of the devices' folder.
func (c *camera) linkNode(name string) error {
	if c.rig.opts.dev == "" {
		return nil
	}
	return link(filepath.Join(c.rig.opts.dev, name), filepath.Join(c.rig.opts.mount, name))
}

// takeLinks makes udev's links (60-persistent-v4l.rules): by-id of what the camera
// says, by-path of where it is. Cameras that say the same share the first.
func (c *camera) takeLinks(minors []int) error {
	if c.rig.opts.dev == "" {
		return nil
	}
	for i, n := range minors {
		for _, name := range []string{
			fmt.Sprintf("v4l/by-id/usb-%s-video-index%d", c.id.idSerial(), i),
			fmt.Sprintf("v4l/by-path/%s-video-index%d", c.id.idPath(), i),
		} {
			claim, err := claims{c.rig.opts.dev}.take(name, filepath.Join("..", "..", newNode(n).name))
			if err != nil {
				return err
			}
			c.taken[name] = claim
		}
	}
	return nil
}

func (c *camera) dropLinks() error {
	var errs []error
	for name, claim := range c.taken {
		errs = append(errs, claims{c.rig.opts.dev}.giveBack(name, claim))
	}
	clear(c.taken)
	return errors.Join(errs...)
}

// permitted has the node's attributes changed, as a rule of udev or chmod(1) does when
// it gives or takes a right: whoever watches the folder hears of it (IN_ATTRIB).
func (c *camera) permitted() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	dev := c.rig.opts.dev
	if dev == "" || !c.in {
		return nil
	}
	if err := os.Lchown(filepath.Join(dev, c.node().name), os.Getuid(), os.Getgid()); err != nil {
		return fmt.Errorf("cannot touch the node of %s: %w", c.node().name, err)
	}
	return nil
}
