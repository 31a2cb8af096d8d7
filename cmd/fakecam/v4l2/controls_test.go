package v4l2

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

const (
	brightness = 0x00980900
	balance    = 0x0098090c
	powerLine  = 0x00980918
	heading    = 0x00980001
)

func TestQueryctrl(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for _, cmd := range []uint32{vidiocQueryctrl, vidiocQueryExtCtrl} {
		got, id := "", uint32(0)
		for {
			a, e := b.ioctl(t, h, cmd, id|flagNextCtrl)
			if e != 0 {
				break
			}
			id = u32(a, 0)
			got += fmt.Sprintf("%x:%d ", id, u32(a, 4))
		}
		if want := "980001:6 980900:1 980901:1 980902:1 98090c:2 980913:1 980918:3 98091a:1 98091b:1 98091c:1 " +
			"9a0001:6 9a0901:3 9a0902:1 9a0903:2 9a090a:1 9a090c:2 9a090d:1 "; got != want {
			t.Errorf("%#x lists %s, want %s", cmd, got, want)
		}
		if _, e := b.ioctl(t, h, cmd, 0x009a0910); e != unix.EINVAL {
			t.Errorf("a control that is not there: %v", e)
		}
		if _, e := b.ioctl(t, h, cmd, flagNextAny&^flagNextCtrl); e != unix.EINVAL {
			t.Errorf("compound controls: %v", e)
		}
	}
	a, _ := b.ioctl(t, h, vidiocQueryctrl, brightness)
	if string(a[8:18]) != "Brightness" || int32(u32(a, 40)) != -64 || u32(a, 44) != 64 || u32(a, 48) != 1 || u32(a, 56) != 0 {
		t.Errorf("brightness: %q %d to %d", a[8:40], int32(u32(a, 40)), u32(a, 44))
	}
	a, _ = b.ioctl(t, h, vidiocQueryExtCtrl, brightness)
	if int64(u64(a, 40)) != -64 || u64(a, 48) != 64 || u32(a, 76) != 4 || u32(a, 80) != 1 {
		t.Errorf("brightness: %d to %d, %d bytes", int64(u64(a, 40)), u64(a, 48), u32(a, 76))
	}
}

func TestQuerymenu(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for i, want := range []string{"Disabled", "50 Hz", "60 Hz"} {
		if a, e := b.ioctl(t, h, vidiocQuerymenu, powerLine, uint32(i)); e != 0 || string(a[8:8+len(want)]) != want {
			t.Errorf("item %d: %q, %v", i, a[8:40], e)
		}
	}
	for _, c := range [][2]uint32{{powerLine, 3}, {brightness, 0}, {1, 0}} {
		if _, e := b.ioctl(t, h, vidiocQuerymenu, c[0], c[1]); e != unix.EINVAL {
			t.Errorf("%v: %v", c, e)
		}
	}
}

func TestCtrl(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for _, c := range []struct {
		id      uint32
		v, want int32
		e       unix.Errno
	}{
		{brightness, -10, -10, 0},
		{brightness, 1000, 64, 0},
		{balance, 7, 1, 0},
		{powerLine, 2, 2, 0},
		{powerLine, 3, 2, unix.ERANGE},
		{heading, 0, 0, unix.EACCES},
		{0x009a0910, 0, 0, unix.EINVAL},
	} {
		if _, e := b.ioctl(t, h, vidiocSCtrl, c.id, uint32(c.v)); e != c.e {
			t.Errorf("set %+v: %v", c, e)
		}
		a, e := b.ioctl(t, h, vidiocGCtrl, c.id)
		if c.e == 0 && (e != 0 || int32(u32(a, 4)) != c.want) || c.e == unix.EINVAL && e != unix.EINVAL {
			t.Errorf("get %+v: %d, %v", c, int32(u32(a, 4)), e)
		}
	}
	b.Unplug() // settings are those of the box after a plug
	b.Plug()
	if a, _ := b.ioctl(t, b.open(t), vidiocGCtrl, brightness); u32(a, 4) != 0 {
		t.Errorf("brightness after a plug: %d", int32(u32(a, 4)))
	}
}

// ext makes struct v4l2_ext_controls for controls that lie in the client's memory.
func (b bench) ext(t *testing.T, h *Handle, cmd, which uint32, ids []uint32, vals []int32) ([]int32, uint32, unix.Errno) {
	t.Helper()
	for i, id := range ids {
		e := b.w.mem[extCtrlSize*i:]
		put(e, id, 0, 0, uint32(vals[i]))
	}
	a, e := b.ioctl(t, h, cmd, which, uint32(len(ids)), 0, 0, 0, 0, base, 0)
	out := make([]int32, len(ids))
	for i := range out {
		out[i] = int32(u32(b.w.mem[extCtrlSize*i:], 12))
	}
	return out, u32(a, 8), e
}

func TestExtCtrls(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	two := []uint32{brightness, powerLine}
	if got, _, e := b.ext(t, h, vidiocTryExtCtrls, whichCurrent, two, []int32{500, 2}); e != 0 || got[0] != 64 || got[1] != 2 {
		t.Errorf("try: %v, %v", got, e)
	}
	if got, _, e := b.ext(t, h, vidiocGExtCtrls, whichUser, two, []int32{9, 9}); e != 0 || got[0] != 0 || got[1] != 1 {
		t.Errorf("try has set: %v, %v", got, e)
	}
	if got, _, e := b.ext(t, h, vidiocSExtCtrls, whichUser, two, []int32{-3, 0}); e != 0 || got[0] != -3 {
		t.Errorf("set: %v, %v", got, e)
	}
	if got, _, e := b.ext(t, h, vidiocGExtCtrls, whichCurrent, two, []int32{9, 9}); e != 0 || got[0] != -3 || got[1] != 0 {
		t.Errorf("get: %v, %v", got, e)
	}
	if got, _, e := b.ext(t, h, vidiocGExtCtrls, whichDefault, two, []int32{9, 9}); e != 0 || got[0] != 0 || got[1] != 1 {
		t.Errorf("defaults: %v, %v", got, e)
	}
	// All or nothing: the second is out of range, so the first is not set either.
	if _, at, e := b.ext(t, h, vidiocSExtCtrls, whichCurrent, two, []int32{7, 9}); e != unix.ERANGE || at != 2 {
		t.Errorf("set out of range: error at %d, %v", at, e)
	}
	if _, at, e := b.ext(t, h, vidiocTryExtCtrls, whichCurrent, two, []int32{7, 9}); e != unix.ERANGE || at != 1 {
		t.Errorf("try out of range: error at %d, %v", at, e)
	}
	if got, _, _ := b.ext(t, h, vidiocGExtCtrls, whichCurrent, two, []int32{9, 9}); got[0] != -3 {
		t.Errorf("half a change was made: %v", got)
	}
}

func TestExtCtrlsErrors(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for name, c := range map[string]struct {
		cmd   uint32
		words []uint32
		want  unix.Errno
	}{
		"nothing":       {vidiocGExtCtrls, []uint32{whichUser, 0}, 0},
		"too many":      {vidiocGExtCtrls, []uint32{whichUser, 65, 0, 0, 0, 0, base}, unix.EINVAL},
		"class unknown": {vidiocGExtCtrls, []uint32{0x00990000, 0}, unix.EINVAL},
		"set defaults":  {vidiocSExtCtrls, []uint32{whichDefault, 1, 0, 0, 0, 0, base}, unix.EINVAL},
		"bad address":   {vidiocGExtCtrls, []uint32{whichUser, 1, 0, 0, 0, 0, 16}, unix.EFAULT},
	} {
		if _, e := b.ioctl(t, h, c.cmd, c.words...); e != c.want {
			t.Errorf("%s: %v, want %v", name, e, c.want)
		}
	}
	if _, _, e := b.ext(t, h, vidiocGExtCtrls, whichCurrent, []uint32{heading}, []int32{0}); e != unix.EACCES {
		t.Errorf("value of a heading: %v", e)
	}
	if _, _, e := b.ext(t, h, vidiocGExtCtrls, whichCurrent, []uint32{1}, []int32{0}); e != unix.EINVAL {
		t.Errorf("unknown control: %v", e)
	}
}
