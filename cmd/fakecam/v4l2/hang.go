package v4l2

import (
	"time"

	"golang.org/x/sys/unix"
)

// held is a request that waits until the driver answers again.
type held struct {
	id     uint64
	answer func()             // with mu held
	refuse func(e unix.Errno) // its caller got a signal
}

// hang is a driver that does not answer for a while.
type hang struct {
	on    bool
	timer *time.Timer
	list  []held
}

// Hang lets open(2) and ioctl(2) of the camera wait for d from now on, as in a
// driver that waits for its hardware; then they are answered, in their order. A
// signal to the caller ends its wait. 0 ends a hang that is on.
func (d *Device) Hang(t time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unhang()
	if t <= 0 {
		return
	}
	d.hang.on = true
	d.timers.Add(1)
	var timer *time.Timer
	timer = time.AfterFunc(t, func() {
		defer d.timers.Done()
		d.mu.Lock()
		defer d.mu.Unlock()
		if d.hang.timer == timer { // not of an earlier hang
			d.unhang()
		}
	})
	d.hang.timer = timer
}

// unhang ends a hang and answers what has waited. The caller holds mu.
func (d *Device) unhang() {
	if d.hang.timer != nil && d.hang.timer.Stop() {
		d.timers.Done()
	}
	list := d.hang.list
	d.hang = hang{}
	for _, x := range list {
		x.answer()
	}
	for len(d.waiters) > 0 && len(d.done) > 0 {
		d.handNext()
	}
}

// hold keeps a request back while the driver hangs; false when it does not. The
// caller holds mu.
func (d *Device) hold(x held) bool {
	if !d.hang.on {
		return false
	}
	d.hang.list = append(d.hang.list, x)
	d.stats.Faults.Hung++
	return true
}

// refuseHeld ends a held request whose caller got a signal.
func (d *Device) refuseHeld(id uint64) bool {
	for i, x := range d.hang.list {
		if x.id == id {
			d.hang.list = append(d.hang.list[:i], d.hang.list[i+1:]...)
			x.refuse(unix.EINTR)
			return true
		}
	}
	return false
}
