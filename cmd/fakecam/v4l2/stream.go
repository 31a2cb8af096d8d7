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
	if !d.opts.Bus.take(d) {
		return unix.ENOSPC
	}
	fps := int(d.fps)
	if d.opts.FPS > 0 {
		fps = d.opts.FPS
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
	next := time.Now().Add(s.period)
	timer := time.NewTimer(s.period)
	defer timer.Stop()
	for {
		select {
		case <-s.stop:
			return
		case <-timer.C:
		}
		missed := max(time.Since(next)/s.period, 0)
		next = next.Add(s.period * (missed + 1))
		d.frame(s, uint64(missed))
		timer.Reset(time.Until(next))
	}
}

// frame makes one frame. The lock is not held while it is drawn: requests are
// answered meanwhile, and Store may wait for a page that another request holds.
func (d *Device) frame(s *stream, missed uint64) {
	now := time.Now()
	rec := Record{Kind: 'd', Minor: d.opts.Minor, Mono: monotonic(), Real: now.UnixNano()}
	i, shut, ok := d.take(s, now, missed, &rec)
	if i >= 0 {
		dst := d.mem[i*s.bufsz : (i+1)*s.bufsz]
		d.opts.Painter.Black(shut)
		n, err := d.draw(s, dst, blocks.New(rec.Seq, now))
		if err != nil {
			d.opts.Log.Warn("cannot draw a frame", "camera", d.opts.Minor, "error", err)
			n = 0 // delivered empty, as a camera does after a transfer error
		}
		d.opts.Kernel.Store(int64(i*s.bufsz), dst[:n])
		rec.Kind = 'f'
		ok = d.deliver(s, i, n, &rec)
	}
	if ok && d.opts.Record != nil {
		d.opts.Record(rec)
	}
}

// take counts the frame and takes a queued buffer for it: its index, or -1.
// shut says how the shutter is, ok is false when no frame is due at all.
func (d *Device) take(s *stream, now time.Time, missed uint64, rec *Record) (i int, shut, ok bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stream != s || now.Before(d.stall) {
		return -1, false, false
	}
	rec.Seq = d.opts.Base + d.seq
	d.seq++
	d.stats.Late += missed
	if len(d.queued) == 0 {
		d.stats.Drops++
		return -1, d.shut, true
	}
	i = d.queued[0]
	d.queued = d.queued[1:]
	return i, d.shut, true
}

func (d *Device) draw(s *stream, dst []byte, c blocks.Code) (int, error) {
	if s.pix == PixMJPG {
		return d.opts.Painter.MJPEG(dst, s.w, s.h, c)
	}
	return d.opts.Painter.YUYV(dst, s.w, s.h, c)
}

// deliver hands a filled buffer to the client, unless the stream ended meanwhile.
func (d *Device) deliver(s *stream, i, n int, rec *Record) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.stream != s {
		return false
	}
	d.bufs[i] = buffer{state: done, seq: rec.Seq - d.opts.Base, used: uint32(n), ts: time.Duration(rec.Mono)}
	d.done = append(d.done, i)
	d.stats.Frames++
	if len(d.waiters) > 0 {
		c := d.waiters[0]
		d.waiters = d.waiters[1:]
		d.hand(c)
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
