package camera

import (
	"sync"
	"time"
)

// ShutterState is how a camera's privacy shutter is.
type ShutterState string

// The shutter's states. Most cameras have none, or one that only a finger knows.
const (
	ShutterNone   ShutterState = "none"
	ShutterOpen   ShutterState = "open"
	ShutterClosed ShutterState = "closed"
)

const (
	// cidPrivacy is V4L2_CID_PRIVACY, "prevent video from being acquired" (kernel
	// documentation, Camera Control Reference); uvcvideo shows shutters by it.
	cidPrivacy = 0x009a0910

	// shutterEvery is how often it is read while a camera runs. The control's
	// events (VIDIOC_SUBSCRIBE_EVENT) would save that, but many shutters send none.
	shutterEvery = 500 * time.Millisecond
)

// shutterOf reads the shutter of an open camera. Reading takes nothing from
// whoever streams. A control that is there but cannot be read now says nothing.
func shutterOf(fd int) ShutterState {
	v, err := readControl(fd, cidPrivacy)
	switch {
	case err != nil:
		return ShutterNone
	case v != 0:
		return ShutterClosed
	}
	return ShutterOpen
}

// watch reads a shutter again and again, on a goroutine of its own: the answer
// of a slow USB device must not hold up pictures.
type watch struct {
	stop chan struct{}
	done sync.WaitGroup
}

// watchShutter tells f how the shutter of the open camera is, at once and at
// each change until end. Where there is no shutter, or nobody to tell, it does
// nothing. The descriptor stays open until end has returned.
func watchShutter(fd int, f func(closed bool)) *watch {
	w := &watch{stop: make(chan struct{})}
	if f == nil {
		return w
	}
	now := shutterOf(fd)
	if now == ShutterNone {
		return w
	}
	f(now == ShutterClosed)
	w.done.Go(func() {
		tick := time.NewTicker(shutterEvery)
		defer tick.Stop()
		for {
			select {
			case <-w.stop:
				return
			case <-tick.C:
			}
			if s := shutterOf(fd); s != now && s != ShutterNone {
				now = s
				f(s == ShutterClosed)
			}
		}
	})
	return w
}

// end ends the watch and waits for its last question.
func (w *watch) end() {
	close(w.stop)
	w.done.Wait()
}
