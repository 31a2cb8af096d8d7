package v4l2

import "golang.org/x/sys/unix"

// control is one V4L2 control of the user or the camera class.
type control struct {
	id, typ, flags       uint32
	name                 string
	min, max, step, dflt int32
	menu                 []string
	val                  int32
}

const (
	ctrlInteger, ctrlBoolean, ctrlMenu, ctrlClass = 1, 2, 3, 6

	flagReadOnly, flagWriteOnly = 0x4, 0x40 // both: a heading, without a value

	flagNextCtrl = 0x80000000 // V4L2_CTRL_FLAG_NEXT_CTRL
	flagNextAny  = 0xc0000000 // and V4L2_CTRL_FLAG_NEXT_COMPOUND
	maskID       = 0x0fffffff

	whichCurrent = 0
	whichUser    = 0x00980000 // V4L2_CTRL_CLASS_USER
	whichCamera  = 0x009a0000 // V4L2_CTRL_CLASS_CAMERA
	whichDefault = 0x0f000000 // V4L2_CTRL_WHICH_DEF_VAL

	idPrivacy = whichCamera | 0x910 // V4L2_CID_PRIVACY
	maskClass = 0x0fff0000

	maxExtCtrls = 64
	extCtrlSize = 20 // struct v4l2_ext_control, packed
)

// newControls gives the controls of one camera, by rising ids. The privacy
// control is as uvcvideo shows it: a boolean that only the camera changes
// (Documentation/userspace-api/media/v4l/ext-ctrls-camera.rst).
func newControls(shutter bool) []*control {
	c := []*control{
		{id: whichUser | 1, typ: ctrlClass, name: "User Controls", flags: flagReadOnly | flagWriteOnly},
		{id: 0x00980900, typ: ctrlInteger, name: "Brightness", min: -64, max: 64, step: 1},
		{id: 0x00980901, typ: ctrlInteger, name: "Contrast", min: 0, max: 95, step: 1, dflt: 32},
		{id: 0x0098090c, typ: ctrlBoolean, name: "White Balance, Automatic", max: 1, step: 1, dflt: 1},
		{id: 0x00980918, typ: ctrlMenu, name: "Power Line Frequency", max: 2, step: 1, dflt: 1, menu: []string{"Disabled", "50 Hz", "60 Hz"}},
	}
	if shutter {
		c = append(c,
			&control{id: whichCamera | 1, typ: ctrlClass, name: "Camera Controls", flags: flagReadOnly | flagWriteOnly},
			&control{id: idPrivacy, typ: ctrlBoolean, name: "Privacy", flags: flagReadOnly, max: 1, step: 1},
		)
	}
	for _, x := range c {
		x.val = x.dflt
	}
	return c
}

func (c *control) clamp(v int32) int32 { return min(max(v, c.min), c.max) }

func (d *Device) control(id uint32) *control {
	for _, c := range d.controls {
		if c.id == id {
			return c
		}
	}
	return nil
}

// nextControl finds a control by id, or the one after it when a NEXT flag is set.
func (d *Device) nextControl(id uint32) *control {
	if id&flagNextAny == 0 {
		return d.control(id)
	}
	if id&flagNextCtrl == 0 { // compound controls only: there are none
		return nil
	}
	for _, c := range d.controls {
		if c.id > id&maskID {
			return c
		}
	}
	return nil
}

// queryctrl answers QUERYCTRL and QUERY_EXT_CTRL.
func (d *Device) queryctrl(cmd uint32, a []byte) unix.Errno {
	c := d.nextControl(u32(a, 0))
	if c == nil {
		return unix.EINVAL
	}
	clear(a)
	put(a, c.id, c.typ)
	copy(a[8:39], c.name)
	if cmd == vidiocQueryctrl {
		put(a[40:], uint32(c.min), uint32(c.max), uint32(c.step), uint32(c.dflt), c.flags)
		return 0
	}
	for i, v := range []int32{c.min, c.max, c.step, c.dflt} {
		put64(a[40+8*i:], uint64(int64(v)))
	}
	put(a[72:], c.flags, 4 /* bytes */, 1 /* element */, 0 /* dimensions */)
	return 0
}

func (d *Device) querymenu(a []byte) unix.Errno {
	c, i := d.control(u32(a, 0)), u32(a, 4)
	if c == nil || c.typ != ctrlMenu || int64(i) >= int64(len(c.menu)) {
		return unix.EINVAL
	}
	clear(a)
	put(a, c.id, i)
	copy(a[8:39], c.menu[i])
	return 0
}

func (d *Device) ctrl(cmd uint32, a []byte) unix.Errno {
	c := d.control(u32(a, 0))
	if c == nil {
		return unix.EINVAL
	}
	if c.typ == ctrlClass || cmd == vidiocSCtrl && c.flags&flagReadOnly != 0 {
		return unix.EACCES
	}
	if cmd == vidiocSCtrl {
		v := int32(u32(a, 4))
		if c.typ == ctrlMenu && v != c.clamp(v) {
			return unix.ERANGE
		}
		c.val = c.clamp(v)
	}
	put(a[4:], uint32(c.val))
	return 0
}

// extCtrls answers G_, S_ and TRY_EXT_CTRLS: its argument points to an array in
// the caller, who sleeps in ioctl(2) meanwhile.
func (d *Device) extCtrls(c Call) unix.Errno {
	cmd, a := c.Cmd(), c.Arg()
	which, n, ptr := u32(a, 0), u32(a, 4), u64(a, 24)
	put(a[8:], n) // error_idx = count: nothing was touched
	if n > maxExtCtrls || !d.classKnown(which) || cmd != vidiocGExtCtrls && which == whichDefault {
		return unix.EINVAL
	}
	if n == 0 {
		return 0
	}
	m := make([]byte, extCtrlSize*n)
	if !c.Peek(ptr, m) {
		return unix.EFAULT
	}
	for i := range n { // all or nothing: look at every one before any is set
		if e := d.extCtrl(cmd, which, m[extCtrlSize*i:]); e != 0 {
			if cmd == vidiocTryExtCtrls {
				put(a[8:], i)
			}
			return e
		}
	}
	if cmd == vidiocSExtCtrls {
		for i := range n {
			e := m[extCtrlSize*i:]
			d.control(u32(e, 0)).val = int32(u32(e, 12))
		}
	}
	if !c.Poke(ptr, m) {
		return unix.EFAULT
	}
	return 0
}

// classKnown says whether which names a class of this camera's controls, or values.
func (d *Device) classKnown(which uint32) bool {
	return which == whichCurrent || which == whichDefault || which&0xffff == 0 && d.control(which|1) != nil
}

// extCtrl reads a control into e, or checks and clamps the value in e.
func (d *Device) extCtrl(cmd, which uint32, e []byte) unix.Errno {
	c := d.control(u32(e, 0))
	if c == nil {
		return unix.EINVAL
	}
	if which != whichCurrent && which != whichDefault && c.id&maskClass != which {
		return unix.EINVAL
	}
	v := int32(u32(e, 12))
	switch {
	case c.typ == ctrlClass, cmd != vidiocGExtCtrls && c.flags&flagReadOnly != 0:
		return unix.EACCES
	case cmd == vidiocGExtCtrls && which == whichDefault:
		v = c.dflt
	case cmd == vidiocGExtCtrls:
		v = c.val
	case c.typ == ctrlMenu && v != c.clamp(v):
		return unix.ERANGE
	default:
		v = c.clamp(v)
	}
	put(e[12:], uint32(v))
	return 0
}
