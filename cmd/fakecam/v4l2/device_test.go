package v4l2

import (
	"errors"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/blocks"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world stands for kernel and client: it keeps what a camera tells, and memory
// that ext control arrays lie in.
type world struct {
	mu       sync.Mutex
	woken    []uint64
	stored   []int64
	records  []Record
	fail     error // of the painter
	nonblock bool
	black    []bool // what the painter was told before each frame
	mem      []byte // the client's memory, at address 0x1000
}

func (w *world) Wake(key uint64) { w.mu.Lock(); defer w.mu.Unlock(); w.woken = append(w.woken, key) }

func (w *world) Store(off int64, data []byte) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.stored = append(w.stored, off)
}

func (w *world) paint(dst []byte, c blocks.Code) (int, error) {
	put(dst, c.Counter)
	return 4, w.fail
}

func (w *world) YUYV(dst []byte, _, _ int, c blocks.Code) (int, error)  { return w.paint(dst, c) }
func (w *world) MJPEG(dst []byte, _, _ int, c blocks.Code) (int, error) { return w.paint(dst, c) }

func (w *world) Black(on bool) { w.mu.Lock(); defer w.mu.Unlock(); w.black = append(w.black, on) }

func (w *world) record(r Record) { w.mu.Lock(); defer w.mu.Unlock(); w.records = append(w.records, r) }

const allEvents = 0xffffffff

// call is an ioctl; done holds its result.
type call struct {
	w    *world
	id   uint64
	cmd  uint32
	arg  []byte
	done chan int32
}

func (c *call) ID() uint64         { return c.id }
func (c *call) Cmd() uint32        { return c.cmd }
func (c *call) Arg() []byte        { return c.arg }
func (c *call) Nonblock() bool     { return c.w.nonblock }
func (c *call) Reply(result int32) { c.done <- result }

const base = 0x1000

func (c *call) place(addr uint64, n int) []byte {
	if addr < base || addr+uint64(n) > base+uint64(len(c.w.mem)) {
		return nil
	}
	return c.w.mem[addr-base:][:n]
}

func (c *call) Peek(addr uint64, b []byte) bool {
	m := c.place(addr, len(b))
	return m != nil && copy(b, m) == len(b)
}

func (c *call) Poke(addr uint64, b []byte) bool {
	m := c.place(addr, len(b))
	return m != nil && copy(m, b) == len(b)
}

type bench struct {
	*Device
	w *world
}

func newBench(t *testing.T, o Options) bench {
	t.Helper()
	w := &world{mem: make([]byte, 4096)}
	o.Painter, o.Kernel, o.Record, o.Log = w, w, w.record, slog.New(slog.DiscardHandler)
	if o.Card == "" {
		o.Card = "Test"
	}
	d, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	d.Plug()
	return bench{d, w}
}

func (b bench) close(t *testing.T) {
	t.Helper()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

// opener is an open(2); h and e are its answer once it was answered.
type opener struct {
	id   uint64
	uid  uint32
	lost bool // its caller was killed meanwhile
	done atomic.Bool
	h    *Handle
	e    unix.Errno
}

func (o *opener) answered() bool { return o.done.Load() }

func (o *opener) ID() uint64  { return o.id }
func (o *opener) UID() uint32 { return o.uid }

func (o *opener) Reply(h *Handle, e unix.Errno) bool {
	o.h, o.e = h, e
	o.done.Store(true)
	return e == 0 && !o.lost
}

// Open opens the camera, which must answer at once.
func (b bench) Open(uid uint32) (*Handle, unix.Errno) {
	o := &opener{id: 1, uid: uid}
	b.Device.Open(o)
	if !o.answered() {
		panic("open was not answered")
	}
	return o.h, o.e
}

func (b bench) open(t *testing.T) *Handle {
	t.Helper()
	h, e := b.Open(0)
	if e != 0 {
		t.Fatal(e)
	}
	return h
}

// start makes a call and does not wait for it.
func (b bench) start(h *Handle, id uint64, cmd uint32, words ...uint32) *call {
	c := &call{w: b.w, id: id, cmd: cmd, arg: make([]byte, size(cmd)), done: make(chan int32, 1)}
	put(c.arg, words...)
	h.Ioctl(c)
	return c
}

// ioctl makes a call that must be answered at once.
func (b bench) ioctl(t *testing.T, h *Handle, cmd uint32, words ...uint32) ([]byte, unix.Errno) {
	t.Helper()
	c := b.start(h, 1, cmd, words...)
	select {
	case r := <-c.done:
		return c.arg, unix.Errno(-r)
	default:
		t.Fatalf("request %#x was not answered", cmd)
		return nil, 0
	}
}

// buf is the beginning of struct v4l2_buffer for MMAP.
func buf(i uint32) []uint32 {
	v := make([]uint32, 16)
	v[0], v[1], v[15] = i, typeCapture, memoryMMAP
	return v
}

// stream sets h streaming with n buffers, all queued.
func (b bench) stream(t *testing.T, h *Handle, n uint32) {
	t.Helper()
	a, e := b.ioctl(t, h, vidiocReqbufs, n, typeCapture, memoryMMAP)
	if e != 0 || u32(a, 0) != n {
		t.Fatalf("REQBUFS: %d buffers, %v", u32(a, 0), e)
	}
	for i := range n {
		if _, e := b.ioctl(t, h, vidiocQbuf, buf(i)...); e != 0 {
			t.Fatalf("QBUF %d: %v", i, e)
		}
	}
	if _, e := b.ioctl(t, h, vidiocStreamon, typeCapture); e != 0 {
		t.Fatalf("STREAMON: %v", e)
	}
}

// Codes as the kernel's headers print them.
func TestCodes(t *testing.T) {
	for got, want := range map[uint32]uint32{
		vidiocQuerycap: 0x80685600, vidiocEnumFmt: 0xc0405602, vidiocGFmt: 0xc0d05604, vidiocSFmt: 0xc0d05605, vidiocReqbufs: 0xc0145608,
		vidiocQuerybuf: 0xc0585609, vidiocQbuf: 0xc058560f, vidiocDqbuf: 0xc0585611, vidiocStreamon: 0x40045612, vidiocStreamoff: 0x40045613,
		vidiocGParm: 0xc0cc5615, vidiocSParm: 0xc0cc5616, vidiocEnumInput: 0xc050561a, vidiocGCtrl: 0xc008561b, vidiocSCtrl: 0xc008561c,
		vidiocQueryctrl: 0xc0445624, vidiocQuerymenu: 0xc02c5625, vidiocGInput: 0x80045626, vidiocSInput: 0xc0045627, vidiocTryFmt: 0xc0d05640,
		vidiocGPriority: 0x80045643, vidiocSPriority: 0x40045644, vidiocGExtCtrls: 0xc0205647, vidiocSExtCtrls: 0xc0205648,
		vidiocTryExtCtrls: 0xc0205649, vidiocDqevent: 0x80885659, vidiocSubscribeEvent: 0x4020565a, vidiocUnsubscribeEvent: 0x4020565b, vidiocEnumFramesizes: 0xc02c564a, vidiocEnumFrameivals: 0xc034564b, vidiocQueryExtCtrl: 0xc0e85667,
	} {
		if got != want {
			t.Errorf("code %#x, want %#x", got, want)
		}
	}
}

func TestQuerycap(t *testing.T) {
	b := newBench(t, Options{Minor: 2, Card: strings.Repeat("long name ", 10)})
	defer b.close(t)
	a, e := b.ioctl(t, b.open(t), vidiocQuerycap)
	if e != 0 || string(a[:9]) != "uvcvideo\x00" || a[47] != 0 || string(a[48:67]) != "usb-0000:00:14.0-3\x00" || u32(a, 84) != 0x84200001 || u32(a, 88) != 0x04200001 {
		t.Errorf("%v %q caps %#x %#x", e, a[:80], u32(a, 84), u32(a, 88))
	}
}

// Every request with zeroes or garbage in it is answered, never with a panic.
func TestGarbage(t *testing.T) {
	b := newBench(t, Options{})
	defer b.close(t)
	h := b.open(t)
	for n := range uint32(256) {
		for _, fill := range []uint32{0, 1, 2, 3, 0x7fffffff, 0x80000000, 0xffffffff} {
			for _, cmd := range []uint32{vidiocQuerycap, vidiocGFmt, vidiocQbuf, vidiocGExtCtrls, vidiocStreamon, vidiocQueryExtCtrl, vidiocReqbufs, vidiocEnumFrameivals, vidiocQuerymenu, vidiocSCtrl, vidiocSubscribeEvent} {
				cmd = cmd&^0xff | n
				words := make([]uint32, size(cmd)/4)
				for i := range words {
					words[i] = fill
				}
				b.ioctl(t, h, cmd, words...)
			}
		}
	}
	c := &call{w: b.w, cmd: vidiocQuerycap, arg: make([]byte, 3), done: make(chan int32, 1)}
	if h.Ioctl(c); <-c.done != -int32(unix.ENOTTY) {
		t.Error("a request that is shorter than its code says was taken")
	}
}

func TestOpenClose(t *testing.T) {
	b := newBench(t, Options{})
	h, g := b.open(t), b.open(t)
	if s := b.Stats(); s.Openers != 2 || s.Streaming {
		t.Errorf("stats %+v", s)
	}
	b.Unplug()
	b.Unplug() // twice is once
	if _, e := b.Open(0); e != unix.ENODEV {
		t.Errorf("open of an unplugged camera: %v", e)
	}
	if _, e := b.ioctl(t, h, vidiocQuerycap); e != unix.ENODEV {
		t.Errorf("ioctl on an unplugged camera: %v", e)
	}
	b.Plug()
	if _, e := b.ioctl(t, h, vidiocQuerycap); e != unix.ENODEV || h.Poll(1, allEvents, false) != unix.POLLERR|unix.POLLHUP {
		t.Errorf("a handle came back to life: %v", e)
	}
	h.Release()
	g.Release()
	if s := b.Stats(); s.Openers != 0 || !b.Present() {
		t.Errorf("stats %+v", s)
	}
	b.close(t)
}

// A stream by the clock: frames every 33 ms, dropped without a buffer, woken pollers.
func TestStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		defer b.close(t)
		h := b.open(t)
		b.stream(t, h, 2)
		if ev := h.Poll(42, allEvents, true); ev != 0 {
			t.Errorf("poll before the first frame: %#x", ev)
		}
		time.Sleep(34 * time.Millisecond)
		synctest.Wait()
		if len(b.w.woken) != 1 || b.w.woken[0] != 42 || h.Poll(42, allEvents, false) != unix.POLLIN|pollRdNorm {
			t.Errorf("woken %v", b.w.woken)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		s := b.Stats()
		if s.Frames != 2 || s.Drops < 28 || s.Drops > 29 || !s.Streaming || s.Late != 0 {
			t.Errorf("stats after a second with two buffers: %+v", s)
		}
		for want := range uint32(2) {
			a, e := b.ioctl(t, h, vidiocDqbuf, buf(0)...)
			i, off := u32(a, 0), u32(a, 64)
			if e != 0 || u32(a, 56) != want || u32(a, 8) != 4 || u32(a, 12) != bufTSMono || off != i*b.bufsz || u32(b.mem, int(off)) != want {
				t.Errorf("frame %d: %v, sequence %d in buffer %d at %d", want, e, u32(a, 56), i, off)
			}
		}
		if len(b.w.stored) != 2 || len(b.w.records) < 30 || b.w.records[0].Kind != 'f' || b.w.records[2].Kind != 'd' {
			t.Errorf("%d stored, %d records", len(b.w.stored), len(b.w.records))
		}
	})
}

func TestBlockingDqbuf(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{FPS: 10})
		defer b.close(t)
		h := b.open(t)
		b.stream(t, h, 2)
		first, second := b.start(h, 7, vidiocDqbuf, buf(0)...), b.start(h, 8, vidiocDqbuf, buf(0)...)
		b.Interrupt(9) // nobody's
		b.Interrupt(7)
		if r := <-first.done; r != -erestartsys {
			t.Errorf("interrupted call: %d", r)
		}
		t0 := time.Now()
		if r := <-second.done; r != 0 || time.Since(t0) != 100*time.Millisecond || u32(second.arg, 56) != 0 {
			t.Errorf("frame %d after %v, %d", u32(second.arg, 56), time.Since(t0), r)
		}
		b.w.nonblock = true
		if _, e := b.ioctl(t, h, vidiocDqbuf, buf(0)...); e != unix.EAGAIN {
			t.Errorf("without a frame: %v", e)
		}
		b.w.nonblock = false
		third := b.start(h, 10, vidiocDqbuf, buf(0)...)
		b.Unplug()
		if r := <-third.done; r != -int32(unix.ENODEV) {
			t.Errorf("unplugged while waiting: %d", r)
		}
	})
}

func TestStreamoffWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		defer b.close(t)
		h := b.open(t)
		b.stream(t, h, 2)
		c := b.start(h, 7, vidiocDqbuf, buf(0)...)
		if _, e := b.ioctl(t, h, vidiocStreamoff, typeCapture); e != 0 || <-c.done != -int32(unix.EINVAL) {
			t.Errorf("STREAMOFF: %v", e)
		}
		if ev := h.Poll(3, allEvents, true); ev != unix.POLLERR {
			t.Errorf("poll without a stream: %#x", ev)
		}
		for i := range uint32(2) { // buffers are the client's again
			if _, e := b.ioctl(t, h, vidiocQbuf, buf(i)...); e != 0 {
				t.Errorf("QBUF: %v", e)
			}
		}
		if _, e := b.ioctl(t, h, vidiocStreamon, typeCapture); e != 0 {
			t.Errorf("STREAMON: %v", e)
		}
		time.Sleep(40 * time.Millisecond)
		if a, e := b.ioctl(t, h, vidiocDqbuf, buf(0)...); e != 0 || u32(a, 56) != 0 {
			t.Errorf("counter starts at %d, %v", u32(a, 56), e)
		}
	})
}

func TestStall(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{FPS: 100})
		defer b.close(t)
		h := b.open(t)
		b.stream(t, h, 32)
		b.Stall(105 * time.Millisecond)
		time.Sleep(104 * time.Millisecond)
		synctest.Wait()
		if s := b.Stats(); s.Frames != 0 {
			t.Errorf("%d frames in a stall", s.Frames)
		}
		time.Sleep(100 * time.Millisecond)
		synctest.Wait()
		if s := b.Stats(); s.Frames != 10 || s.Late != 0 {
			t.Errorf("after a stall: %+v", s)
		}
	})
}

// A picture that cannot be drawn is an empty frame, as after a transfer error.
func TestPainterFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, Options{})
		defer b.close(t)
		b.w.fail = errors.New("cannot draw")
		h := b.open(t)
		b.stream(t, h, 2)
		time.Sleep(40 * time.Millisecond)
		if a, e := b.ioctl(t, h, vidiocDqbuf, buf(0)...); e != 0 || u32(a, 8) != 0 {
			t.Errorf("%d bytes, %v", u32(a, 8), e)
		}
	})
}
