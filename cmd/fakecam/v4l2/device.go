// Package v4l2 is one camera: a Video4Linux2 capture device as a state machine
// that answers ioctls and poll and fills its buffers with pictures at a steady
// rate. It knows the kernel's structures (videodev2.h) and not how requests
// reach it; cmd/fakecam joins it to the file system. Only cmd/fakecam imports it.
//
// It owns the camera's memory and the goroutine that makes its frames. Buffers
// live in a memfd one after the other, so that a client maps them by the offset
// QUERYBUF gives. Offered are MMAP streaming, controls with their events and a
// privacy shutter; read(2), user pointers, dmabuf and multi-planar formats are not.
package v4l2

import (
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/blocks"
)

const (
	maxBufs = 32
	maxSize = 1920 * 1080 * 2

	// MemorySize is the size in bytes of a camera's memory; it is sparse.
	MemorySize = maxBufs * maxSize
)

// Call is an ioctl that waits for its answer. Reply is called once, now or later.
type Call interface {
	// ID tells calls apart for Device.Interrupt.
	ID() uint64
	// Cmd is the request code, Arg its argument, changed in place by the answer.
	Cmd() uint32
	Arg() []byte
	// Nonblock says whether the file has O_NONBLOCK at this moment.
	Nonblock() bool
	// Peek and Poke read and write the caller's memory; false is a bad address.
	Peek(addr uint64, b []byte) bool
	Poke(addr uint64, b []byte) bool
	// Reply ends the call: 0, or a negative errno.
	Reply(result int32)
}

// Kernel is what a camera tells the other side.
type Kernel interface {
	// Wake asks the poller with this key to poll again.
	Wake(key uint64)
	// Store says that data at this offset of the memory is new.
	Store(off int64, data []byte)
}

// Painter makes pictures of w x h that carry code, into dst, which is large
// enough for sizeimage; it returns the bytes used. One goroutine uses it.
type Painter interface {
	YUYV(dst []byte, w, h int, code blocks.Code) (int, error)
	MJPEG(dst []byte, w, h int, code blocks.Code) (int, error)
	// Black says whether all pictures from now on are black, without a code.
	Black(on bool)
}

// Record is one line of the frame log.
type Record struct {
	Kind  byte   // 'f' frame delivered, 'd' frame dropped: no buffer was queued
	Minor int    // camera
	Seq   uint32 // frame counter, as in the picture
	Mono  int64  // CLOCK_MONOTONIC of making, ns; also the buffer's timestamp
	Real  int64  // unix time of making, ns; also in the picture
}

// Options describe a camera.
type Options struct {
	Minor   int          // N of videoN
	Port    string       // of the bus, as in the USB device's name: "2.4"; empty: Minor+1
	Base    uint32       // the counter in the first picture of a stream; V4L2 sequences begin at 0
	Shutter bool         // it has a privacy shutter
	Bus     *Bus         // what it shares with other cameras; may be nil
	Card    string       // name shown to people
	Only    Only         // formats
	FPS     int          // real frame rate whatever the client asks for; 0: as asked
	Painter Painter      // its pictures
	Kernel  Kernel       // where to tell news
	Record  func(Record) // frame log; may be nil
	Log     *slog.Logger // warnings
}

// Device is one camera. Its methods may be called from any goroutine.
type Device struct {
	opts    Options
	formats []format
	memfd   int
	mem     []byte

	mu        sync.Mutex
	minor     int       // N of videoN now
	gone      bool      // unplugged
	life      uint64    // counts unplugs: handles of an earlier life stay dead
	stall     time.Time // no frames before this
	shut      bool      // the shutter is closed; it stays so through an unplug
	access    access
	faults    map[Fault]bool
	hang      hang
	timers    sync.WaitGroup // of hangs
	pix, w, h uint32
	fps       uint32
	controls  []*control
	handles   map[*Handle]struct{} // open files, those of an earlier life too

	owner      *Handle // who holds the buffers
	bufs       []buffer
	bufsz      uint32
	queued     []int
	done       []int
	waiters    []Call // blocked DQBUF calls
	eventWaits []eventWait
	polled     map[*Handle]struct{}
	stream     *stream // frames are being made
	last       *stream // the newest one, may be ending
	seq        uint32
	stats      Stats
}

// Handle is one open file of a camera.
type Handle struct {
	d    *Device
	life uint64
	prio uint32 // V4L2_PRIORITY_*; 0 after an unplug
	key  uint64 // of the poller that waits, while in d.polled

	subs     map[uint32]*subscription // by control
	eventSeq uint32
}

// Stats are figures of a camera.
type Stats struct {
	Frames, Drops, Late uint64 // delivered; made without a buffer to put it in; not made because the machine was slow
	Openers             int    // open file handles, dead ones too
	Streaming           bool
	Faults              FaultStats
}

// New makes a camera that is not plugged in yet.
func New(o Options) (*Device, error) {
	d := &Device{
		opts: o, formats: formats(o.Only), minor: o.Minor, gone: true, faults: map[Fault]bool{},
		handles: map[*Handle]struct{}{}, polled: map[*Handle]struct{}{},
	}
	d.reset()
	var err error
	if d.memfd, err = unix.MemfdCreate("fakecam"+strconv.Itoa(o.Minor), unix.MFD_CLOEXEC); err != nil {
		return nil, fmt.Errorf("cannot make memory for camera %d: %w", o.Minor, err)
	}
	if err = unix.Ftruncate(d.memfd, MemorySize); err == nil {
		d.mem, err = unix.Mmap(d.memfd, 0, MemorySize, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	}
	if err != nil {
		_ = unix.Close(d.memfd)
		return nil, fmt.Errorf("cannot map %d bytes for camera %d: %w", MemorySize, o.Minor, err)
	}
	return d, nil
}

// reset gives the settings of a camera fresh from the box.
func (d *Device) reset() {
	d.pix, d.w, d.h, d.fps = PixYUYV, 640, 480, rates()[0]
	d.controls = newControls(d.opts.Shutter)
	d.privacy()
}

// Memory is what a client maps, and the descriptor behind it; both live until Close.
func (d *Device) Memory() ([]byte, int) { return d.mem, d.memfd }

// Present says whether the camera is plugged in.
func (d *Device) Present() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return !d.gone
}

// Plug makes the camera present, with default settings.
func (d *Device) Plug() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		d.gone, d.stall = false, time.Time{}
		d.unhang()
		d.reset()
	}
}

// Rename gives the camera, which is unplugged, another N of videoN.
func (d *Device) Rename(minor int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.minor = minor
}

// Unplug takes the camera away: every open handle answers ENODEV from now on,
// pollers wake with POLLERR and POLLHUP, as after a USB disconnect.
func (d *Device) Unplug() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.gone {
		return
	}
	d.gone = true
	d.orphan()
}

// Stall stops the frames for a time, as a hung camera does.
func (d *Device) Stall(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stall = time.Now().Add(t)
}

// Stats gives the camera's figures now.
func (d *Device) Stats() Stats {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.stats
	s.Openers, s.Streaming = len(d.handles), d.stream != nil
	return s
}

// Close unplugs the camera, waits until its goroutine has ended and gives the
// memory back. No other method may be called after it.
func (d *Device) Close() error {
	d.Unplug()
	d.mu.Lock()
	last := d.last
	d.unhang()
	d.mu.Unlock()
	d.timers.Wait()
	if last != nil {
		<-last.done // at most the drawing of one frame
	}
	if err := unix.Munmap(d.mem); err != nil {
		return fmt.Errorf("cannot unmap camera %d: %w", d.opts.Minor, err)
	}
	if err := unix.Close(d.memfd); err != nil {
		return fmt.Errorf("cannot close memory of camera %d: %w", d.opts.Minor, err)
	}
	return nil
}
