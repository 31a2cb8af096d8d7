package v4l2

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

const (
	privacy       = 0x009a0910
	cameraHeading = 0x009a0001
)

func TestAccess(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	held := b.open(t)
	for _, c := range []struct {
		what   string
		do     func()
		denied []uint32
		let    []uint32
	}{
		{"as from the box", func() {}, nil, []uint32{0, 1000, 65534}},
		{"one denied", func() { b.Deny(1000, true) }, []uint32{1000}, []uint32{0, 65534}},
		{"two denied", func() { b.Deny(65534, true) }, []uint32{1000, 65534}, []uint32{0}},
		{"one allowed", func() { b.Deny(1000, false) }, []uint32{65534}, []uint32{0, 1000}},
		{"all denied", func() { b.DenyAll(true) }, []uint32{0, 1000, 65534}, nil},
		{"one excepted", func() { b.Deny(1000, false) }, []uint32{0, 65534}, []uint32{1000}},
		{"through an unplug", func() { b.Unplug(); b.Plug() }, []uint32{0, 65534}, []uint32{1000}},
		{"all allowed", func() { b.DenyAll(false) }, nil, []uint32{0, 1000, 65534}},
	} {
		c.do()
		for _, uid := range slices.Concat(c.denied, c.let) {
			want := unix.Errno(0)
			if slices.Contains(c.denied, uid) {
				want = unix.EACCES
			}
			h, e := b.Open(uid)
			if e != want || b.Allowed(uid) != (want == 0) {
				t.Errorf("%s: Open by %d: %v, allowed %v", c.what, uid, e, b.Allowed(uid))
			}
			if e == 0 {
				h.Release()
			}
		}
		if c.what == "one excepted" { // who has it open keeps it
			if _, e := b.ioctl(t, held, vidiocQuerycap); e != 0 {
				t.Errorf("%s: QUERYCAP of an open handle: %v", c.what, e)
			}
		}
	}
}

// The privacy control is one of a camera class that only the camera changes.
func TestPrivacyControl(t *testing.T) {
	b := newBench(t, Options{Shutter: true})
	defer b.close(t)
	h := b.open(t)
	var ids []uint32
	for id := uint32(0); ; {
		a, e := b.ioctl(t, h, vidiocQueryctrl, id|flagNextCtrl)
		if e != 0 {
			break
		}
		id = u32(a, 0)
		ids = append(ids, id)
	}
	if ids[len(ids)-1] != privacy || !slices.Contains(ids, cameraHeading) || !slices.IsSorted(ids) {
		t.Errorf("controls %#x, want them sorted, privacy last", ids)
	}
	a, e := b.ioctl(t, h, vidiocQueryctrl, privacy)
	if e != 0 || u32(a, 4) != ctrlBoolean || string(a[8:16]) != "Privacy\x00" || u32(a, 44) != 1 || u32(a, 52) != 0 || u32(a, 56) != flagReadOnly {
		t.Errorf("QUERYCTRL: % x, %v", a, e)
	}
	for _, closed := range []bool{true, false, true} {
		if err := b.Shutter(closed); err != nil {
			t.Fatal(err)
		}
		want := int32(0)
		if closed {
			want = 1
		}
		if a, e := b.ioctl(t, h, vidiocGCtrl, privacy); e != 0 || int32(u32(a, 4)) != want {
			t.Errorf("G_CTRL: %d, %v; want %d", u32(a, 4), e, want)
		}
		for _, which := range []uint32{whichCurrent, whichCamera} {
			if got, _, e := b.ext(t, h, vidiocGExtCtrls, which, []uint32{privacy}, []int32{9}); e != 0 || got[0] != want {
				t.Errorf("G_EXT_CTRLS %#x: %v, %v; want %d", which, got, e, want)
			}
		}
		if got, _, e := b.ext(t, h, vidiocGExtCtrls, whichDefault, []uint32{privacy}, []int32{9}); e != 0 || got[0] != 0 {
			t.Errorf("default: %v, %v", got, e)
		}
	}
	if _, e := b.ioctl(t, h, vidiocSCtrl, privacy, 0); e != unix.EACCES {
		t.Errorf("S_CTRL: %v, want EACCES", e)
	}
	for _, cmd := range []uint32{vidiocSExtCtrls, vidiocTryExtCtrls} {
		if _, _, e := b.ext(t, h, cmd, whichCurrent, []uint32{brightness, privacy}, []int32{5, 0}); e != unix.EACCES {
			t.Errorf("%#x: %v, want EACCES", cmd, e)
		}
	}
	// One class at a time where a class is named; a value of another is left alone.
	for which, id := range map[uint32]uint32{whichUser: privacy, whichCamera: brightness} {
		if _, _, e := b.ext(t, h, vidiocGExtCtrls, which, []uint32{id}, []int32{0}); e != unix.EINVAL {
			t.Errorf("control %#x in class %#x: %v", id, which, e)
		}
	}
	if a, _ := b.ioctl(t, h, vidiocGCtrl, brightness); u32(a, 4) != 0 {
		t.Errorf("brightness was set to %d", int32(u32(a, 4)))
	}
	b.Unplug()
	b.Plug()
	if a, _ := b.ioctl(t, b.open(t), vidiocGCtrl, privacy); u32(a, 4) != 1 {
		t.Error("the shutter opened by itself while the camera was unplugged")
	}
}

func TestNoShutter(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	if err := b.Shutter(true); !errors.Is(err, ErrNoShutter) {
		t.Errorf("Shutter: %v", err)
	}
	if _, _, e := b.ext(t, b.open(t), vidiocGExtCtrls, whichCamera, []uint32{privacy}, []int32{0}); e != unix.EINVAL {
		t.Errorf("the control of a shutter that is not there: %v", e)
	}
}

// Behind a closed shutter pictures are black; the counter runs on from its base.
func TestBlackAndBase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{Shutter: true, Base: 5_000_000, FPS: 100})
		defer b.close(t)
		h := b.open(t)
		b.stream(t, h, 32)
		for _, closed := range []bool{false, true, false} {
			if err := b.Shutter(closed); err != nil {
				t.Fatal(err)
			}
			time.Sleep(20 * time.Millisecond)
			synctest.Wait()
		}
		b.w.mu.Lock()
		defer b.w.mu.Unlock()
		if want := []bool{false, false, true, true, false, false}; !slices.Equal(b.w.black, want) {
			t.Errorf("black %v, want %v", b.w.black, want)
		}
		for i, r := range b.w.records {
			if r.Seq != 5_000_000+uint32(i) {
				t.Errorf("frame %d is number %d", i, r.Seq)
			}
		}
		a, e := b.ioctl(t, h, vidiocDqbuf, buf(0)...)
		if e != 0 || u32(a, 56) != 0 || u32(b.mem, 0) != 5_000_000 {
			t.Errorf("V4L2 sequence %d, picture's counter %d, %v", u32(a, 56), u32(b.mem, 0), e)
		}
	})
}

// A bus with room for one: the second STREAMON gives ENOSPC until the first ends.
func TestBus(t *testing.T) {
	var bus Bus
	one, two := newBench(t, Options{Bus: &bus}), newBench(t, Options{Minor: 1, Bus: &bus})
	defer one.close(t)
	defer two.close(t)
	start := func(b bench) (*Handle, unix.Errno) {
		h := b.open(t)
		if _, e := b.ioctl(t, h, vidiocReqbufs, 4, 1, 1); e != 0 {
			t.Fatal(e)
		}
		return h, second(b.ioctl(t, h, vidiocStreamon, typeCapture))
	}
	h, e := start(one)
	if e != 0 {
		t.Fatal(e)
	}
	g, e := start(two)
	if e != unix.ENOSPC || two.Stats().Streaming {
		t.Errorf("second STREAMON: %v", e)
	}
	if e := second(one.ioctl(t, h, vidiocStreamon, typeCapture)); e != 0 {
		t.Errorf("STREAMON of who streams: %v", e)
	}
	h.Release()
	if e := second(two.ioctl(t, g, vidiocStreamon, typeCapture)); e != 0 {
		t.Errorf("STREAMON with room: %v", e)
	}
	two.Unplug()
	if _, e := start(one); e != 0 {
		t.Errorf("STREAMON after the other was unplugged: %v", e)
	}
}

// A bus with room for so many bytes: what needs less still fits.
func TestBusRoom(t *testing.T) {
	bus := Bus{Room: 50_000_000}
	d := [2]*Device{new(Device), new(Device)}
	for i, c := range []struct {
		d    *Device
		need int64
		fits bool
	}{
		{d[0], 50_000_001, false}, {d[0], 30_000_000, true}, {d[0], 40_000_000, true}, {d[1], 10_000_001, false}, {d[1], 10_000_000, true},
	} {
		if got := bus.take(c.d, c.need); got != c.fits {
			t.Errorf("step %d: room for %d: %v", i, c.need, got)
		}
	}
	bus.leave(d[0])
	if !bus.take(d[1], 50_000_000) {
		t.Error("no room after the other has left")
	}
	if none := (*Bus)(nil); !none.take(d[0], 1<<62) {
		t.Error("no bus has no bound")
	}
}
