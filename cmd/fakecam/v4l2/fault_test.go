package v4l2

import (
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/sys/unix"
)

// Bursts on a grid: no point before its forerunner, the mean rate kept, and the
// way of arrival changed between groups only.
func TestGrid(t *testing.T) {
	start := time.Unix(0, 0)
	g := grid{start: start, period: 100 * time.Millisecond, k: 1}
	var at []int64
	for i := range 20 {
		at = append(at, g.due().Sub(start).Milliseconds())
		if missed := g.pass(g.due(), i >= 2 && i < 12); missed != 0 {
			t.Errorf("%d missed in time", missed)
		}
	}
	want := []int64{100, 200, 300, 400, 900, 912, 925, 937, 950, 1400, 1412, 1425, 1437, 1450, 1500, 1600, 1700, 1800, 1900, 2000}
	if !slices.Equal(at, want) {
		t.Errorf("due at %v, want %v", at, want)
	}
	if missed := g.pass(start.Add(2350*time.Millisecond), false); missed != 2 || g.due().Sub(start) != 2400*time.Millisecond {
		t.Errorf("%d missed, then due at %v", missed, g.due().Sub(start))
	}
}

func TestFaultNames(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	if b.SetFault("dance", true) {
		t.Error("a fault that there is not was begun")
	}
	for _, f := range Faults() {
		if !b.SetFault(f, true) || !b.faulty(f) || !b.SetFault(f, false) || b.faulty(f) {
			t.Errorf("%s is not switched", f)
		}
	}
}

// What DQBUF says of a frame in each fault, of pictures of 4 bytes.
func TestSpoiledFrames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{FPS: 100})
		defer b.close(t)
		h := b.open(t)
		b.stream(t, h, 2)
		length := uint32(614400)
		for _, c := range []struct {
			fault Fault
			used  uint32
			count func(FaultStats) uint64
		}{
			{Garbage, 4, func(s FaultStats) uint64 { return s.Garbage }},
			{Short, 2, func(s FaultStats) uint64 { return s.Short }},
			{Oversize, 2 * length, func(s FaultStats) uint64 { return s.Oversize }},
			{WrongSize, 4, func(s FaultStats) uint64 { return s.WrongSize }},
		} {
			b.SetFault(c.fault, true)
			time.Sleep(10 * time.Millisecond)
			synctest.Wait()
			a, e := b.ioctl(t, h, vidiocDqbuf, buf(0)...)
			if e != 0 || u32(a, 8) != c.used || c.count(b.Stats().Faults) != 1 {
				t.Errorf("%s: %d bytes, %v, counted %+v", c.fault, u32(a, 8), e, b.Stats().Faults)
			}
			b.SetFault(c.fault, false)
			b.ioctl(t, h, vidiocQbuf, buf(u32(a, 0))...)
		}
	})
}

func TestNoise(t *testing.T) {
	for seed := range uint32(2000) {
		b := make([]byte, 13)
		noise(b, seed)
		if b[0] == 0xff {
			t.Fatalf("seed %d begins as a JPEG", seed)
		}
	}
	a, b := make([]byte, 64), make([]byte, 64)
	noise(a, 1)
	noise(b, 2)
	if slices.Equal(a, b) || slices.Equal(a[:8], a[8:16]) {
		t.Error("noise repeats")
	}
	noise(nil, 1)
}

// Requests wait for the end of a hang, in their order; who gives up leaves nothing.
func TestHang(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{FPS: 100})
		defer b.close(t)
		h := b.open(t)
		b.stream(t, h, 4)
		waits := b.start(h, 5, vidiocDqbuf, buf(0)...)
		b.Hang(100 * time.Millisecond)
		since := time.Now()
		asked := b.start(h, 6, vidiocQuerycap)
		killed := b.start(h, 7, vidiocQuerycap)
		late, gaveUp, lost := &opener{id: 8}, &opener{id: 9}, &opener{id: 10, lost: true}
		for _, o := range []*opener{late, gaveUp, lost} {
			b.Device.Open(o)
		}
		b.Interrupt(7)
		b.Interrupt(9)
		if r := <-killed.done; r != -erestartsys || !gaveUp.answered() || gaveUp.e != unix.EINTR {
			t.Errorf("interrupted: ioctl %d, open %v", r, gaveUp.e)
		}
		time.Sleep(99 * time.Millisecond)
		synctest.Wait()
		if len(asked.done) != 0 || len(waits.done) != 0 || late.answered() {
			t.Error("the driver answered in its hang")
		}
		if r := <-asked.done; r != 0 || time.Since(since) != 100*time.Millisecond {
			t.Errorf("answered %d after %v", r, time.Since(since))
		}
		synctest.Wait()
		if r := <-waits.done; r != 0 || !late.answered() || late.e != 0 || !lost.answered() {
			t.Errorf("DQBUF %d, open %v", r, late.e)
		}
		if s := b.Stats(); s.Openers != 2 || s.Faults.Hung != 5 {
			t.Errorf("%+v: want the first and the late one, and five that hung", s)
		}
		late.h.Release()
	})
}

// A hang ends by a new one, by 0, by a plug and by Close; no timer outlives it.
func TestHangEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		h := b.open(t)
		for what, end := range map[string]func(){
			"0":     func() { b.Hang(0) },
			"again": func() { b.Hang(time.Hour) },
			"plug":  func() { b.Unplug(); b.Plug() },
		} {
			b.Hang(time.Hour)
			c := b.start(h, 1, vidiocQuerycap)
			end()
			if len(c.done) != 1 {
				t.Errorf("%s: not answered", what)
			}
		}
		b.Hang(time.Hour)
		c := b.start(h, 1, vidiocQuerycap)
		b.close(t)
		if r := <-c.done; r != -int32(unix.ENODEV) {
			t.Errorf("closed while hanging: %d", r)
		}
	})
}

// Revoked rights: every open handle is dead for good, opens are refused until it is over.
func TestRevoke(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	b.stream(t, h, 2)
	b.SetFault(Revoke, true)
	if _, e := b.ioctl(t, h, vidiocQuerycap); e != unix.ENODEV || h.Poll(1, allEvents, false) != unix.POLLERR|unix.POLLHUP {
		t.Errorf("an open handle: %v", e)
	}
	if _, e := b.Open(0); e != unix.EACCES || b.Allowed(0) || !b.Present() {
		t.Errorf("open: %v, allowed %v, present %v", e, b.Allowed(0), b.Present())
	}
	b.SetFault(Revoke, true) // twice is once
	if s := b.Stats(); s.Openers != 1 || s.Streaming || s.Faults.Revoked != 2 {
		t.Errorf("%+v", s)
	}
	b.SetFault(Revoke, false)
	g, e := b.Open(0)
	if e != 0 {
		t.Fatal(e)
	}
	if _, e := b.ioctl(t, h, vidiocQuerycap); e != unix.ENODEV {
		t.Errorf("the old handle: %v", e)
	}
	b.stream(t, g, 2)
}

// The metadata node by itself.
func TestMeta(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h, e := b.Meta().Open(0)
	if e != 0 {
		t.Fatal(e)
	}
	ask := func(cmd uint32, words ...uint32) ([]byte, unix.Errno) {
		c := &call{w: b.w, cmd: cmd, arg: make([]byte, size(cmd)), done: make(chan int32, 1)}
		put(c.arg, words...)
		h.Ioctl(c)
		return c.arg, unix.Errno(-<-c.done)
	}
	if a, e := ask(vidiocQuerycap); e != 0 || u32(a, 84)&capCapture == 0 || u32(a, 88)&(capCapture|capMeta) != capMeta {
		t.Errorf("QUERYCAP: %#x %#x, %v", u32(a, 84), u32(a, 88), e)
	}
	if a, e := ask(vidiocEnumFmt, 0, typeMeta); e != 0 || string(a[44:48]) != "UVCH" {
		t.Errorf("ENUM_FMT: %q, %v", a[44:48], e)
	}
	if a, e := ask(vidiocGFmt, typeMeta); e != 0 || u32(a, 8) != pixUVCH {
		t.Errorf("G_FMT: %v", e)
	}
	for _, cmd := range []uint32{vidiocEnumFmt, vidiocGFmt} {
		if _, e := ask(cmd, 0, typeCapture); e != unix.EINVAL {
			t.Errorf("%#x of pictures: %v", cmd, e)
		}
	}
	if _, e := ask(vidiocReqbufs, 4, typeMeta, memoryMMAP); e != unix.ENOTTY {
		t.Errorf("REQBUFS: %v", e)
	}
	b.Unplug()
	if _, e := ask(vidiocQuerycap); e != unix.ENODEV {
		t.Errorf("unplugged: %v", e)
	}
	if _, e := b.Meta().Open(0); e != unix.ENODEV {
		t.Errorf("open unplugged: %v", e)
	}
	h.Release()
}
