package v4l2

import (
	"time"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/blocks"
)

// stream is one run from STREAMON to STREAMOFF, with a goroutine of its own.
type stream struct {
	stop, done chan struct{}
	pix        uint32
	w, h       int
	period     time.Duration
	bufsz      int
}

// streamon starts the frames; ENOSPC when the bus has no room.
func (d *Device) streamon() unix.Errno {
	if d.stream != nil {
		return 0
	}
	fps := int(d.fps)
	if d.opts.FPS > 0 {
		fps = d.opts.FPS
	}
	if !d.opts.Bus.take(d, int64(d.bufsz)*int64(fps)) {
		return unix.ENOSPC
	}
	s := &stream{
		stop: make(chan struct{}), done: make(chan struct{}), pix: d.pix, w: int(d.w), h: int(d.h),
		period: time.Second / time.Duration(fps), bufsz: int(d.bufsz),
	}
	before := d.last
	d.stream, d.last, d.seq = s, s, 0
	go func() {
		defer close(s.done)
		if before != nil { // it may still draw into the memory
			<-before.done
		}
		d.run(s)
	}()
	return 0
}

// streamoff stops the frames and takes every buffer out of the queues; blocked
// callers get e. The goroutine ends by itself, Close waits for it.
func (d *Device) streamoff(e unix.Errno) {
	if d.stream != nil {
		close(d.stream.stop)
		d.stream = nil
		d.opts.Bus.leave(d)
	}
	d.queued, d.done = nil, nil
	for i := range d.bufs {
		d.bufs[i].state = dequeued
	}
	for _, c := range d.waiters {
		c.Reply(-int32(e))
	}
	d.waiters = nil
	d.wake()
}

// run makes frames on a fixed grid of time until the stream is stopped. A grid
// point that has passed already is left out and counted, never made up for.
func (d *Device) run(s *stream) {
	g := grid{start: time.Now(), period: s.period, k: 1}
	timer := time.NewTimer(s.period)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		uneven := g.uneven
		d.frame(s, g.pass(time.Now(), d.faulty(Uneven)), uneven)
		timer.Reset(time.Until(g.due()))
	}
}

// frame makes one frame. The lock is not held while it is drawn: requests are
// answered meanwhile, and Store may wait for a page that another request holds.
func (d *Device) frame(s *stream, missed uint64, uneven bool) {
	now := time.Now()
	rec := Record{Kind: 'd', Mono: monotonic(), Real: now.UnixNano()}
	p, ok := d.take(s, now, missed, &rec)
	if p.buf >= 0 {
		p.wrong.uneven = uneven
		dst := d.mem[p.buf*s.bufsz : (p.buf+1)*s.bufsz]
		d.opts.Painter.Black(p.black)
		n, err := d.draw(s, dst, p.wrong, blocks.New(rec.Seq, now))
		if err != nil {
			d.opts.Log.Warn("cannot draw a frame", "camera", rec.Minor, "error", err)
			n = 0 // delivered empty, as a camera does after a transfer error
		}
		n, used := p.wrong.damage(dst, n, uint32(s.bufsz), rec.Seq)
		d.opts.Kernel.Store(int64(p.buf*s.bufsz), dst[:n])
		rec.Kind = 'f'
		ok = d.deliver(s, p, used, &rec)
	}
	if ok && d.opts.Record != nil {
		d.opts.Record(rec)
	}
}

// plan is how one frame is made.
type plan struct {
	buf   int // to draw into; -1: none is queued
	black bool
	wrong spoiled
}

// take counts the frame and takes a queued buffer for it; ok is false when no
// frame is due at all.
func (d *Device) take(s *stream, now time.Time, missed uint64, rec *Record) (p plan, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	p.buf, rec.Minor = -1, d.minor
	if d.stream != s || now.Before(d.stall) {
		return p, false
	}
	rec.Seq = d.opts.Base + d.seq
	d.seq++
	d.stats.Late += missed
	if len(d.queued) == 0 {
		d.stats.Drops++
		return p, true
	}
	p = plan{buf: d.queued[0], black: d.shut, wrong: d.spoil()}
	d.queued = d.queued[1:]
	return p, true
}

func (d *Device) draw(s *stream, dst []byte, wrong spoiled, c blocks.Code) (int, error) {
	w, h := wrong.size(s.w, s.h)
	if s.pix == PixMJPG {
		return d.opts.Painter.MJPEG(dst, w, h, c)
	}
	return d.opts.Painter.YUYV(dst, w, h, c)
}

// deliver hands a filled buffer to the client, unless the stream ended meanwhile.
func (d *Device) deliver(s *stream, p plan, used uint32, rec *Record) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stream != s {
		return false
	}
	d.bufs[p.buf] = buffer{state: done, seq: rec.Seq - d.opts.Base, used: used, ts: time.Duration(rec.Mono)}
	d.done = append(d.done, p.buf)
	d.stats.Frames++
	d.stats.Faults.count(p.wrong)
	if len(d.waiters) > 0 && !d.hang.on {
		d.handNext()
		return true
	}
	d.wake()
	return true
}

// monotonic is CLOCK_MONOTONIC in ns, the clock of buffer timestamps.
func monotonic() int64 {
	var ts unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_MONOTONIC, &ts); err != nil {
		return 0
	}
	return ts.Nano()
}
