package camera

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// waker lets the end of a context wake a thread that sleeps in poll(2).
type waker struct {
	fd   int // eventfd(2)
	stop func() bool
	done chan struct{} // closed once the end was signalled
}

// newWaker makes one for ctx; close ends it.
func newWaker(ctx context.Context) (*waker, error) {
	fd, err := unix.Eventfd(0, unix.EFD_CLOEXEC|unix.EFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("cannot make an eventfd: %w", err)
	}
	w := &waker{fd: fd, done: make(chan struct{})}
	w.stop = context.AfterFunc(ctx, func() {
		defer close(w.done)
		// It cannot fail: eight bytes, and the counter is at 0.
		_, _ = unix.Write(fd, []byte{7: 1})
	})
	return w, nil
}

func (w *waker) close() {
	if !w.stop() {
		<-w.done // else it might write to whatever gets the number next
	}
	_ = unix.Close(w.fd)
}

// wait sleeps until fd has something to say (true), the deadline is over or the
// context ended (both false). Errors on fd are left to the next call on it, which
// knows the errno; where fd hangs up for good the error wraps ErrGone or is the
// errno of poll.
func (w *waker) wait(fd int, deadline time.Time) (bool, error) {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return false, nil
		}
		fds := [2]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}, {Fd: int32(w.fd), Events: unix.POLLIN}}
		// Rounded up, so that the last millisecond is slept and not spun.
		_, err := unix.Poll(fds[:], int((left+time.Millisecond-1)/time.Millisecond))
		switch got := fds[0].Revents; {
		case errors.Is(err, unix.EINTR):
		case err != nil:
			return false, err
		case fds[1].Revents != 0:
			return false, nil
		case got&unix.POLLIN != 0:
			return true, nil
		case got&(unix.POLLHUP|unix.POLLNVAL) != 0:
			return false, unix.ENODEV
		case got&unix.POLLERR != 0:
			return false, pollError(fd)
		}
	}
}

// pollError finds out what POLLERR stands for: the device may be unplugged, or
// the driver may have given up the stream (V4L2 sets it when not streaming and
// after an error of the bus).
func pollError(fd int) error {
	if _, err := readFormat(fd); err != nil {
		return err
	}
	return unix.EIO
}

// waiting says whether fd has a picture at this moment.
func waiting(fd int) bool {
	fds := [1]unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	n, err := unix.Poll(fds[:], 0)
	return err == nil && n == 1 && fds[0].Revents&unix.POLLIN != 0 && fds[0].Revents&(unix.POLLERR|unix.POLLHUP) == 0
}
