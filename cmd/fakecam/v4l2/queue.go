package v4l2

import (
	"time"

	"golang.org/x/sys/unix"
)

// A buffer goes from the client to the camera (QBUF) and back (DQBUF).
type bufState byte

const (
	dequeued bufState = iota // the client's
	queued                   // the camera's, to be filled
	done                     // filled, waits for DQBUF
)

type buffer struct {
	state bufState
	seq   uint32
	used  uint32        // bytesused as DQBUF tells it
	ts    time.Duration // CLOCK_MONOTONIC
}

// erestartsys is the kernel's own errno for "a signal came": the caller restarts
// the call under SA_RESTART and gets EINTR otherwise.
const erestartsys = 512

func (d *Device) reqbufs(h *Handle, a []byte) unix.Errno {
	count, typ, memory := u32(a, 0), u32(a, 4), u32(a, 8)
	put(a[12:], bufcapMMAP|bufcapOrphaned, 0)
	switch {
	case typ != typeCapture || memory != memoryMMAP:
		return unix.EINVAL
	case d.owner != nil && d.owner != h:
		return unix.EBUSY
	case d.stream != nil && count != 0:
		return unix.EBUSY
	}
	d.streamoff(unix.EINVAL)
	d.owner, d.bufs = nil, nil
	if count > 0 {
		count = min(max(count, 2), maxBufs)
		d.owner, d.bufs = h, make([]buffer, count)
		d.bufsz = (sizeimage(d.pix, d.w, d.h) + 4095) &^ 4095 // a client maps whole pages
	}
	put(a, count)
	return 0
}

func (d *Device) querybuf(a []byte) unix.Errno {
	i := u32(a, 0)
	if u32(a, 4) != typeCapture || int64(i) >= int64(len(d.bufs)) {
		return unix.EINVAL
	}
	d.describe(a, int(i))
	return 0
}

func (d *Device) qbuf(h *Handle, a []byte) unix.Errno {
	i := u32(a, 0)
	switch {
	case d.owner != nil && d.owner != h:
		return unix.EBUSY
	case u32(a, 4) != typeCapture || u32(a, 60) != memoryMMAP || u32(a, 12)&bufRequestFD != 0,
		int64(i) >= int64(len(d.bufs)), d.bufs[i].state != dequeued:
		return unix.EINVAL
	}
	d.bufs[i].state = queued
	d.queued = append(d.queued, int(i))
	d.describe(a, int(i))
	return 0
}

// describe writes struct v4l2_buffer for buffer i.
func (d *Device) describe(a []byte, i int) {
	b := &d.bufs[i]
	flags := uint32(bufTSMono)
	switch b.state {
	case queued:
		flags |= bufQueued
	case done:
		flags |= bufDone
	case dequeued: // neither flag
	}
	clear(a)
	put(a, uint32(i), typeCapture, b.used, flags, fieldNone)
	put64(a[24:], uint64(b.ts/time.Second))
	put64(a[32:], uint64(b.ts%time.Second/time.Microsecond))
	put(a[56:], b.seq, memoryMMAP, uint32(i)*d.bufsz)
	put(a[72:], sizeimage(d.pix, d.w, d.h))
}

func (d *Device) dqbuf(h *Handle, c Call) {
	switch {
	case u32(c.Arg(), 4) != typeCapture || u32(c.Arg(), 60) != memoryMMAP || d.stream == nil:
		c.Reply(-int32(unix.EINVAL))
	case d.owner != h:
		c.Reply(-int32(unix.EBUSY))
	case len(d.done) > 0:
		d.hand(c)
	case c.Nonblock():
		c.Reply(-int32(unix.EAGAIN))
	default:
		d.waiters = append(d.waiters, c)
	}
}

// handNext gives it to the DQBUF that waits longest.
func (d *Device) handNext() {
	c := d.waiters[0]
	d.waiters = d.waiters[1:]
	d.hand(c)
}

// hand gives the oldest filled buffer to a DQBUF.
func (d *Device) hand(c Call) {
	i := d.done[0]
	d.done = d.done[1:]
	d.bufs[i].state = dequeued
	d.describe(c.Arg(), i)
	c.Reply(0)
}

// Interrupt ends a blocked DQBUF whose caller got a signal; it does nothing
// when no call with this ID waits. It ends a blocked DQEVENT and what a hang
// holds, too.
func (d *Device) Interrupt(id uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.refuseHeld(id) || d.refuseEventWait(id) {
		return
	}
	for i, c := range d.waiters {
		if c.ID() == id {
			d.waiters = append(d.waiters[:i], d.waiters[i+1:]...)
			c.Reply(-erestartsys)
			return
		}
	}
}

func (d *Device) onoff(h *Handle, cmd uint32, a []byte) unix.Errno {
	switch {
	case u32(a, 0) != typeCapture:
		return unix.EINVAL
	case d.owner != nil && d.owner != h:
		return unix.EBUSY
	case cmd == vidiocStreamoff:
		d.streamoff(unix.EINVAL)
	case d.owner == nil:
		return unix.EINVAL
	default:
		return d.streamon()
	}
	return 0
}

// Poll gives the events of the handle now. With arm set, key is woken once at
// the next change: also when there are events already, because an edge-triggered
// epoll does not ask again. Who asks for events of controls alone hears nothing
// of the stream (vb2_poll of the kernel).
func (h *Handle) Poll(key uint64, asked uint32, arm bool) uint32 {
	d := h.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if h.dead() {
		return unix.POLLERR | unix.POLLHUP
	}
	if arm {
		h.key = key
		d.polled[h] = struct{}{}
	}
	ev := uint32(0)
	if _, _, n := h.oldest(); n > 0 {
		ev = unix.POLLPRI
	}
	switch {
	case asked&(unix.POLLIN|pollRdNorm) == 0:
	case d.stream == nil:
		ev |= unix.POLLERR
	case len(d.done) > 0:
		ev |= unix.POLLIN | pollRdNorm
	}
	return ev
}

// wake tells every armed poller, once.
func (d *Device) wake() {
	for h := range d.polled {
		d.opts.Kernel.Wake(h.key)
		delete(d.polled, h)
	}
}
