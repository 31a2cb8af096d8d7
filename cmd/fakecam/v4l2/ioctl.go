package v4l2

import (
	"strconv"

	"golang.org/x/sys/unix"
)

// Ioctl answers one request: at once, for a blocking DQBUF or DQEVENT when a
// frame or an event is there, or when the driver hangs no longer. A request that
// is not offered gives ENOTTY.
func (h *Handle) Ioctl(c Call) {
	d := h.d
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.hold(held{c.ID(), func() { h.ioctl(c) }, func(unix.Errno) { c.Reply(-erestartsys) }}) {
		h.ioctl(c)
	}
}

// ioctl is Ioctl of a driver that answers. The caller holds mu.
func (h *Handle) ioctl(c Call) {
	d := h.d
	switch {
	case h.dead():
		c.Reply(-int32(unix.ENODEV))
	case len(c.Arg()) < size(c.Cmd()):
		c.Reply(-int32(unix.ENOTTY)) // no code of ours, those carry their argument's size
	case changes(c.Cmd()) && h.prio < d.topPriority():
		c.Reply(-int32(unix.EBUSY))
	case c.Cmd() == vidiocDqbuf:
		d.dqbuf(h, c)
	case c.Cmd() == vidiocDqevent:
		d.dqevent(h, c)
	default:
		c.Reply(-int32(d.dispatch(h, c)))
	}
}

func (d *Device) dispatch(h *Handle, c Call) unix.Errno {
	cmd, a := c.Cmd(), c.Arg()
	switch cmd {
	case vidiocQuerycap:
		return d.querycap(a)
	case vidiocEnumFmt:
		return d.enumFmt(a)
	case vidiocEnumFramesizes:
		return d.enumFramesizes(a)
	case vidiocEnumFrameivals:
		return d.enumFrameivals(a)
	case vidiocGFmt, vidiocSFmt, vidiocTryFmt:
		return d.fmt(cmd, a)
	case vidiocGParm, vidiocSParm:
		return d.parm(cmd, a)
	case vidiocEnumInput, vidiocGInput, vidiocSInput:
		return d.input(cmd, a)
	case vidiocGPriority, vidiocSPriority:
		return d.priority(h, cmd, a)
	case vidiocQueryctrl, vidiocQueryExtCtrl:
		return d.queryctrl(cmd, a)
	case vidiocQuerymenu:
		return d.querymenu(a)
	case vidiocGCtrl, vidiocSCtrl:
		return d.ctrl(h, cmd, a)
	case vidiocGExtCtrls, vidiocSExtCtrls, vidiocTryExtCtrls:
		return d.extCtrls(h, c)
	case vidiocSubscribeEvent, vidiocUnsubscribeEvent:
		return d.subscribe(h, cmd, a)
	case vidiocReqbufs:
		return d.reqbufs(h, a)
	case vidiocQuerybuf:
		return d.querybuf(a)
	case vidiocQbuf:
		return d.qbuf(h, a)
	case vidiocStreamon, vidiocStreamoff:
		return d.onoff(h, cmd, a)
	}
	return unix.ENOTTY
}

func (d *Device) querycap(a []byte) unix.Errno {
	d.describeDevice(a)
	const caps = capCapture | capStreaming | capExtPix
	put(a[84:], caps|capDevice, caps)
	return 0
}

// describeDevice writes what struct v4l2_capability says of the whole camera.
func (d *Device) describeDevice(a []byte) {
	port := d.opts.Port
	if port == "" {
		port = strconv.Itoa(d.opts.Minor + 1)
	}
	clear(a)
	copy(a[0:15], "uvcvideo")
	copy(a[16:47], d.opts.Card)
	copy(a[48:79], "usb-0000:00:14.0-"+port)
	put(a[80:], 6<<16|18<<8 /* kernel 6.18 */)
}

// input answers ENUMINPUT, G_INPUT and S_INPUT: there is one.
func (d *Device) input(cmd uint32, a []byte) unix.Errno {
	if cmd == vidiocGInput {
		put(a, 0)
		return 0
	}
	if u32(a, 0) != 0 {
		return unix.EINVAL
	}
	if cmd == vidiocEnumInput {
		clear(a)
		copy(a[4:35], "Camera 1")
		put(a[36:], 2 /* V4L2_INPUT_TYPE_CAMERA */)
	}
	return 0
}

// changes says whether a request is refused to a handle of lower priority
// (Documentation/userspace-api/media/v4l/app-pri.rst).
func changes(cmd uint32) bool {
	switch cmd {
	case vidiocSFmt, vidiocSParm, vidiocSInput, vidiocSCtrl, vidiocSExtCtrls, vidiocSPriority,
		vidiocReqbufs, vidiocStreamon, vidiocStreamoff:
		return true
	}
	return false
}

// topPriority is the highest priority of an open handle, 0 without one.
func (d *Device) topPriority() uint32 {
	top := uint32(0)
	for h := range d.handles {
		top = max(top, h.prio)
	}
	return top
}

func (d *Device) priority(h *Handle, cmd uint32, a []byte) unix.Errno {
	if cmd == vidiocGPriority {
		put(a, d.topPriority())
		return 0
	}
	p := u32(a, 0)
	if p < 1 || p > 3 {
		return unix.EINVAL
	}
	h.prio = p
	return 0
}
