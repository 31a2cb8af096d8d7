package v4l2

import (
	"encoding/binary"
	"slices"

	"golang.org/x/sys/unix"
)

// Fault is one way in which a camera goes wrong until it is told not to. Faults
// hold through an unplug, as those of hardware do.
type Fault string

// The faults. Those of a picture may be on together.
const (
	Garbage   Fault = "garbage"   // bytes that are no picture: no JPEG decodes them, YUYV is noise of the right length
	Short     Fault = "short"     // bytesused is half of the picture's: a JPEG is cut, YUYV has half its lines
	Oversize  Fault = "oversize"  // DQBUF's bytesused is twice the buffer's length
	WrongSize Fault = "wrongsize" // pictures of half the width and height, which nobody has announced
	Uneven    Fault = "uneven"    // frames come five at once, then none for their time; the mean rate is kept
	Revoke    Fault = "revoke"    // open files answer ENODEV, open(2) EACCES, as after udev has taken the rights
)

// Faults lists them.
func Faults() []Fault { return []Fault{Garbage, Short, Oversize, WrongSize, Uneven, Revoke} }

// burst is how many frames come at once while arrival is uneven, and burstStep
// which part of a frame's time lies between them then.
const (
	burst     = 5
	burstStep = 8
)

// SetFault begins or ends a fault; false when there is none of that name.
func (d *Device) SetFault(f Fault, on bool) bool {
	if !slices.Contains(Faults(), f) {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if f == Revoke && on && !d.faults[f] {
		d.stats.Faults.Revoked += uint64(len(d.handles))
		d.orphan()
	}
	d.faults[f] = on
	return true
}

// orphan makes every open handle answer ENODEV for good.
func (d *Device) orphan() {
	d.life++
	d.streamoff(unix.ENODEV)
	d.owner, d.bufs = nil, nil
	for h := range d.handles {
		h.prio = 0
		h.forgetEvents()
	}
	d.endEventWaits()
}

// FaultStats count what faults have done since the start.
type FaultStats struct {
	Garbage, Short, Oversize, WrongSize, Uneven uint64 // frames delivered so
	Revoked                                     uint64 // open files that lost the camera, and opens refused since
	Hung                                        uint64 // requests that had to wait
}

// spoiled says what is wrong with one frame.
type spoiled struct{ garbage, short, oversize, wrongSize, uneven bool }

// spoil gives what is wrong with the next picture. The caller holds mu.
func (d *Device) spoil() spoiled {
	return spoiled{garbage: d.faults[Garbage], short: d.faults[Short], oversize: d.faults[Oversize], wrongSize: d.faults[WrongSize]}
}

// faulty says whether a fault is on.
func (d *Device) faulty(f Fault) bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.faults[f]
}

// count adds a delivered frame.
func (s *FaultStats) count(f spoiled) {
	for n, on := range map[*uint64]bool{
		&s.Garbage: f.garbage, &s.Short: f.short, &s.Oversize: f.oversize, &s.WrongSize: f.wrongSize, &s.Uneven: f.uneven,
	} {
		if on {
			*n++
		}
	}
}

// size is how large the picture is drawn in a stream of w x h.
func (f spoiled) size(w, h int) (int, int) {
	if f.wrongSize {
		return w / 2 &^ 15, h / 2 &^ 1
	}
	return w, h
}

// damage spoils a picture of n bytes at the start of buf. It returns how many of
// them stay, and the bytesused that DQBUF tells of a buffer of this length.
func (f spoiled) damage(buf []byte, n int, length, seed uint32) (kept int, used uint32) {
	if f.garbage {
		noise(buf[:n], seed)
	}
	if f.short {
		n /= 2
	}
	if f.oversize {
		return n, 2 * length
	}
	return n, uint32(n)
}

// noise fills b with bytes by xorshift (Marsaglia 2003), the same for a seed. It
// never begins as a JPEG does.
func noise(b []byte, seed uint32) {
	x := uint64(seed)<<32 | 0x9e3779b9
	for i := 0; i < len(b); i += 8 {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
		var w [8]byte
		binary.LittleEndian.PutUint64(w[:], x)
		copy(b[i:], w[:])
	}
	if len(b) > 0 && b[0] == 0xff {
		b[0] = 0
	}
}
