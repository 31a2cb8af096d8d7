package v4l2

import (
	"strings"

	"golang.org/x/sys/unix"
)

// control is one V4L2 control of the user or the camera class.
type control struct {
	id, typ, flags       uint32
	name                 string
	min, max, step, dflt int32
	menu                 []string // by value; what is empty is not there
	val                  int32

	auto   uint32 // the control that takes this one over, unless its value is manual
	manual int32
}

const (
	ctrlInteger, ctrlBoolean, ctrlMenu, ctrlClass = 1, 2, 3, 6

	flagReadOnly, flagWriteOnly = 0x4, 0x40 // both: a heading, without a value
	flagUpdate                  = 0x8       // its value changes the flags of others
	flagInactive                = 0x10      // another control decides it now

	flagNextCtrl = 0x80000000 // V4L2_CTRL_FLAG_NEXT_CTRL
	flagNextAny  = 0xc0000000 // and V4L2_CTRL_FLAG_NEXT_COMPOUND
	maskID       = 0x0fffffff

	whichCurrent = 0
	whichUser    = 0x00980000 // V4L2_CTRL_CLASS_USER
	whichCamera  = 0x009a0000 // V4L2_CTRL_CLASS_CAMERA
	whichDefault = 0x0f000000 // V4L2_CTRL_WHICH_DEF_VAL

	idAutoWhite    = whichUser | 0x90c   // V4L2_CID_AUTO_WHITE_BALANCE
	idAutoExposure = whichCamera | 0x901 // V4L2_CID_EXPOSURE_AUTO
	idAutoFocus    = whichCamera | 0x90c // V4L2_CID_FOCUS_AUTO
	idPrivacy      = whichCamera | 0x910 // V4L2_CID_PRIVACY
	maskClass      = 0x0fff0000

	maxExtCtrls = 64
	extCtrlSize = 20 // struct v4l2_ext_control, packed
)

// fit gives the value that a control takes when asked for v: the nearest in range
// and on a step. A menu takes what it has only (v4l2_ctrl's std_validate).
func (c *control) fit(v int32) (int32, unix.Errno) {
	switch {
	case c.typ == ctrlMenu && (v < c.min || v > c.max):
		return 0, unix.ERANGE
	case c.typ == ctrlMenu && c.menu[v] == "":
		return 0, unix.EINVAL
	}
	v = min(max(v, c.min), c.max)
	if c.step > 1 {
		v = min(c.min+(v-c.min+c.step/2)/c.step*c.step, c.max)
	}
	return v, 0
}

// flags are a control's flags now.
func (d *Device) flags(c *control) uint32 {
	if a := d.control(c.auto); a != nil && a.val != c.manual {
		return c.flags | flagInactive
	}
	return c.flags
}

// set gives a control a value and tells who has subscribed, of the controls too
// that it takes over or gives free.
func (d *Device) set(by *Handle, c *control, v int32) {
	if c.val == v {
		return
	}
	before := map[*control]uint32{}
	for _, x := range d.controls {
		before[x] = d.flags(x)
	}
	c.val = v
	d.notify(by, c, changedValue)
	for _, x := range d.controls {
		if d.flags(x) != before[x] {
			d.notify(nil, x, changedFlags) // not what the caller has set: it wants to know
		}
	}
}

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
		put(a[40:], uint32(c.min), uint32(c.max), uint32(c.step), uint32(c.dflt), d.flags(c))
		return 0
	}
	for i, v := range []int32{c.min, c.max, c.step, c.dflt} {
		put64(a[40+8*i:], uint64(int64(v)))
	}
	put(a[72:], d.flags(c), 4 /* bytes */, 1 /* element */, 0 /* dimensions */)
	return 0
}

func (d *Device) querymenu(a []byte) unix.Errno {
	c, i := d.control(u32(a, 0)), u32(a, 4)
	if c == nil || c.typ != ctrlMenu || int64(i) >= int64(len(c.menu)) || c.menu[i] == "" {
		return unix.EINVAL
	}
	clear(a)
	put(a, c.id, i)
	copy(a[8:39], c.menu[i])
	return 0
}

func (d *Device) ctrl(h *Handle, cmd uint32, a []byte) unix.Errno {
	c := d.control(u32(a, 0))
	if c == nil {
		return unix.EINVAL
	}
	if c.typ == ctrlClass || cmd == vidiocSCtrl && c.flags&flagReadOnly != 0 {
		return unix.EACCES
	}
	if cmd == vidiocSCtrl {
		if d.flags(c)&flagInactive != 0 {
			return errTakenOver
		}
		v, e := c.fit(int32(u32(a, 4)))
		if e != 0 {
			return e
		}
		d.set(h, c, v)
	}
	put(a[4:], uint32(c.val))
	return 0
}

// extCtrls answers G_, S_ and TRY_EXT_CTRLS: its argument points to an array in
// the caller, who sleeps in ioctl(2) meanwhile.
func (d *Device) extCtrls(h *Handle, c Call) unix.Errno {
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
	for i := range n { // mixed classes are found before anything else
		if id := u32(m[extCtrlSize*i:], 0); which != whichCurrent && which != whichDefault && id&maskClass != which {
			if cmd == vidiocTryExtCtrls {
				put(a[8:], i)
			}
			return unix.EINVAL
		}
	}
	for i := range n { // all or nothing: look at every one before any is set
		if e := d.extCtrl(cmd, which, m, i); e != 0 {
			if cmd == vidiocTryExtCtrls || e == errTakenOver { // that one is the hardware's
				put(a[8:], i)
			}
			return e
		}
	}
	if cmd == vidiocSExtCtrls {
		for i := range n {
			e := m[extCtrlSize*i:]
			d.set(h, d.control(u32(e, 0)), int32(u32(e, 12)))
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

// extCtrl reads a control into the i-th entry of m, or checks and fits the value
// in there.
func (d *Device) extCtrl(cmd, which uint32, m []byte, i uint32) unix.Errno {
	e := m[extCtrlSize*i:]
	c := d.control(u32(e, 0))
	if c == nil {
		return unix.EINVAL
	}
	v, bad := int32(u32(e, 12)), unix.Errno(0)
	switch {
	case c.typ == ctrlClass, cmd != vidiocGExtCtrls && c.flags&flagReadOnly != 0:
		return unix.EACCES
	case cmd == vidiocGExtCtrls && which == whichDefault:
		v = c.dflt
	case cmd == vidiocGExtCtrls:
		v = c.val
	case cmd == vidiocSExtCtrls && d.takenOver(c, m):
		return errTakenOver
	default:
		v, bad = c.fit(v)
	}
	if bad != 0 {
		return bad
	}
	put(e[12:], uint32(v))
	return 0
}

// errTakenOver answers who sets a control that is on automatic. A webcam stalls
// the transfer: EIO of uvcvideo before 5.15, which v4l2-compliance 1.22 takes for a
// warning; newer kernels look first and say EACCES.
const errTakenOver = unix.EIO

// takenOver says whether c would be inactive when all of m was set: a change may
// switch to manual and give the value at once (uvc_ctrl_is_accessible).
func (d *Device) takenOver(c *control, m []byte) bool {
	a := d.control(c.auto)
	if a == nil {
		return false
	}
	mode := a.val
	for ; len(m) >= extCtrlSize; m = m[extCtrlSize:] {
		if u32(m, 0) == a.id {
			mode = int32(u32(m, 12))
		}
	}
	return mode != c.manual
}

// ControlValue is what the camera says of one control.
type ControlValue struct {
	Value    int32
	Inactive bool
}

// Control gives a control by its name in v4l2-ctl's spelling, such as
// zoom_absolute; false when there is none.
func (d *Device) Control(name string) (ControlValue, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, c := range d.controls {
		if c.typ != ctrlClass && spelling(c.name) == name {
			return ControlValue{c.val, d.flags(c)&flagInactive != 0}, true
		}
	}
	return ControlValue{}, false
}

// spelling is v4l2-ctl's: small letters and digits, everything else between them
// is one underscore.
func spelling(name string) string {
	var b strings.Builder
	gap := false
	for _, r := range strings.ToLower(name) {
		if (r < 'a' || r > 'z') && (r < '0' || r > '9') {
			gap = true
			continue
		}
		if gap && b.Len() > 0 {
			b.WriteByte('_')
		}
		gap = false
		b.WriteRune(r)
	}
	return b.String()
}
