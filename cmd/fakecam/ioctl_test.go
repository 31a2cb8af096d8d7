package main

import (
	"encoding/binary"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Requests of videodev2.h for tests without a library; numbers are written out
// here, so that they check those of package v4l2.
const (
	reqbufs  = 0xc0145608
	qbuf     = 0xc058560f
	dqbuf    = 0xc0585611
	querybuf = 0xc0585609
	streamon = 0x40045612
	gFmt     = 0xc0d05604
	sFmt     = 0xc0d05605
)

func ioctl(fd int, code uintptr, arg []byte) error {
	if _, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(fd), code, uintptr(unsafe.Pointer(&arg[0]))); e != 0 {
		return e
	}
	return nil
}

func args(n int, v ...uint32) []byte {
	b := make([]byte, n)
	for i, x := range v {
		binary.NativeEndian.PutUint32(b[4*i:], x)
	}
	return b
}

// word is the 32-bit word at off.
func word(b []byte, off int) uint32 { return binary.NativeEndian.Uint32(b[off:]) }

// streamOn asks for two buffers, queues them and starts the camera.
func streamOn(fd int) error {
	if err := ioctl(fd, reqbufs, args(20, 2, 1, 1)); err != nil {
		return err
	}
	for i := range uint32(2) {
		b := args(88, i, 1)
		binary.NativeEndian.PutUint32(b[60:], 1) // memory: MMAP
		if err := ioctl(fd, qbuf, b); err != nil {
			return err
		}
	}
	return ioctl(fd, streamon, args(4, 1))
}

// dequeue takes a frame and returns its sequence number.
func dequeue(fd int) (uint32, error) {
	b := args(88, 0, 1)
	binary.NativeEndian.PutUint32(b[60:], 1)
	err := ioctl(fd, dqbuf, b)
	return binary.NativeEndian.Uint32(b[56:]), err
}
