package capture

import (
	"image"
	"runtime"
	"sync"
	"testing"
	"time"
	"unsafe"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var _ image.Image = (*Frame)(nil)

func TestFramePlanes(t *testing.T) {
	for _, c := range []struct{ w, h, ys, cs int }{
		{1, 1, 64, 64},
		{2, 2, 64, 64},
		{64, 48, 64, 64},
		{65, 47, 128, 64},
		{320, 240, 320, 192},
		{640, 480, 640, 320},
		{1280, 720, 1280, 640},
		{1920, 1080, 1920, 960},
		{129, 3, 192, 128},
	} {
		f := NewPool(c.w, c.h).Get()
		ch := (c.h + 1) / 2
		if f.Rect != image.Rect(0, 0, c.w, c.h) || f.SubsampleRatio != image.YCbCrSubsampleRatio420 {
			t.Errorf("%dx%d: rect %v, ratio %v", c.w, c.h, f.Rect, f.SubsampleRatio)
		}
		if f.YStride != c.ys || f.CStride != c.cs {
			t.Errorf("%dx%d: strides %d %d, want %d %d", c.w, c.h, f.YStride, f.CStride, c.ys, c.cs)
		}
		if len(f.Y) != c.ys*c.h || len(f.Cb) != c.cs*ch || len(f.Cr) != c.cs*ch {
			t.Errorf("%dx%d: planes of %d %d %d bytes", c.w, c.h, len(f.Y), len(f.Cb), len(f.Cr))
		}
		for name, p := range map[string][]byte{"Y": f.Y, "Cb": f.Cb, "Cr": f.Cr} {
			if a := uintptr(unsafe.Pointer(&p[0])); a%planeAlign != 0 {
				t.Errorf("%dx%d: plane %s starts at %#x", c.w, c.h, name, a)
			}
			if cap(p) != len(p) {
				t.Errorf("%dx%d: plane %s reaches into the next", c.w, c.h, name)
			}
		}
		f.Y[f.YOffset(c.w-1, c.h-1)] = 99
		if got := f.YCbCrAt(c.w-1, c.h-1).Y; got != 99 {
			t.Errorf("%dx%d: last pixel reads %d", c.w, c.h, got)
		}
	}
}

func TestPoolSizesOutsideAreBugs(t *testing.T) {
	for _, c := range [][2]int{{0, 1}, {1, 0}, {-1, 5}, {MaxSide + 1, 5}, {5, MaxSide + 1}} {
		if !panics(func() { NewPool(c[0], c[1]) }) {
			t.Errorf("a pool of %v was made", c)
		}
	}
	if w, h := NewPool(MaxSide, 2).Size(); w != MaxSide || h != 2 {
		t.Errorf("size %dx%d", w, h)
	}
}

func TestReleaseGivesTheFrameBack(t *testing.T) {
	p := NewPool(64, 48)
	f := p.Get()
	f.Seq, f.Time = 7, time.Now()
	f.Retain()
	f.Release()
	if g := p.Get(); g == f {
		t.Fatal("a frame that is still held was handed out again")
	}
	f.Release()
	g := p.Get()
	if g != f {
		t.Fatal("the released frame was not used again")
	}
	if g.Seq != 0 || !g.Time.IsZero() {
		t.Errorf("used again with sequence %d, time %v", g.Seq, g.Time)
	}
}

func TestOneReleaseTooManyIsFound(t *testing.T) {
	f := NewPool(16, 16).Get()
	f.Release()
	if !panics(f.Release) {
		t.Error("a second Release went unnoticed")
	}
	g := NewPool(16, 16).Get()
	g.Release()
	if !panics(g.Retain) {
		t.Error("Retain of a released frame went unnoticed")
	}
	s := Slate(64, 48, nil)
	s.Release()
	if !panics(s.Release) {
		t.Error("a second Release of a frame without a pool went unnoticed")
	}
}

func panics(f func()) (yes bool) {
	defer func() { yes = recover() != nil }()
	f()
	return false
}

func TestPoolKeepsABoundedNumber(t *testing.T) {
	p := NewPool(16, 16)
	var held []*Frame
	for range 3 * maxIdle {
		held = append(held, p.Get())
	}
	for _, f := range held {
		f.Release()
	}
	if n := len(p.idle); n != maxIdle {
		t.Errorf("%d idle frames kept, want %d", n, maxIdle)
	}
}

func TestNoAllocationInSteadyState(t *testing.T) {
	p := NewPool(1280, 720)
	var o Fanout
	a, b := o.Add(), o.Add()
	defer o.Remove(a)
	defer o.Remove(b)
	p.Get().Release()
	step := func() {
		o.Put(p.Get())
		f, err := a.Get(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		f.Release()
	}
	step()
	step()
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%v allocations a frame", n)
	}
}

// TestFramesUnderRace has many holders; the race detector watches the planes.
func TestFramesUnderRace(t *testing.T) {
	p := NewPool(64, 16)
	var wg sync.WaitGroup
	for i := range 200 {
		f := p.Get()
		for j := range f.Y {
			f.Y[j] = byte(i)
		}
		for range 3 {
			f.Retain()
			wg.Go(func() {
				defer f.Release()
				runtime.Gosched()
				for _, v := range f.Y {
					if v != byte(i) {
						t.Errorf("frame %d reads %d: it was used again while held", i, v)
						return
					}
				}
			})
		}
		f.Release()
	}
	wg.Wait()
}

func BenchmarkFanout(b *testing.B) {
	p := NewPool(1280, 720)
	var o Fanout
	box := o.Add()
	defer o.Remove(box)
	b.ReportAllocs()
	for b.Loop() {
		o.Put(p.Get())
	}
}
