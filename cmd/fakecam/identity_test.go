package main

import (
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Cameras of several processes, and of one, are told apart by all they say.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		args            string
		i               int
		card, usb, path string
		base            uint32
	}{
		{"", 0, "Fake HD Camera 0", "Fake_HD_Camera_0", "1-1", 0},
		{"-first 1", 0, "Fake HD Camera 1", "Fake_HD_Camera_1", "1-2", 1_000_000},
		{"-n 2", 1, "Fake HD Camera 1", "Fake_HD_Camera_1", "1-2", 1_000_000},
		{"-n 2 -metadata", 1, "Fake HD Camera 2", "Fake_HD_Camera_2", "1-3", 1_000_000},
		{"-first 1 -counter-base 77", 0, "Fake HD Camera 1", "Fake_HD_Camera_1", "1-2", 77},
		{"-n 2 -counter-base 77", 1, "Fake HD Camera 1", "Fake_HD_Camera_1", "1-2", 1_000_077},
		{"-name Face -serial A1", 0, "Face", "Face_A1", "1-1", 0},
		{"-n 2 -first 4 -name Exam.Cam -serial A", 1, "Exam.Cam 5", "Exam.Cam_5_A", "1-6", 5_000_000},
		{"-n 2 -serial A,B -port 1-2.4,3-1", 1, "Fake HD Camera 1", "Fake_HD_Camera_1_B", "3-1", 1_000_000},
		{"-n 2 -serial A, -product C920,Scope -vendor Logi", 1, "Scope", "Logi_Scope", "1-2", 1_000_000},
	} {
		o, err := parseOptions(strings.Fields(c.args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		id, base := o.identity(c.i), o.base(c.i)
		if id.product != c.card || id.idSerial() != c.usb || id.port != c.path || base != c.base {
			t.Errorf("%q: %+v, %s, from %d; want %+v", c.args, id, id.idSerial(), base, c)
		}
	}
	for _, bad := range []string{
		"-first -1", "-first 16", "-first 15 -n 2", "-counter-base -2", "-counter-base 4294967296", "-name a/b", "-serial ..%", "-n 3 -serial A,B", "-n 2 -port 1-2", "-port 1", "-port 0-1",
		"-port 1-2.", "-port 1-1.2.3.4.5.6.7", "-usb-id 12345:1", "-usb-id 1", "-usb-id :", "-product a/b", "-vendor a,b", "-uevent maybe", "-first 15 -metadata", "-n 9 -metadata",
	} {
		if _, err := parseOptions(strings.Fields(bad), io.Discard); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v, want an error", bad, err)
		}
	}
	if _, err := parseOptions([]string{"-name", ""}, io.Discard); err == nil {
		t.Error("a camera without a name")
	}
}

// The folders of sysfs by the port: one for each hub on the way.
func TestPaths(t *testing.T) {
	const root = "/devices/pci0000:00/0000:00:14.0/"
	for port, want := range map[string]string{
		"1-2": root + "usb1/1-2", "1-2.4": root + "usb1/1-2/1-2.4", "2-1.2.3": root + "usb2/2-1/2-1.2/2-1.2.3",
	} {
		d := identity{port: port}
		if got := d.usbPath(); got != want {
			t.Errorf("%s is at %s, want %s", port, got, want)
		}
		if got := d.nodePath(7); got != want+"/"+port+":1.0/video4linux/video7" {
			t.Errorf("its node is at %s", got)
		}
	}
	u := usb{identity{port: "2-1", vendor: 0x46d, model: 0x82d}, 5}
	if u.devname() != "bus/usb/002/005" || u.minor() != 132 || !strings.Contains(strings.Join(u.uevent(), " "), "PRODUCT=46d/82d/11") {
		t.Errorf("%s, minor %d, %v", u.devname(), u.minor(), u.uevent())
	}
}

// A tree of sysfs comes and goes; attributes that a camera lacks have no file.
func TestSysfs(t *testing.T) {
	s := sysfs(t.TempDir())
	u := usb{identity{product: "Cam", vendor: 0x46d, model: 0x82d, port: "1-2.4"}, 5}
	other := usb{identity{product: "Cam", serial: "X", port: "1-2.3"}, 6}
	for range 2 { // the second time in place of what a dead process left
		if err := s.plug(u, []int{3, 4}); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.plug(other, []int{0}); err != nil {
		t.Fatal(err)
	}
	for n, want := range map[string]string{"81:3": "0", "81:4": "1"} {
		dir, err := filepath.EvalSymlinks(filepath.Join(string(s), n))
		if err != nil || !strings.HasSuffix(dir, "/usb1/1-2/1-2.4/1-2.4:1.0/video4linux/video"+n[3:]) {
			t.Fatalf("%s leads to %s, %v", n, dir, err)
		}
		for file, want := range map[string]string{
			"index": want, "name": "Cam", "dev": n, "device/../idVendor": "046d", "device/../idProduct": "082d", "device/../busnum": "1",
			"device/../devnum": "5", "device/../devpath": "2.4", "device/../product": "Cam", "device/../../idVendor": "05e3", "device/bInterfaceClass": "0e",
		} {
			// By the real path: ".." behind a link is the link's target's parent.
			real, err := filepath.EvalSymlinks(filepath.Join(dir, strings.Split(file, "/")[0]))
			if err != nil {
				t.Fatal(err)
			}
			b, err := os.ReadFile(filepath.Join(real, strings.TrimPrefix(file, strings.Split(file, "/")[0])))
			if err != nil || strings.TrimSpace(string(b)) != want {
				t.Errorf("%s of %s is %q, %v; want %q", file, n, b, err, want)
			}
		}
		for link, want := range map[string]string{"subsystem": "video4linux", "device/subsystem": "usb"} {
			if to, err := os.Readlink(filepath.Join(dir, link)); err != nil || filepath.Base(to) != want {
				t.Errorf("%s leads to %s, %v", link, to, err)
			}
		}
	}
	for _, gone := range []string{"serial", "manufacturer"} {
		if _, err := os.Stat(s.at(filepath.Join(u.usbPath(), gone))); !os.IsNotExist(err) {
			t.Errorf("%s of a camera that has none: %v", gone, err)
		}
	}
	if err := s.unplug(u, []int{3, 4}); err != nil {
		t.Fatal(err)
	}
	for _, gone := range []string{"/../81:3", "/../81:4", "/class/video4linux/video3", u.usbPath()} {
		if _, err := os.Lstat(s.at(gone)); !os.IsNotExist(err) {
			t.Errorf("%s is left: %v", gone, err)
		}
	}
	if b, err := os.ReadFile(s.at(other.usbPath() + "/serial")); err != nil || string(b) != "X\n" {
		t.Errorf("the other camera's serial is %q, %v", b, err)
	}
	if err := sysfs("").plug(u, []int{3}); err != nil {
		t.Errorf("without sysfs: %v", err)
	}
}

// A name goes to the newest who wants it, and back.
func TestClaims(t *testing.T) {
	c := claims{t.TempDir()}
	for _, n := range []string{"video0", "video1", "video2"} {
		if err := os.WriteFile(filepath.Join(c.dev, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	const name = "v4l/by-id/usb-A"
	leads := func(want string) {
		t.Helper()
		got, err := os.Readlink(filepath.Join(c.dev, name))
		if want == "" && os.IsNotExist(err) {
			return
		}
		if err != nil || got != want {
			t.Errorf("the link leads to %q, %v; want %q", got, err, want)
		}
	}
	var claim [3]string
	for i := range claim {
		var err error
		target := "../../video" + string(rune('0'+i))
		if claim[i], err = c.take(name, target); err != nil {
			t.Fatal(err)
		}
		leads(target)
	}
	give := func(i int, want string) {
		t.Helper()
		if err := c.giveBack(name, claim[i]); err != nil {
			t.Error(err)
		}
		leads(want)
	}
	give(0, "../../video2") // who does not have it leaves it
	if err := os.Remove(filepath.Join(c.dev, "video1")); err != nil {
		t.Fatal(err)
	}
	give(2, "") // video1 died without a word
	if list, err := os.ReadDir(c.dev); err != nil || len(list) != 3 {
		t.Errorf("left are %v, %v", list, err) // video0, video2, v4l
	}
	// video1 was taken for dead, its claim is forgotten: giving it back changes nothing.
	newer, err := c.take(name, "../../video0")
	if err != nil {
		t.Fatal(err)
	}
	give(1, "../../video0")
	if err := c.giveBack(name, newer); err != nil {
		t.Error(err)
	}
	leads("")
}
