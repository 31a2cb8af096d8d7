package v4l2

import (
	"time"

	"golang.org/x/sys/unix"
)

// Events of controls (Documentation/userspace-api/media/v4l/vidioc-dqevent.rst):
// the only kind that uvcvideo has.
const (
	eventAll, eventCtrl = 0, 3

	eventSendInitial, eventFeedback = 1, 2 // V4L2_EVENT_SUB_FL_*
	changedValue, changedFlags      = 1, 2 // V4L2_EVENT_CTRL_CH_*
)

// subscription is a handle's interest in one control. It keeps one event: a newer
// one takes the older's place and what that one said has changed, as with
// v4l2_ctrl_merge of the kernel.
type subscription struct {
	flags   uint32
	changes uint32 // of the event that waits; 0: none
	seq     uint32
	at      time.Duration
}

// subscribe answers SUBSCRIBE_EVENT and UNSUBSCRIBE_EVENT.
func (d *Device) subscribe(h *Handle, cmd uint32, a []byte) unix.Errno {
	typ, id, flags := u32(a, 0), u32(a, 4), u32(a, 8)
	if cmd == vidiocUnsubscribeEvent {
		switch typ {
		case eventAll:
			clear(h.subs)
		case eventCtrl:
			delete(h.subs, id)
		}
		return 0
	}
	c := d.control(id)
	if typ != eventCtrl || c == nil {
		return unix.EINVAL
	}
	if h.subs[id] != nil {
		return 0
	}
	if h.subs == nil {
		h.subs = map[uint32]*subscription{}
	}
	h.subs[id] = &subscription{flags: flags}
	if flags&eventSendInitial != 0 && c.typ != ctrlClass { // a heading has nothing to say
		h.queue(id, changedValue|changedFlags)
	}
	return 0
}

// queue notes an event of a control for a handle that has subscribed to it.
func (h *Handle) queue(id, changes uint32) {
	s := h.subs[id]
	if s == nil {
		return
	}
	s.changes |= changes
	s.seq, s.at = h.eventSeq, time.Duration(monotonic())
	h.eventSeq++
}

// oldest is the event that waits longest, and how many do.
func (h *Handle) oldest() (id uint32, s *subscription, n int) {
	for i, x := range h.subs {
		if x.changes == 0 {
			continue
		}
		n++
		if s == nil || int32(x.seq-s.seq) < 0 {
			id, s = i, x
		}
	}
	return id, s, n
}

func (h *Handle) forgetEvents() { clear(h.subs) }

// notify tells all who have subscribed that a control has changed; by is the
// handle that did it, which hears of it only where it has asked to.
func (d *Device) notify(by *Handle, c *control, changes uint32) {
	for h := range d.handles {
		if s := h.subs[c.id]; s != nil && (h != by || s.flags&eventFeedback != 0) {
			h.queue(c.id, changes)
		}
	}
	waiting := d.eventWaits
	d.eventWaits = nil
	for _, w := range waiting {
		if !d.takeEvent(w.h, w.c) {
			d.eventWaits = append(d.eventWaits, w)
		}
	}
	d.wake()
}

// eventWait is a blocked DQEVENT.
type eventWait struct {
	h *Handle
	c Call
}

// dqevent answers DQEVENT, when there is an event.
func (d *Device) dqevent(h *Handle, c Call) {
	switch {
	case d.takeEvent(h, c):
	case c.Nonblock():
		c.Reply(-int32(unix.ENOENT))
	default:
		d.eventWaits = append(d.eventWaits, eventWait{h, c})
	}
}

// takeEvent answers c with the handle's oldest event; false when there is none.
func (d *Device) takeEvent(h *Handle, c Call) bool {
	id, s, n := h.oldest()
	if n == 0 {
		return false
	}
	x, a := d.control(id), c.Arg()
	clear(a)
	// struct v4l2_event: type, then at 8 the union, here struct v4l2_event_ctrl
	put(a, eventCtrl)
	put(a[8:], s.changes, x.typ, uint32(x.val), sign(x.val), d.flags(x), uint32(x.min), uint32(x.max), uint32(x.step), uint32(x.dflt))
	put(a[72:], uint32(n-1), s.seq)
	put64(a[80:], uint64(s.at/time.Second))
	put64(a[88:], uint64(s.at%time.Second))
	put(a[96:], id)
	s.changes = 0
	c.Reply(0)
	return true
}

// sign is the upper half of v as 64 bits.
func sign(v int32) uint32 { return uint32(v >> 31) }

// endEventWaits answers every blocked DQEVENT when the camera goes.
func (d *Device) endEventWaits() {
	for _, w := range d.eventWaits {
		w.c.Reply(-int32(unix.ENODEV))
	}
	d.eventWaits = nil
}

// refuseEventWait ends a blocked DQEVENT whose caller got a signal.
func (d *Device) refuseEventWait(id uint64) bool {
	for i, w := range d.eventWaits {
		if w.c.ID() == id {
			d.eventWaits = append(d.eventWaits[:i], d.eventWaits[i+1:]...)
			w.c.Reply(-erestartsys)
			return true
		}
	}
	return false
}
