package camera

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/capture"
)

const (
	// answerWithin is how long the driver may take over one picture, with its
	// conversion: far less in truth, on the slowest machine.
	answerWithin = time.Second
	// startWithin is how long opening and starting may take: some cameras are asked
	// for a hundred things over USB first.
	startWithin = 3 * time.Second
)

// Run takes pictures and hands each to put with its reference, until ctx ends,
// when it returns nil, or the camera fails, when the error wraps ErrGone,
// ErrStalled, ErrDamaged, ErrBusy or ErrNoRoom where one fits. Frame.Time is the instant the driver gave
// the picture away (the library shows no timestamps), Frame.Seq the camera's own
// count from 0. A picture that is damaged is dropped and counted; a camera that
// gives nothing else until the deadline fails. Of pictures that wait behind each
// other only the newest is taken. When Run returns the file is closed; that takes some milliseconds
// after ctx ended. It may be called once.
func (c *Camera) Run(ctx context.Context, put func(*capture.Frame)) (err error) {
	defer func() {
		if cerr := c.Close(); cerr != nil && !errors.Is(err, ErrGone) {
			err = errors.Join(err, cerr)
		}
		c.cfg.inside(0)
	}()
	w, err := newWaker(ctx)
	if err != nil {
		return fmt.Errorf("cannot run camera %s: %w", c.cfg.Path, err)
	}
	defer w.close()
	if ctx.Err() != nil {
		return nil
	}
	// First the stream is stopped, so that the lamp goes out at once, then the
	// shutter is left alone, then (above) the file is closed.
	watch := watchShutter(c.fd, c.cfg.Shutter)
	defer watch.end()
	defer c.stop()
	c.cfg.inside(startWithin)
	if err := c.cam.StartStreaming(); err != nil {
		// Else the mappings would keep the device open.
		return errors.Join(classify("start", c.cfg.Path, err), unmapAll(c.cam))
	}
	c.streaming = true
	return c.film(ctx, w, put)
}

// film takes pictures until ctx ends or the camera fails.
func (c *Camera) film(ctx context.Context, w *waker, put func(*capture.Frame)) error {
	last, patience := time.Now(), max(firstFrame, c.cfg.FrameDeadline)
	for {
		deadline, asked := last.Add(patience), time.Now()
		c.cfg.inside(time.Until(deadline) + answerWithin) // a driver can hang in poll(2), too
		ready, err := w.wait(c.fd, deadline)
		c.cfg.inside(answerWithin)
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil:
			return classify("wait for", c.cfg.Path, err)
		case !ready:
			return c.silent(patience)
		}
		good, err := c.take(put, time.Since(asked) < c.period()/8)
		if err != nil {
			return err
		}
		if good {
			last, patience = time.Now(), c.cfg.FrameDeadline
		} else if time.Since(last) > patience { // it sends, so the wait never ends
			return c.silent(patience)
		}
	}
}

// silent is the error of a camera that gave no good picture for so long.
func (c *Camera) silent(patience time.Duration) error {
	why := ErrStalled
	if c.bad > 0 {
		why = ErrDamaged
	}
	return fmt.Errorf("cannot get a picture from camera %s for %v (%d good ones before, %d bad ones since): %w",
		c.cfg.Path, patience, c.good, c.bad, why)
}

// stop ends the stream where one runs. Its errors show at the next call.
func (c *Camera) stop() {
	c.cfg.inside(answerWithin)
	if c.streaming {
		_ = c.cam.StopStreaming()
	}
}

// take fetches one picture, gives the buffer back to the driver as soon as it is
// converted and hands the picture on. It reports false where there was none or it
// was bad. waited says that the picture was there when it was asked for.
func (c *Camera) take(put func(*capture.Frame), waited bool) (bool, error) {
	b, index, err := c.newest(waited)
	now := time.Now()
	switch {
	case errors.Is(err, unix.EAGAIN):
		return false, nil
	case errors.Is(err, errOversized):
		c.cfg.tally.oversized.Add(1)
		return false, fmt.Errorf("cannot read from camera %s: %w: %w", c.cfg.Path, err, ErrDamaged)
	case err != nil:
		return false, classify("read from", c.cfg.Path, err)
	}
	f := c.pool.Get()
	bad := c.convert(f, b)
	if err := c.cam.ReleaseFrame(index); err != nil {
		f.Release()
		return false, classify("return a buffer to", c.cfg.Path, err)
	}
	if bad != nil {
		f.Release()
		c.cfg.tally.count(bad)
		c.bad++
		if c.dropped++; bits.OnesCount64(c.dropped) == 1 { // the 1st, 2nd, 4th, 8th: never a flood
			c.log.Warn("picture dropped", "bad", c.dropped, "err", bad)
		}
		return false, nil
	}
	f.Seq, f.Time = c.good, now
	c.good++
	c.bad = 0
	c.cfg.tally.frames.Add(1)
	put(f)
	return true, nil
}

// newest dequeues the picture that came last. Where they come as they should there
// is one, and nothing more is asked. Where one waited for us, or came after a hole,
// there may be more, and those that newer ones wait behind are given back unseen:
// they are old, and would be encoded all at once.
func (c *Camera) newest(waited bool) ([]byte, uint32, error) {
	b, index, err := dequeue(c.cam)
	now := time.Now()
	uneven := waited || !c.arrived.IsZero() && now.Sub(c.arrived) > 3*c.period()/2
	c.arrived = now
	for range buffers {
		if err != nil || !uneven || !waiting(c.fd) {
			break
		}
		c.cfg.tally.uneven.Add(1)
		if err = c.cam.ReleaseFrame(index); err == nil {
			b, index, err = dequeue(c.cam)
		}
	}
	return b, index, err
}

// period is the time from picture to picture, as promised or else as asked.
func (c *Camera) period() time.Duration {
	fps := c.fps
	if fps <= 0 {
		fps = float64(c.cfg.FPS)
	}
	return time.Duration(float64(time.Second) / fps)
}

// convert makes I420 of a picture. Its errors say of which kind a bad one is.
func (c *Camera) convert(f *capture.Frame, b []byte) error {
	if err := tooLong(c.format, c.way, b); err != nil {
		return err
	}
	stride := int(c.format.bytesPerLine)
	if stride == 0 {
		stride = c.way.stride * int(c.format.width)
	}
	began := time.Now()
	err := c.way.convert(f, b, stride)
	c.cfg.tally.converting.Add(int64(time.Since(began)))
	if err != nil {
		return fmt.Errorf("%w: %w", badKind(c.format, c.way, c.sizes(), b), err)
	}
	return nil
}

// sizes are those that the camera offers in the format that is set.
func (c *Camera) sizes() []Size {
	for _, f := range c.offered {
		if f.FourCC == c.fourCC {
			return f.Sizes
		}
	}
	return nil
}
