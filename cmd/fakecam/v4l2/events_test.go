package v4l2

import (
	"testing"

	"golang.org/x/sys/unix"
)

const (
	temperature  = 0x0098091a
	autoExposure = 0x009a0901
	exposure     = 0x009a0902
	focus        = 0x009a090a
	autoFocus    = 0x009a090c
)

func (b bench) flagsOf(t *testing.T, h *Handle, id uint32) uint32 {
	t.Helper()
	a, e := b.ioctl(t, h, vidiocQueryctrl, id)
	x, f := b.ioctl(t, h, vidiocQueryExtCtrl, id)
	if e != 0 || f != 0 || u32(a, 56) != u32(x, 72) {
		t.Fatalf("flags %#x and %#x, %v, %v", u32(a, 56), u32(x, 72), e, f)
	}
	return u32(a, 56)
}

// A control is inactive, and refuses, as long as the camera decides it.
func TestAutomatic(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for _, c := range []struct {
		auto, id     uint32
		manual, from uint32
		value        int32
	}{{balance, temperature, 0, 1, 3000}, {autoExposure, exposure, 1, 3, 77}, {autoFocus, focus, 0, 1, 35}} {
		if f := b.flagsOf(t, h, c.id); f&flagInactive == 0 {
			t.Errorf("%#x has flags %#x on automatic", c.id, f)
		}
		if _, e := b.ioctl(t, h, vidiocSCtrl, c.id, uint32(c.value)); e != unix.EIO {
			t.Errorf("set on automatic: %v", e)
		}
		if _, at, e := b.ext(t, h, vidiocSExtCtrls, 0, []uint32{brightness, c.id}, []int32{9, c.value}); e != unix.EIO || at != 1 {
			t.Errorf("set on automatic: %v at %d", e, at)
		}
		if a, _ := b.ioctl(t, h, vidiocGCtrl, brightness); u32(a, 4) != 0 {
			t.Error("half a change was made")
		}
		if got, _, e := b.ext(t, h, vidiocTryExtCtrls, 0, []uint32{c.id}, []int32{c.value}); e != 0 || got[0] != c.value {
			t.Errorf("try on automatic: %v, %v", got, e)
		}
		// To manual and the value in one.
		if _, _, e := b.ext(t, h, vidiocSExtCtrls, 0, []uint32{c.auto, c.id}, []int32{int32(c.manual), c.value}); e != 0 {
			t.Errorf("to manual: %v", e)
		}
		if a, e := b.ioctl(t, h, vidiocGCtrl, c.id); e != 0 || int32(u32(a, 4)) != c.value || b.flagsOf(t, h, c.id)&flagInactive != 0 {
			t.Errorf("manual: %d, %v", u32(a, 4), e)
		}
		if _, e := b.ioctl(t, h, vidiocSCtrl, c.auto, c.from); e != 0 || b.flagsOf(t, h, c.id)&flagInactive == 0 {
			t.Errorf("back to automatic: %v", e)
		}
	}
}

// Values go to the nearest step; a menu has only what it lists.
func TestSteps(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for _, id := range []uint32{balance, autoFocus} {
		if _, e := b.ioctl(t, h, vidiocSCtrl, id, 0); e != 0 {
			t.Fatal(e)
		}
	}
	for _, c := range []struct {
		id   uint32
		v    int32
		want int32
		e    unix.Errno
	}{
		{temperature, 3004, 3000, 0},
		{temperature, 3005, 3010, 0},
		{temperature, 1, 2800, 0},
		{temperature, 1 << 30, 6500, 0},
		{focus, 248, 250, 0},
		{focus, -1 << 31, 0, 0},
		{autoExposure, 0, 3, unix.EINVAL},
		{autoExposure, 2, 3, unix.EINVAL},
		{autoExposure, 4, 3, unix.ERANGE},
		{autoExposure, 1, 1, 0},
	} {
		_, e := b.ioctl(t, h, vidiocSCtrl, c.id, uint32(c.v))
		a, _ := b.ioctl(t, h, vidiocGCtrl, c.id)
		if e != c.e || int32(u32(a, 4)) != c.want {
			t.Errorf("%+v: %d, %v", c, int32(u32(a, 4)), e)
		}
	}
	for i, want := range []unix.Errno{unix.EINVAL, 0, unix.EINVAL, 0, unix.EINVAL} {
		if _, e := b.ioctl(t, h, vidiocQuerymenu, autoExposure, uint32(i)); e != want {
			t.Errorf("menu item %d: %v, want %v", i, e, want)
		}
	}
}

func TestControlByName(t *testing.T) {
	b := newBench(t, Options{Shutter: true})
	defer b.close(t)
	for name, want := range map[string]ControlValue{
		"zoom_absolute": {100, false}, "white_balance_temperature": {4600, true}, "power_line_frequency": {1, false}, "privacy": {0, false},
	} {
		if got, ok := b.Control(name); !ok || got != want {
			t.Errorf("%s: %+v, %v", name, got, ok)
		}
	}
	for _, name := range []string{"", "Zoom, Absolute", "user_controls", "x"} {
		if v, ok := b.Control(name); ok {
			t.Errorf("%q: %+v", name, v)
		}
	}
}

// subscribe and event are a client of events.
func (b bench) subscribe(t *testing.T, h *Handle, id, flags uint32) unix.Errno {
	t.Helper()
	return second(b.ioctl(t, h, vidiocSubscribeEvent, eventCtrl, id, flags))
}

func (b bench) event(t *testing.T, h *Handle) (id, changes uint32, value int32, pending uint32, e unix.Errno) {
	t.Helper()
	a, e := b.ioctl(t, h, vidiocDqevent)
	return u32(a, 96), u32(a, 8), int32(u32(a, 16)), u32(a, 72), e
}

// Events: the first on demand, newer ones in the older's place, none of one's own
// changes but of flags.
func TestEvents(t *testing.T) {
	b := newBench(t, Options{Shutter: true})
	defer b.close(t)
	h, g := b.open(t), b.open(t)
	b.w.nonblock = true
	if e := b.subscribe(t, h, 1, 0); e != unix.EINVAL {
		t.Errorf("a control that is not there: %v", e)
	}
	if e := second(b.ioctl(t, h, vidiocSubscribeEvent, 2, brightness)); e != unix.EINVAL {
		t.Errorf("end of stream: %v", e)
	}
	if e := b.subscribe(t, h, heading, eventSendInitial); e != 0 {
		t.Error(e)
	}
	if _, _, _, _, e := b.event(t, h); e != unix.ENOENT || h.Poll(1, unix.POLLPRI, false) != 0 {
		t.Errorf("no event yet: %v", e)
	}
	b.subscribe(t, h, brightness, eventSendInitial)
	b.subscribe(t, h, privacy, 0)
	b.subscribe(t, g, brightness, 0)
	b.subscribe(t, g, temperature, 0)
	if h.Poll(1, unix.POLLPRI, false) != unix.POLLPRI {
		t.Error("poll does not see the event")
	}
	if id, ch, v, more, e := b.event(t, h); e != 0 || id != brightness || ch != changedValue|changedFlags || v != 0 || more != 0 {
		t.Errorf("initial: %#x %#x %d %d, %v", id, ch, v, more, e)
	}
	for _, v := range []uint32{3, 4} {
		b.ioctl(t, g, vidiocSCtrl, brightness, v)
	}
	if err := b.Shutter(true); err != nil {
		t.Fatal(err)
	}
	if id, ch, v, more, e := b.event(t, h); e != 0 || id != brightness || ch != changedValue || v != 4 || more != 1 {
		t.Errorf("merged: %#x %#x %d %d, %v", id, ch, v, more, e)
	}
	if id, _, v, _, e := b.event(t, h); e != 0 || id != privacy || v != 1 {
		t.Errorf("shutter: %#x %d, %v", id, v, e)
	}
	b.ioctl(t, g, vidiocSCtrl, balance, 0)
	if id, ch, _, _, e := b.event(t, g); e != 0 || id != temperature || ch != changedFlags {
		t.Errorf("flags of what was set free: %#x %#x, %v; its own change is no news", id, ch, e)
	}
}

// A DQEVENT that waits: for an event, until a signal, or until the camera goes.
func TestBlockingDqevent(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h, g := b.open(t), b.open(t)
	b.subscribe(t, h, brightness, 0)
	waits, killed := b.start(h, 7, vidiocDqevent), b.start(h, 8, vidiocDqevent)
	b.Interrupt(8)
	if r := <-killed.done; r != -erestartsys {
		t.Errorf("interrupted: %d", r)
	}
	b.ioctl(t, g, vidiocSCtrl, brightness, 9)
	if r := <-waits.done; r != 0 || int32(u32(waits.arg, 16)) != 9 {
		t.Errorf("waited for %d, %d", int32(u32(waits.arg, 16)), r)
	}
	b.ioctl(t, h, vidiocUnsubscribeEvent, eventCtrl, brightness)
	b.ioctl(t, g, vidiocUnsubscribeEvent, eventAll)
	waits = b.start(h, 9, vidiocDqevent)
	b.ioctl(t, g, vidiocSCtrl, brightness, 10)
	if b.Unplug(); <-waits.done != -int32(unix.ENODEV) {
		t.Error("unplugged while waiting for an event")
	}
}
