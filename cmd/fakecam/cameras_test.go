package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/camctl"
	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/v4l2"
)

const privacy = 0x009a0910 // V4L2_CID_PRIVACY

// beside runs one more fakecam, whose first camera is /dev/videoN.
func beside(t *testing.T, n int, args ...string) *camctl.Process {
	t.Helper()
	p, err := camctl.StartAt(context.Background(), os.Getenv(binaryEnv), camns.Camera(n), args...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("fakecam ended badly: %v", err)
		}
	})
	return p
}

// Two processes in one namespace: two cameras with names, buses, links, counters
// and control sockets of their own, of which one can go without the other.
func TestTwoProcesses(t *testing.T) {
	ctl := []*camctl.Process{start(t, "-serial", "AAA"), beside(t, 1, "-name", "Exam Scope", "-serial", "BBB")}
	want := []struct{ name, bus, id string }{
		{"Fake HD Camera 0", "usb-0000:00:14.0-1", "usb-Fake_HD_Camera_0_AAA-video-index0"},
		{"Exam Scope", "usb-0000:00:14.0-2", "usb-Exam_Scope_BBB-video-index0"},
	}
	var clients [2]*client
	for i, w := range want {
		path := fmt.Sprintf("/dev/video%d", i)
		c := open(t, path, v4l2.PixYUYV, 640, 480)
		defer c.Close()
		clients[i] = c
		name, err := c.GetName()
		if err != nil || name != w.name {
			t.Errorf("%s is called %q, %v", path, name, err)
		}
		if bus, err := c.GetBusInfo(); err != nil || bus != w.bus {
			t.Errorf("%s is at %q, %v", path, bus, err)
		}
		if to, err := os.Readlink("/dev/v4l/by-id/" + w.id); err != nil || to != fmt.Sprintf("../../video%d", i) {
			t.Errorf("%s points to %q, %v", w.id, to, err)
		}
		var st unix.Stat_t
		if err := unix.Stat(path, &st); err != nil || unix.Major(st.Rdev) != camns.Major || unix.Minor(st.Rdev) != uint32(i) {
			t.Errorf("%s is %d:%d, %v", path, unix.Major(st.Rdev), unix.Minor(st.Rdev), err)
		}
		for range 3 {
			if s := c.next(t); int(s.code.Counter)/1_000_000 != i {
				t.Errorf("a frame of %s is number %d", path, s.code.Counter)
			}
		}
	}
	for i, p := range ctl {
		if files, on, err := p.Openers(i); err != nil || files != 1 || !on {
			t.Errorf("camera %d: %d open files, streaming %v, %v", i, files, on, err)
		}
		if _, _, err := p.Openers(1 - i); err == nil || !strings.Contains(err.Error(), "cannot find camera") {
			t.Errorf("the process of camera %d has the other: %v", i, err)
		}
	}
	if err := ctl[0].Unplug(0); err != nil {
		t.Fatal(err)
	}
	clients[0].dies(t, time.Second, unix.ENODEV)
	clients[1].next(t)
	if _, err := os.Lstat("/dev/video1"); err != nil {
		t.Error(err)
	}
}

func TestCounterBase(t *testing.T) {
	start(t, "-n", "2", "-counter-base", "42")
	for i, want := range []uint32{42, 1_000_042} {
		c := open(t, fmt.Sprintf("/dev/video%d", i), v4l2.PixMJPG, 640, 480)
		if s := c.next(t); s.code.Counter < want || s.code.Counter > want+60 {
			t.Errorf("camera %d begins with %d, want %d", i, s.code.Counter, want)
		}
		_ = c.Close()
	}
}

// as runs f with the file access of another user, on a thread that ends with it.
func as(t *testing.T, uid int, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setfsuid(uid); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

func TestDeny(t *testing.T) {
	for _, mode := range []string{"passthrough", "store"} {
		p := launch(t, "-n", "2", "-mode", mode)
		c := open(t, "/dev/video0", v4l2.PixYUYV, 320, 240)
		opens := func(uid int, n int, want error) {
			t.Helper()
			as(t, uid, func() {
				fd, err := unix.Open(fmt.Sprintf("/dev/video%d", n), unix.O_RDWR|unix.O_CLOEXEC, 0)
				if !errors.Is(err, want) {
					t.Errorf("%s: open of %d by %d: %v, want %v", mode, n, uid, err, want)
				}
				if err == nil {
					_ = unix.Close(fd)
				}
			})
		}
		do := func(line string) {
			t.Helper()
			if _, err := p.Do(line); err != nil {
				t.Fatal(err)
			}
		}
		opens(1000, 0, nil)
		do("deny 1000")
		opens(1000, 0, unix.EACCES)
		opens(1000, 1, unix.EACCES)
		opens(0, 0, nil)
		do("allow 1 1000")
		opens(1000, 1, nil)
		opens(1000, 0, unix.EACCES)
		do("deny all")
		opens(0, 0, unix.EACCES)
		opens(0, 1, unix.EACCES)
		if err := unix.Access("/dev/video0", unix.R_OK|unix.W_OK); !errors.Is(err, unix.EACCES) {
			t.Errorf("%s: access(2) of root: %v, want EACCES", mode, err)
		}
		if _, err := os.Stat("/dev/video0"); err != nil {
			t.Errorf("%s: a denied camera is not there: %v", mode, err)
		}
		c.next(t) // who has it open keeps it
		do("unplug 1")
		opens(0, 1, unix.ENOENT)
		do("plug 1")
		opens(0, 1, unix.EACCES)
		do("allow all")
		opens(1000, 0, nil)
		_ = c.Close()
		if err := p.Stop(); err != nil {
			t.Error(err)
		}
	}
}

// A process that really is another user gets EACCES from the shell's open, too.
func TestDenyProcess(t *testing.T) {
	p := start(t)
	read := func() error {
		cmd := exec.Command("/bin/sh", "-c", "exec 3<>/dev/video0")
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: 65534}}
		return cmd.Run()
	}
	if err := read(); err != nil {
		t.Errorf("an open by nobody: %v", err)
	}
	if err := p.Deny(0, 65534); err != nil {
		t.Fatal(err)
	}
	if err := read(); err == nil {
		t.Error("nobody opens a camera that was denied")
	}
	if err := p.Allow(0, 65534); err != nil {
		t.Fatal(err)
	}
	if err := read(); err != nil {
		t.Errorf("an open by nobody after allow: %v", err)
	}
}

// The shutter: its control, black pictures, and everything as before after it.
func TestShutter(t *testing.T) {
	p := start(t, "-n", "2")
	for _, pix := range []uint32{v4l2.PixYUYV, v4l2.PixMJPG} {
		c := open(t, "/dev/video0", pix, 640, 480)
		c.noTear = true
		last := c.next(t)
		for _, closed := range []bool{true, false} {
			if err := p.Shutter(0, closed); err != nil {
				t.Fatal(err)
			}
			eventually(t, "pictures of the other kind", func() bool { return black(t, c.grab(t), pix) == closed })
			want := int32(0)
			if closed {
				want = 1
			}
			if v, err := c.GetControl(privacy); err != nil || v != want {
				t.Errorf("%s: privacy is %d, %v; want %d", formatName(pix), v, err, want)
			}
		}
		if s := c.next(t); s.code.Counter <= last.code.Counter {
			t.Errorf("%s: frame %d after %d", formatName(pix), s.code.Counter, last.code.Counter)
		}
		_ = c.Close()
	}
	if err := p.Shutter(1, true); err != nil {
		t.Fatal(err)
	}
	for n, want := range []int32{0, 1} {
		c, err := webcam.Open(fmt.Sprintf("/dev/video%d", n))
		if err != nil {
			t.Fatal(err)
		}
		if v, err := c.GetControl(privacy); err != nil || v != want {
			t.Errorf("camera %d: privacy is %d, %v; want %d", n, v, err, want)
		}
		if err := c.SetControl(privacy, 1-want); !errors.Is(err, unix.EACCES) {
			t.Errorf("camera %d: the shutter was moved by software: %v", n, err)
		}
		_ = c.Close()
	}
}

// black says whether a picture has nothing brighter than black where the code was.
func black(t *testing.T, s shot, pix uint32) bool {
	t.Helper()
	if pix == v4l2.PixMJPG {
		for _, y := range decode(t, s.pix).Y {
			if y > 20 {
				return false
			}
		}
		return true
	}
	for i := 0; i < len(s.pix); i += 2 {
		if s.pix[i] > 20 {
			return false
		}
	}
	return true
}

func TestWithoutShutter(t *testing.T) {
	p := start(t, "-shutter=false")
	if err := p.Shutter(0, true); err == nil || !strings.Contains(err.Error(), "cannot move the shutter of video0") {
		t.Errorf("a shutter that is not there: %v", err)
	}
	c, err := webcam.Open("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := c.GetControl(privacy); !errors.Is(err, unix.EINVAL) {
		t.Errorf("privacy: %v, want EINVAL", err)
	}
}

// -one-bus: as two webcams at a slow USB port.
func TestOneBus(t *testing.T) {
	start(t, "-n", "2", "-one-bus")
	c := open(t, "/dev/video0", v4l2.PixYUYV, 320, 240)
	fd := openFile(t, "/dev/video1", 0)
	defer unix.Close(fd)
	if err := streamOn(fd); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("second stream: %v, want ENOSPC", err)
	}
	c.next(t)
	_ = c.Close()
	eventually(t, "room on the bus", func() bool { return ioctl(fd, streamon, args(4, 1)) == nil })
	if _, err := dequeue(fd); err != nil {
		t.Error(err)
	}
}
