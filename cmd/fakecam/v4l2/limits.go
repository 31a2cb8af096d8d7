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
	return !d.access.denied(uid) && !d.faults[Revoke]
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
	v := int32(0)
	if d.shut {
		v = 1
	}
	d.set(nil, c, v)
}

// Bus is a USB bus with room for one stream, or for so many bytes a second: a
// STREAMON that does not fit gives ENOSPC, as the kernel's scheduler of periodic
// transfers does.
type Bus struct {
	Room int64 // bytes a second; 0: one stream, whatever it needs

	mu   sync.Mutex
	used map[*Device]int64
}

// take reserves so many bytes a second of the bus for d; false when they do not
// fit. A nil bus has room for all.
func (b *Bus) take(d *Device, need int64) bool {
	if b == nil {
		return true
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	others := int64(0)
	for o, n := range b.used {
		if o != d {
			others += n
		}
	}
	if b.Room == 0 && others > 0 || b.Room > 0 && others+need > b.Room {
		return false
	}
	if b.used == nil {
		b.used = map[*Device]int64{}
	}
	b.used[d] = max(need, 1)
	return true
}

// leave gives it back.
func (b *Bus) leave(d *Device) {
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.used, d)
}
