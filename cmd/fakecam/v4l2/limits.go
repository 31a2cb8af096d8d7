package v4l2

import (
	"errors"
	"sync"
)

// access says which users may open a camera, as the mode and the lists of a
// device node do. Who has it open already keeps it.
type access struct {
	everyone bool            // denied, but for the exceptions
	except   map[uint32]bool // by uid: denied
}

func (a *access) denied(uid uint32) bool {
	if denied, ok := a.except[uid]; ok {
		return denied
	}
	return a.everyone
}

// Deny says whether uid may not open the camera from now on. It holds through
// an unplug, as a rule of udev does.
func (d *Device) Deny(uid uint32, denied bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.access.except == nil {
		d.access.except = map[uint32]bool{}
	}
	d.access.except[uid] = denied
}

// DenyAll says whether nobody, root included, may open the camera; what was said
// of single users before is forgotten.
func (d *Device) DenyAll(denied bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.access = access{everyone: denied}
}

// Allowed says whether Open would let uid in.
func (d *Device) Allowed(uid uint32) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.access.denied(uid)
}

// ErrNoShutter is Shutter's answer of a camera without one.
var ErrNoShutter = errors.New("the camera has no shutter")

// Shutter closes or opens the privacy shutter: the control says so at once, and
// pictures that are begun from now on are black.
func (d *Device) Shutter(closed bool) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.opts.Shutter {
		return ErrNoShutter
	}
	d.shut = closed
	d.privacy()
	return nil
}

// privacy copies the shutter into its control. The caller holds mu.
func (d *Device) privacy() {
	c := d.control(idPrivacy)
	if c == nil {
		return
	}
	c.val = 0
	if d.shut {
		c.val = 1
	}
}

// Bus is a USB bus that carries one stream at a time: STREAMON of a second
// camera gives ENOSPC, as the kernel's scheduler of periodic transfers does.
type Bus struct {
	mu   sync.Mutex
	user *Device
}

// take reserves the bus for d; false when another camera has it. A nil bus has
// room for all.
func (b *Bus) take(d *Device) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.user != nil && b.user != d {
		return false
	}
	b.user = d
	return true
}

// leave gives it back.
func (b *Bus) leave(d *Device) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.user == d {
		b.user = nil
	}
}
