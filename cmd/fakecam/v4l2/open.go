package v4l2

import "golang.org/x/sys/unix"

// OpenCall is an open(2) that waits for its answer.
type OpenCall interface {
	// ID tells calls apart for Device.Interrupt.
	ID() uint64
	// UID is the user who opens.
	UID() uint32
	// Reply ends the call, once: with a handle, or with an errno. It says whether
	// the caller has the handle now and will release it.
	Reply(h *Handle, e unix.Errno) bool
}

// Open answers c: with a new handle, ENODEV where the camera is gone, or EACCES
// where the user is denied or the rights were revoked. While the driver hangs the
// answer comes later.
func (d *Device) Open(c OpenCall) {
	d.mu.Lock()
	defer d.mu.Unlock()
	answer := func() {
		h, e := d.open(c.UID())
		if !c.Reply(h, e) && e == 0 {
			delete(d.handles, h)
		}
	}
	if !d.hold(held{c.ID(), answer, func(e unix.Errno) { c.Reply(nil, e) }}) {
		answer()
	}
}

// open makes a handle. The caller holds mu.
func (d *Device) open(uid uint32) (*Handle, unix.Errno) {
	if e := d.admit(uid); e != 0 {
		return nil, e
	}
	h := &Handle{d: d, life: d.life, prio: priorityInteractive}
	d.handles[h] = struct{}{}
	return h, 0
}

// admit says why uid may not open the camera.
func (d *Device) admit(uid uint32) unix.Errno {
	switch {
	case d.faults[Revoke]:
		d.stats.Faults.Revoked++
		return unix.EACCES
	case d.access.denied(uid):
		return unix.EACCES
	case d.gone:
		return unix.ENODEV
	}
	return 0
}

// Release ends a handle; its stream stops and its buffers are freed.
func (h *Handle) Release() {
	d := h.d
	d.mu.Lock()
	defer d.mu.Unlock()
	delete(d.handles, h)
	delete(d.polled, h)
	if d.owner == h {
		d.streamoff(unix.EINVAL)
		d.owner, d.bufs = nil, nil
	}
}

// dead says whether the handle's camera was unplugged, or its rights revoked,
// since it was opened.
func (h *Handle) dead() bool { return h.d.gone || h.life != h.d.life }
