package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/v4l2"
)

// attribute reads one of the camera's USB device, found as a program finds it.
func attribute(t *testing.T, minor int, name string) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(fmt.Sprintf("%s/81:%d", camns.CharDir, minor))
	if err != nil {
		t.Fatal(err)
	}
	for ; dir != "/"; dir = filepath.Dir(dir) {
		if _, err := os.Stat(dir + "/idVendor"); err == nil {
			break
		}
	}
	b, err := os.ReadFile(dir + "/" + name)
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(dir) + " " + strings.TrimSpace(string(b))
}

// leads says which node a link of the devices' folder leads to.
func leads(t *testing.T, name string) string {
	t.Helper()
	to, err := os.Readlink(filepath.Join(camns.DevDir, name))
	if errors.Is(err, os.ErrNotExist) {
		return "none"
	}
	if err != nil {
		t.Fatal(err)
	}
	return filepath.Base(to)
}

// Two of one serial, in two processes: one link by-id, two by-path, and sysfs
// tells them apart by port.
func TestTwins(t *testing.T) {
	same := []string{"-serial", "S1", "-product", "HD Cam", "-vendor", "Acme", "-usb-id", "046d:082d"}
	a := start(t, append(same, "-port", "1-2.3")...)
	b := beside(t, 1, append(same, "-port", "1-2.4")...)
	const id = "v4l/by-id/usb-Acme_HD_Cam_S1-video-index0"
	for i, port := range []string{"1-2.3", "1-2.4"} {
		for name, want := range map[string]string{"serial": "S1", "product": "HD Cam", "manufacturer": "Acme", "idVendor": "046d", "idProduct": "082d", "busnum": "1"} {
			if got := attribute(t, i, name); got != port+" "+want {
				t.Errorf("%s of camera %d is %q", name, i, got)
			}
		}
		if got := leads(t, "v4l/by-path/pci-0000:00:14.0-usb-0:"+port[2:]+":1.0-video-index0"); got != fmt.Sprintf("video%d", i) {
			t.Errorf("by-path of camera %d leads to %s", i, got)
		}
	}
	if got := leads(t, id); got != "video1" {
		t.Errorf("by-id leads to %s, want the last", got)
	}
	for _, step := range []struct {
		do   func() error
		want string
	}{
		{func() error { return b.Unplug(1) }, "video0"},
		{func() error { return b.Plug(1) }, "video1"},
		{func() error { return a.Unplug(0) }, "video1"},
		{func() error { return b.Unplug(1) }, "none"},
		{func() error { return a.Plug(0) }, "video0"},
	} {
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		if got := leads(t, id); got != step.want {
			t.Errorf("by-id leads to %s, want %s", got, step.want)
		}
	}
}

// A camera without a serial has no such file, and none of its life is left in
// sysfs after an unplug.
func TestNoSerial(t *testing.T) {
	p := start(t)
	if got := attribute(t, 0, "serial"); got != "none" {
		t.Errorf("serial %q", got)
	}
	first := attribute(t, 0, "devnum")
	if err := p.Unplug(0); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Lstat(camns.CharDir + "/81:0"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the entry is left: %v", err)
	}
	if err := p.Plug(0); err != nil {
		t.Fatal(err)
	}
	if again := attribute(t, 0, "devnum"); again == first {
		t.Errorf("devnum is %s at both plugs", again)
	}
}

// move: another number at the same port; old handles are dead, both numbers call it.
func TestMove(t *testing.T) {
	p := start(t, "-n", "2", "-serial", "A,B")
	c := open(t, "/dev/video0", v4l2.PixMJPG, 640, 480)
	defer c.Close()
	for line, want := range map[string]string{"move 0 1": "another camera has it", "move 0 16": "use 0 to 15"} {
		if _, err := p.Do(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", line, err)
		}
	}
	c.next(t)
	called := func(n int) { // what stat(2) says, also of a number that it was asked for before
		t.Helper()
		var st unix.Stat_t
		if err := unix.Stat(fmt.Sprintf("/dev/video%d", n), &st); err != nil || int(unix.Minor(st.Rdev)) != n {
			t.Errorf("/dev/video%d has minor %d, %v", n, unix.Minor(st.Rdev), err)
		}
	}
	called(0)
	called(1)
	if err := p.Move(0, 5); err != nil {
		t.Fatal(err)
	}
	c.dies(t, time.Second, unix.ENODEV)
	if leads(t, "video0") != "none" || leads(t, "video5") != "video5" || attribute(t, 5, "serial") != "1-1 A" {
		t.Errorf("after the move: video0 %s, serial at 5 %s", leads(t, "video0"), attribute(t, 5, "serial"))
	}
	if got := leads(t, "v4l/by-id/usb-Fake_HD_Camera_0_A-video-index0"); got != "video5" {
		t.Errorf("by-id leads to %s", got)
	}
	called(5)
	d := open(t, "/dev/video5", v4l2.PixYUYV, 640, 480)
	defer d.Close()
	d.next(t)
	for _, n := range []int{0, 5} {
		if files, on, err := p.Openers(n); err != nil || files != 2 || !on { // one of them dead
			t.Errorf("camera %d: %d openers, streaming %v, %v", n, files, on, err)
		}
	}
	if err := p.Move(1, 0); err != nil { // two cables swapped
		t.Fatal(err)
	}
	if err := p.Move(5, 1); err != nil {
		t.Fatal(err)
	}
	called(0)
	called(1)
	if a, b := attribute(t, 1, "serial"), attribute(t, 0, "serial"); a != "1-1 A" || b != "1-2 B" {
		t.Errorf("swapped: %s at 1, %s at 0", a, b)
	}
	if st, err := p.Stats(1); err != nil || st.Faults["moved"] != 2 {
		t.Errorf("moved %d times, %v", st.Faults["moved"], err)
	}
}

// -metadata: a second node that no program may take for a camera.
func TestMetadata(t *testing.T) {
	p := start(t, "-n", "2", "-metadata", "-serial", "A,B")
	for n, want := range map[int]uint32{0: 0x04200001, 1: 0x00a00000, 2: 0x04200001, 3: 0x00a00000} {
		fd := openFile(t, fmt.Sprintf("/dev/video%d", n), 0)
		b := args(104)
		if err := ioctl(fd, 0x80685600, b); err != nil {
			t.Fatal(err)
		}
		caps, format := word(b, 88), ioctl(fd, 0xc0405602, args(64, 0, 1)) // ENUM_FMT of pictures
		if caps != want || (format == nil) != (want&1 == 1) {
			t.Errorf("video%d has capabilities %#x, pictures: %v", n, caps, format)
		}
		_ = unix.Close(fd)
	}
	if got := attribute(t, 3, "serial"); got != "1-3 B" {
		t.Errorf("serial by the metadata node: %s", got)
	}
	if got := leads(t, "v4l/by-id/usb-Fake_HD_Camera_0_A-video-index1"); got != "video1" {
		t.Errorf("index1 leads to %s", got)
	}
	if err := p.Unplug(0); err != nil {
		t.Fatal(err)
	}
	if leads(t, "video1") != "none" || leads(t, "video2") != "video2" {
		t.Error("the node stays without its camera, or the other camera went")
	}
}

// hear hears uevents of the kernel (group 1) or of udev (group 2).
func hear(t *testing.T, group uint32) func(devpath string) []string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	tv := unix.Timeval{Sec: 5}
	if err := errors.Join(unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv),
		unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: group})); err != nil {
		t.Fatal(err)
	}
	return func(devpath string) []string {
		t.Helper()
		b := make([]byte, 8192)
		for {
			n, _, err := unix.Recvfrom(fd, b, 0)
			if err != nil {
				t.Fatalf("no uevent of %s: %v", devpath, err)
			}
			if f := strings.Split(string(b[:n]), "\x00"); slices.Contains(f, "DEVPATH="+devpath) {
				return f
			}
		}
	}
}

// The kernel speaks at plug, unplug and move, of folders that are in sysfs.
func TestUevents(t *testing.T) {
	kernel, udev := hear(t, 1), hear(t, udevGroup)
	p := start(t, "-port", "1-7.5", "-uevent", "on", "-udev")
	const device = "/devices/pci0000:00/0000:00:14.0/usb1/1-7/1-7.5"
	const videos = device + "/1-7.5:1.0/video4linux/video"
	heard := func(action, path string, want ...string) {
		t.Helper()
		f := kernel(path)
		for _, w := range append(want, action+"@"+path, "ACTION="+action) {
			if !slices.Contains(f, w) {
				t.Errorf("%s is not in %q", w, f)
			}
		}
		if !slices.ContainsFunc(f, func(s string) bool { return strings.HasPrefix(s, "SEQNUM=") }) {
			t.Errorf("no number of the kernel's in %q", f)
		}
	}
	heard("add", device, "SUBSYSTEM=usb", "DEVTYPE=usb_device")
	heard("add", videos+"0", "SUBSYSTEM=video4linux", "MAJOR=81", "MINOR=0", "DEVNAME=video0")
	if f := udev(videos + "0"); !slices.Contains(f, "ACTION=add") || !slices.Contains(f, "DEVNAME=/dev/video0") {
		t.Errorf("udev says %q", f)
	}
	real, err := filepath.EvalSymlinks(camns.CharDir + "/81:0")
	if err != nil || !strings.HasSuffix(real, videos+"0") {
		t.Errorf("sysfs has it at %s, %v", real, err)
	}
	if err := p.Move(0, 3); err != nil {
		t.Fatal(err)
	}
	heard("remove", videos+"0", "DEVNAME=video0")
	heard("remove", device)
	heard("add", videos+"3", "DEVNAME=video3", "MINOR=3")
	if err := p.Unplug(0); err != nil {
		t.Fatal(err)
	}
	heard("remove", videos+"3")
}

// Controls are read from outside as a program has set them.
func TestControlValue(t *testing.T) {
	p := start(t)
	c, err := webcam.Open("/dev/video0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	const autoExposure, exposure = 0x009a0901, 0x009a0902
	if v, inactive, err := p.Control(0, "exposure_time_absolute"); err != nil || v != 250 || !inactive {
		t.Errorf("exposure is %d, inactive %v, %v", v, inactive, err)
	}
	if err := c.SetControl(exposure, 100); err == nil {
		t.Error("exposure was set while it is automatic")
	}
	if err := errors.Join(c.SetControl(autoExposure, 1), c.SetControl(exposure, 100)); err != nil {
		t.Fatal(err)
	}
	if v, inactive, err := p.Control(0, "exposure_time_absolute"); err != nil || v != 100 || inactive {
		t.Errorf("exposure is %d, inactive %v, %v", v, inactive, err)
	}
	if _, _, err := p.Control(0, "warp"); err == nil {
		t.Error("a control that is not there was read")
	}
}
