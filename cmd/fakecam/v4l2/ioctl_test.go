package v4l2

import (
	"fmt"
	"testing"

	"golang.org/x/sys/unix"
)

func TestFormats(t *testing.T) {
	for only, want := range map[Only]string{
		OnlyAll:   "YUYV[320x240 640x480 1280x720] MJPG[640x480 1280x720 1920x1080]",
		OnlyMJPEG: "YUYV[320x240 640x480] MJPG[640x480 1280x720 1920x1080]",
		OnlyYUYV:  "YUYV[320x240 640x480 1280x720]",
	} {
		b := newBench(t, Options{Only: only})
		h, got := b.open(t), ""
		for i := uint32(0); ; i++ {
			a, e := b.ioctl(t, h, vidiocEnumFmt, i, typeCapture)
			if e != 0 {
				break
			}
			pix := u32(a, 44)
			if i > 0 {
				got += " "
			}
			got += string(a[44:48]) + "["
			for j := uint32(0); ; j++ {
				a, e := b.ioctl(t, h, vidiocEnumFramesizes, j, pix)
				if e != 0 {
					break
				}
				if j > 0 {
					got += " "
				}
				w, h2 := u32(a, 12), u32(a, 16)
				got += fmt.Sprintf("%dx%d", w, h2)
				for k, rate := range []uint32{30, 15, 0} {
					a, e := b.ioctl(t, h, vidiocEnumFrameivals, uint32(k), pix, w, h2)
					if rate != 0 && (e != 0 || u32(a, 20) != 1 || u32(a, 24) != rate) || rate == 0 && e != unix.EINVAL {
						t.Errorf("interval %d: %d/%d, %v", k, u32(a, 20), u32(a, 24), e)
					}
				}
			}
			got += "]"
		}
		if got != want {
			t.Errorf("%q offers %s, want %s", only, got, want)
		}
		b.close(t)
	}
}

func TestSetFormat(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for _, c := range []struct{ pix, w, h, gotPix, gotW, gotH, stride, bytes uint32 }{
		{PixYUYV, 1280, 720, PixYUYV, 1280, 720, 2560, 1843200},
		{PixMJPG, 1920, 1080, PixMJPG, 1920, 1080, 0, 2073600},
		{PixYUYV, 4000, 4000, PixYUYV, 1280, 720, 2560, 1843200},
		{PixMJPG, 0, 0, PixMJPG, 640, 480, 0, 307200},
		{0x34363248 /* H264 */, 700, 500, PixYUYV, 640, 480, 1280, 614400},
	} {
		for _, cmd := range []uint32{vidiocTryFmt, vidiocSFmt, vidiocGFmt} {
			a, e := b.ioctl(t, h, cmd, typeCapture, 0, c.w, c.h, c.pix)
			got := [5]uint32{u32(a, 16), u32(a, 8), u32(a, 12), u32(a, 24), u32(a, 28)}
			if want := [5]uint32{c.gotPix, c.gotW, c.gotH, c.stride, c.bytes}; e != 0 || got != want {
				t.Errorf("%#x: %v, %v; want %v", cmd, got, e, want)
			}
		}
	}
	if _, e := b.ioctl(t, h, vidiocSFmt, 9); e != unix.EINVAL {
		t.Errorf("format of another buffer type: %v", e)
	}
	b.stream(t, h, 2)
	if _, e := b.ioctl(t, h, vidiocSFmt, typeCapture, 0, 640, 480, PixYUYV); e != unix.EBUSY {
		t.Errorf("format while streaming: %v", e)
	}
}

func TestParm(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for _, c := range []struct{ num, den, want uint32 }{{1, 15, 15}, {1, 30, 30}, {1, 10, 15}, {1, 1000, 30}, {2, 30, 15}, {0, 0, 30}, {1001, 30000, 30}} {
		a, e := b.ioctl(t, h, vidiocSParm, typeCapture, 0, 0, c.num, c.den)
		if e != 0 || u32(a, 12) != 1 || u32(a, 16) != c.want {
			t.Errorf("asked for %d/%d: %d/%d, %v", c.num, c.den, u32(a, 12), u32(a, 16), e)
		}
		if a, e := b.ioctl(t, h, vidiocGParm, typeCapture); e != 0 || u32(a, 16) != c.want {
			t.Errorf("then got 1/%d, %v", u32(a, 16), e)
		}
	}
	if _, e := b.ioctl(t, h, vidiocGParm, 9); e != unix.EINVAL {
		t.Errorf("parm of another buffer type: %v", e)
	}
}

func TestInputAndPriority(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h, g := b.open(t), b.open(t)
	if a, e := b.ioctl(t, h, vidiocEnumInput, 0); e != 0 || string(a[4:12]) != "Camera 1" || u32(a, 36) != 2 {
		t.Errorf("ENUMINPUT: %q, %v", a[:40], e)
	}
	for _, cmd := range []uint32{vidiocEnumInput, vidiocSInput} {
		if _, e := b.ioctl(t, h, cmd, 1); e != unix.EINVAL {
			t.Errorf("%#x of a second input: %v", cmd, e)
		}
	}
	if a, e := b.ioctl(t, h, vidiocGInput); e != 0 || u32(a, 0) != 0 {
		t.Errorf("G_INPUT: %d, %v", u32(a, 0), e)
	}
	if _, e := b.ioctl(t, h, vidiocSPriority, 3); e != 0 {
		t.Errorf("S_PRIORITY: %v", e)
	}
	if a, _ := b.ioctl(t, g, vidiocGPriority); u32(a, 0) != 3 {
		t.Errorf("G_PRIORITY: %d", u32(a, 0))
	}
	if _, e := b.ioctl(t, g, vidiocSCtrl, 0x00980900, 5); e != unix.EBUSY {
		t.Errorf("a change from below: %v, want EBUSY", e)
	}
	h.Release()
	if _, e := b.ioctl(t, g, vidiocSCtrl, 0x00980900, 5); e != 0 {
		t.Errorf("a change after the other has closed: %v", e)
	}
	if _, e := b.ioctl(t, g, vidiocSPriority, 9); e != unix.EINVAL {
		t.Errorf("priority 9: %v", e)
	}
}

func TestBuffers(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h, g := b.open(t), b.open(t)
	for _, c := range []struct{ count, typ, memory, got uint32 }{{1, 1, 1, 2}, {4, 1, 1, 4}, {500, 1, 1, maxBufs}, {0, 1, 1, 0}} {
		if a, e := b.ioctl(t, h, vidiocReqbufs, c.count, c.typ, c.memory); e != 0 || u32(a, 0) != c.got || u32(a, 12) != 0x11 {
			t.Errorf("%+v: %d, capabilities %#x, %v", c, u32(a, 0), u32(a, 12), e)
		}
	}
	for _, c := range [][2]uint32{{1, 2}, {1, 4}, {9, 1}} { // user pointers, dmabuf, multi-planar
		if _, e := b.ioctl(t, h, vidiocReqbufs, 4, c[0], c[1]); e != unix.EINVAL {
			t.Errorf("REQBUFS %v: %v", c, e)
		}
	}
	for name, e := range map[string]unix.Errno{
		"QBUF":     second(b.ioctl(t, h, vidiocQbuf, buf(0)...)),
		"QUERYBUF": second(b.ioctl(t, h, vidiocQuerybuf, buf(0)...)),
		"DQBUF":    second(b.ioctl(t, h, vidiocDqbuf, buf(0)...)),
		"STREAMON": second(b.ioctl(t, h, vidiocStreamon, typeCapture)),
	} {
		if e != unix.EINVAL {
			t.Errorf("%s without buffers: %v, want EINVAL", name, e)
		}
	}
	b.stream(t, h, 4)
	for name, e := range map[string]unix.Errno{
		"REQBUFS":  second(b.ioctl(t, g, vidiocReqbufs, 2, 1, 1)),
		"QBUF":     second(b.ioctl(t, g, vidiocQbuf, buf(0)...)),
		"DQBUF":    second(b.ioctl(t, g, vidiocDqbuf, buf(0)...)),
		"STREAMON": second(b.ioctl(t, g, vidiocStreamon, typeCapture)),
		"own":      second(b.ioctl(t, h, vidiocReqbufs, 2, 1, 1)),
	} {
		if e != unix.EBUSY {
			t.Errorf("%s of a second user: %v, want EBUSY", name, e)
		}
	}
	if _, e := b.ioctl(t, h, vidiocQbuf, buf(0)...); e != unix.EINVAL {
		t.Errorf("QBUF twice: %v", e)
	}
	if a, e := b.ioctl(t, g, vidiocQuerybuf, buf(3)...); e != 0 || u32(a, 64) != 3*614400 || u32(a, 72) != 614400 || u32(a, 12) != bufTSMono|bufQueued {
		t.Errorf("QUERYBUF: offset %d, length %d, flags %#x, %v", u32(a, 64), u32(a, 72), u32(a, 12), e)
	}
	h.Release() // gives everything back
	b.stream(t, g, 2)
}

func second[A, B any](_ A, b B) B { return b }
