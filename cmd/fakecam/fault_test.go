package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"os/exec"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/camctl"
	"kioskd/cmd/fakecam/v4l2"
)

// raw is a camera without a library between: it shows bytesused as it is.
type raw struct {
	fd     int
	length uint32
	maps   [][]byte
}

// rawStream opens /dev/video0 and streams VGA with four buffers.
func rawStream(t *testing.T, pix uint32) *raw {
	t.Helper()
	r := &raw{fd: openFile(t, "/dev/video0", unix.O_NONBLOCK)}
	t.Cleanup(r.close)
	if err := ioctl(r.fd, sFmt, args(208, 1, 0, 640, 480, pix)); err != nil {
		t.Fatal(err)
	}
	if err := ioctl(r.fd, reqbufs, args(20, 4, 1, 1)); err != nil {
		t.Fatal(err)
	}
	for i := range uint32(4) {
		b := args(88, i, 1)
		if err := ioctl(r.fd, querybuf, b); err != nil {
			t.Fatal(err)
		}
		r.length = binary.NativeEndian.Uint32(b[72:])
		m, err := unix.Mmap(r.fd, int64(binary.NativeEndian.Uint32(b[64:])), int(r.length), unix.PROT_READ, unix.MAP_SHARED)
		if err != nil {
			t.Fatal(err)
		}
		r.maps = append(r.maps, m)
		if err := r.queue(i); err != nil {
			t.Fatal(err)
		}
	}
	if err := ioctl(r.fd, streamon, args(4, 1)); err != nil {
		t.Fatal(err)
	}
	return r
}

func (r *raw) close() {
	for _, m := range r.maps {
		_ = unix.Munmap(m)
	}
	_ = unix.Close(r.fd)
	r.maps, r.fd = nil, -1
}

func (r *raw) queue(i uint32) error {
	b := args(88, i, 1)
	binary.NativeEndian.PutUint32(b[60:], 1)
	return ioctl(r.fd, qbuf, b)
}

// next waits for a frame: its bytes, as far as its buffer has them, its bytesused
// and when it came.
func (r *raw) next(t *testing.T) (pix []byte, used uint32, at time.Time) {
	t.Helper()
	fds := []unix.PollFd{{Fd: int32(r.fd), Events: unix.POLLIN}}
	for {
		if n, err := unix.Poll(fds, 5000); !errors.Is(err, unix.EINTR) {
			if err != nil || n != 1 {
				t.Fatalf("no frame within 5 s: %v", err)
			}
			break
		}
	}
	b := args(88, 0, 1)
	binary.NativeEndian.PutUint32(b[60:], 1)
	if err := ioctl(r.fd, dqbuf, b); err != nil {
		t.Fatalf("DQBUF: %v", err)
	}
	at = time.Now()
	i := binary.NativeEndian.Uint32(b)
	used = binary.NativeEndian.Uint32(b[8:])
	pix = append(pix, r.maps[i][:min(used, r.length)]...)
	if err := r.queue(i); err != nil {
		t.Fatal(err)
	}
	return pix, used, at
}

// kind says what is wrong with a VGA frame.
func kind(pix uint32, b []byte, used, length uint32) string {
	if used > length {
		return "oversize"
	}
	if pix == v4l2.PixYUYV {
		switch used {
		case 640 * 480:
			return "short"
		case 320 * 240 * 2:
			return "wrongsize"
		}
		if lines := b[:640*2]; bytes.Equal(lines, b[640*2:2*640*2]) { // a block of the code is many lines high
			return "good"
		}
		return "garbage"
	}
	img, err := jpeg.Decode(bytes.NewReader(b))
	switch {
	case err != nil && bytes.HasPrefix(b, []byte{0xff, 0xd8}):
		return "short"
	case err != nil:
		return "garbage"
	case img.Bounds() == image.Rect(0, 0, 320, 240):
		return "wrongsize"
	case img.Bounds() == image.Rect(0, 0, 640, 480):
		return "good"
	}
	return fmt.Sprintf("picture of %v", img.Bounds())
}

// Each fault of pictures shows in frames soon after it is told, is counted, and
// is over soon after it is taken back; the camera streams all the while.
func TestPictureFaults(t *testing.T) {
	p := start(t)
	for _, pix := range []uint32{v4l2.PixYUYV, v4l2.PixMJPG} {
		r := rawStream(t, pix)
		for _, fault := range []string{"garbage", "short", "oversize", "wrongsize"} {
			before, err := p.Stats(0)
			if err != nil {
				t.Fatal(err)
			}
			for _, on := range []bool{true, false} {
				want := "good"
				if on {
					want = fault
				}
				if err := p.Fault(0, fault, on); err != nil {
					t.Fatal(err)
				}
				got := ""
				for range 12 { // up to four buffers and the frame that is being drawn are from before
					b, used, _ := r.next(t)
					if got = kind(pix, b, used, r.length); got == want {
						break
					}
				}
				if got != want {
					t.Errorf("%s, %s %v: frames are %s", formatName(pix), fault, on, got)
				}
			}
			after, err := p.Stats(0)
			if err != nil || after.Faults[fault] <= before.Faults[fault] || after.Frames-before.Frames < after.Faults[fault]-before.Faults[fault] {
				t.Errorf("%s: %s counted from %d to %d, %v", formatName(pix), fault, before.Faults[fault], after.Faults[fault], err)
			}
			if n, on, err := p.Openers(0); err != nil || n != 1 || !on {
				t.Errorf("%d openers, streaming %v, %v", n, on, err)
			}
		}
		r.close()
	}
}

// Uneven arrival: holes of several frames' time, and as many frames as ever.
func TestUneven(t *testing.T) {
	p := start(t)
	r := rawStream(t, v4l2.PixMJPG)
	if err := p.Fault(0, "uneven", true); err != nil {
		t.Fatal(err)
	}
	var first, last time.Time
	holes := 0
	const n = 41
	for i := range n {
		_, _, at := r.next(t)
		if i == 0 {
			first = at
		} else if at.Sub(last) > 100*time.Millisecond {
			holes++
		}
		last = at
	}
	st, err := p.Stats(0)
	if mean := last.Sub(first) / (n - 1); holes < 5 || mean < 25*time.Millisecond || err != nil || st.Faults["uneven"] < n-12 {
		t.Errorf("%d holes, a frame every %v, counted %d, %v", holes, mean, st.Faults["uneven"], err)
	}
}

// revoke: what udev does to open files when it takes a user's rights.
func TestRevoke(t *testing.T) {
	p := start(t)
	r := rawStream(t, v4l2.PixMJPG)
	r.next(t)
	if err := p.Fault(0, "revoke", true); err != nil {
		t.Fatal(err)
	}
	if err := ioctl(r.fd, querybuf, args(88, 0, 1)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("an open file after revoke: %v, want ENODEV", err)
	}
	if _, err := unix.Open("/dev/video0", unix.O_RDWR|unix.O_CLOEXEC, 0); !errors.Is(err, unix.EACCES) {
		t.Errorf("open after revoke: %v, want EACCES", err)
	}
	if n, on, err := p.Openers(0); err != nil || n != 1 || on {
		t.Errorf("%d openers, streaming %v, %v; want the dead file", n, on, err)
	}
	if err := p.Fault(0, "revoke", false); err != nil {
		t.Fatal(err)
	}
	if err := ioctl(r.fd, querybuf, args(88, 0, 1)); !errors.Is(err, unix.ENODEV) {
		t.Errorf("the old file came back to life: %v", err)
	}
	fresh := rawStream(t, v4l2.PixYUYV)
	fresh.next(t)
	r.close()
	eventually(t, "one opener", func() bool { n, on, err := p.Openers(0); return err == nil && n == 1 && on })
	if st, err := p.Stats(0); err != nil || st.Faults["revoked"] != 2 {
		t.Errorf("revoked %d, %v; want one file and one open", st.Faults["revoked"], err)
	}
}

// hang: open(2) and ioctl(2) come back late, and whole.
func TestHang(t *testing.T) {
	p := start(t)
	r := rawStream(t, v4l2.PixMJPG)
	const hang = 400 * time.Millisecond
	if err := p.Hang(0, hang); err != nil {
		t.Fatal(err)
	}
	since := time.Now()
	opened := make(chan int, 1)
	go func() {
		fd, err := unix.Open("/dev/video0", unix.O_RDWR|unix.O_CLOEXEC, 0)
		if err != nil {
			fd = -1
		}
		opened <- fd
	}()
	if err := ioctl(r.fd, querybuf, args(88, 0, 1)); err != nil || time.Since(since) < hang-50*time.Millisecond {
		t.Errorf("ioctl: %v after %v", err, time.Since(since))
	}
	fd := <-opened
	if took := time.Since(since); fd < 0 || took < hang-50*time.Millisecond {
		t.Errorf("open: %d after %v", fd, took)
	}
	r.next(t)
	if n, _, err := p.Openers(0); err != nil || n != 2 {
		t.Errorf("%d openers, %v", n, err)
	}
	_ = unix.Close(fd)
	if err := p.Hang(0, time.Minute); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- ioctl(r.fd, querybuf, args(88, 0, 1)) }()
	eventually(t, "a request that hangs", func() bool { return hung(t, p) == 3 })
	if err := p.Hang(0, 0); err != nil { // taken back
		t.Fatal(err)
	}
	if err := <-done; err != nil {
		t.Errorf("after the hang: %v", err)
	}
}

func hung(t *testing.T, p *camctl.Process) uint64 {
	t.Helper()
	st, err := p.Stats(0)
	if err != nil {
		t.Fatal(err)
	}
	return st.Faults["hung"]
}

// A process that hangs in the driver can be killed, and leaves no opener behind.
func TestHangInterrupted(t *testing.T) {
	p := start(t)
	if err := p.Hang(0, time.Minute); err != nil {
		t.Fatal(err)
	}
	for i, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL} {
		cmd := exec.Command("/bin/sh", "-c", "exec 3<>/dev/video0")
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		eventually(t, "an open that hangs", func() bool { return hung(t, p) == uint64(i+1) })
		if err := cmd.Process.Signal(sig); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		select {
		case <-ended:
		case <-time.After(5 * time.Second):
			t.Fatalf("%v does not end an open that hangs", sig)
		}
	}
	if err := p.Hang(0, 0); err != nil {
		t.Fatal(err)
	}
	eventually(t, "nobody left", func() bool { n, _, err := p.Openers(0); return err == nil && n == 0 })
}
