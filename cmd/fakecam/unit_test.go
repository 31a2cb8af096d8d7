package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kioskd/cmd/fakecam/fuse"
	"kioskd/cmd/fakecam/picture"
	"kioskd/cmd/fakecam/v4l2"
)

func TestParseCommand(t *testing.T) {
	for line, want := range map[string]command{
		"unplug 3":          {verb: "unplug"},
		"plug 4":            {verb: "plug", camera: 1},
		"  stall   4  250 ": {verb: "stall", camera: 1, stall: 250 * time.Millisecond},
		"openers 4":         {verb: "openers", camera: 1},
		"stats 3":           {verb: "stats"},
		"deny 1000":         {verb: "deny", camera: -1, uid: 1000},
		"deny all":          {verb: "deny", camera: -1, all: true},
		"allow 4 0":         {verb: "allow", camera: 1},
		"allow 3 all":       {verb: "allow", all: true},
		"deny 4294967294":   {verb: "deny", camera: -1, uid: 4294967294},
		"shutter on":        {verb: "shutter", camera: -1, on: true},
		"shutter 4 off":     {verb: "shutter", camera: 1},
	} {
		if got, err := parseCommand(line, 3, 2); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{
		"", " ", "unplug", "unplug 2", "unplug 5", "unplug -1", "unplug 3 1", "unplug x", "stall 3", "stall 3 -1", "stall 3 3600001", "stall 3 x",
		"stall 3 1 1", "UNPLUG 3", "plug 99999999999999999999", "openers", "stats 3 0",
		"deny", "deny -1", "deny root", "deny 4294967295", "deny 2 all", "deny 3 all all", "allow", "allow 3 x", "shutter", "shutter 3", "shutter open",
	} {
		if got, err := parseCommand(line, 3, 2); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%q: %+v, %v; want an error", line, got, err)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add("unplug 0")
	f.Add("stall 1 500")
	f.Add("deny 1 65534")
	f.Add("shutter on")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseCommand(line, 0, 2)
		if err == nil && (c.camera < -1 || c.camera > 1 || c.camera < 0 && c.verb != "deny" && c.verb != "allow" && c.verb != "shutter" || c.stall < 0 || c.stall > maxStall) {
			t.Errorf("%q: %+v", line, c)
		}
	})
}

func TestParseOptions(t *testing.T) {
	o, err := parseOptions(strings.Fields("-mount /m -dev /d -n 3 -mode store -fps 15 -scene webcam -only mjpeg -ctl /c -log /l -udev -first 2 -counter-base 7 -name Exam -serial A1 -shutter=false -one-bus"), io.Discard)
	want := options{
		mount: "/m", dev: "/d", n: 3, mode: fuse.Store, fps: 15, scene: picture.Webcam, only: v4l2.OnlyMJPEG, ctl: "/c", log: "/l", udev: true,
		first: 2, counterBase: 7, name: "Exam", serial: "A1", oneBus: true,
	}
	if err != nil || o != want {
		t.Errorf("%+v, %v; want %+v", o, err, want)
	}
	o, err = parseOptions(nil, io.Discard)
	want = options{mount: "/run/fakecam", n: 1, mode: fuse.Auto, scene: picture.Bars, counterBase: -1, name: "Fake HD Camera", shutter: true}
	if err != nil || o != want {
		t.Errorf("defaults %+v, %v; want %+v", o, err, want)
	}
}

// Cameras of several processes, and of one, are told apart by all they say.
func TestNames(t *testing.T) {
	for _, c := range []struct {
		args      string
		i         int
		card, usb string
		base      uint32
	}{
		{"", 0, "Fake HD Camera 0", "Fake_HD_Camera_0", 0},
		{"-first 1", 0, "Fake HD Camera 1", "Fake_HD_Camera_1", 1_000_000},
		{"-n 2", 1, "Fake HD Camera 1", "Fake_HD_Camera_1", 1_000_000},
		{"-first 1 -counter-base 77", 0, "Fake HD Camera 1", "Fake_HD_Camera_1", 77},
		{"-n 2 -counter-base 77", 1, "Fake HD Camera 1", "Fake_HD_Camera_1", 1_000_077},
		{"-name Face -serial A1", 0, "Face", "Face_A1", 0},
		{"-n 2 -first 4 -name Exam.Cam -serial A", 1, "Exam.Cam 5", "Exam.Cam_5_A5", 5_000_000},
	} {
		o, err := parseOptions(strings.Fields(c.args), io.Discard)
		if err != nil {
			t.Fatal(err)
		}
		minor := o.first + c.i
		if card, usb, base := o.card(minor), o.usbName(minor), o.base(c.i); card != c.card || usb != c.usb || base != c.base {
			t.Errorf("%q: %s, %s, from %d; want %+v", c.args, card, usb, base, c)
		}
	}
	for _, bad := range []string{"-first -1", "-first 16", "-first 15 -n 2", "-counter-base -2", "-counter-base 4294967296", "-name a/b", "-serial ..%"} {
		if _, err := parseOptions(strings.Fields(bad), io.Discard); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v, want an error", bad, err)
		}
	}
	if _, err := parseOptions([]string{"-name", ""}, io.Discard); err == nil {
		t.Error("a camera without a name")
	}
}

func TestLink(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "v4l", "by-id", "cam")
	for _, target := range []string{"../../video0", "../../video1"} { // made, then replaced
		if err := link(name, target); err != nil {
			t.Fatal(err)
		}
		if got, err := os.Readlink(name); err != nil || got != target {
			t.Errorf("link to %q, %v", got, err)
		}
	}
	real := filepath.Join(dir, "video0")
	if err := os.WriteFile(real, []byte("a real camera"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := link(real, "x"); err == nil || !strings.HasPrefix(err.Error(), "cannot link") {
		t.Errorf("a real camera was replaced: %v", err)
	}
	if b, err := os.ReadFile(real); err != nil || string(b) != "a real camera" {
		t.Errorf("it is %q now, %v", b, err)
	}
	if err := link(filepath.Join(real, "below"), "x"); err == nil {
		t.Error("a link below a file was made")
	}
}

func TestMountPoint(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	for _, want := range []bool{true, false} {
		if made, err := mountPoint(dir); err != nil || made != want {
			t.Errorf("made %v, %v; want %v", made, err, want)
		}
	}
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := mountPoint(filepath.Join(file, "x")); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
		t.Errorf("mount point below a file: %v", err)
	}
}

func TestJournal(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log")
	j, err := openJournal(path)
	if err != nil {
		t.Fatal(err)
	}
	j.event(1, true)
	j.frame()(v4l2.Record{Kind: 'f', Minor: 1, Seq: 2, Mono: 3, Real: 4})
	j.frame()(v4l2.Record{Kind: 'd', Minor: 1, Seq: 3, Mono: 5, Real: 6})
	if err := j.close(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	lines := strings.Split(string(b), "\n")
	if err != nil || len(lines) != 4 || !strings.HasPrefix(lines[0], "e 1 true 0 ") || lines[1] != "f 1 2 3 4" || lines[2] != "d 1 3 5 6" {
		t.Errorf("%q, %v", b, err)
	}
	if _, err := openJournal(filepath.Join(path, "x")); err == nil {
		t.Error("a log below a file was opened")
	}
	var none *journal
	none.event(0, true)
	if none.frame() != nil || none.close() != nil {
		t.Error("no log keeps something")
	}
	full, err := openJournal("/dev/full")
	if err != nil {
		t.Fatal(err)
	}
	full.event(0, true)
	if err := full.close(); err == nil || !strings.HasPrefix(err.Error(), "cannot write") {
		t.Errorf("a full disk: %v", err)
	}
}

// The layout of libudev's message; the hash of the subsystem is what libudev
// filters by (MurmurHash2, seed 0).
func TestUdevMessage(t *testing.T) {
	m := udevMessage(1, true, 77)
	if string(m[:8]) != "libudev\x00" || binary.BigEndian.Uint32(m[8:]) != udevMagic || binary.NativeEndian.Uint32(m[16:]) != 40 || int(binary.NativeEndian.Uint32(m[20:])) != len(m)-40 {
		t.Errorf("header % x", m[:40])
	}
	props := bytes.Split(bytes.TrimSuffix(m[40:], []byte{0}), []byte{0})
	for _, want := range []string{"ACTION=add", "SUBSYSTEM=video4linux", "DEVNAME=/dev/video1", "MINOR=1", "SEQNUM=77"} {
		if !strings.Contains(string(bytes.Join(props, []byte("\n")))+"\n", want+"\n") {
			t.Errorf("%s is not in %q", want, props)
		}
	}
	if !strings.Contains(string(udevMessage(0, false, 1)), "ACTION=remove\x00") {
		t.Error("no remove")
	}
	for s, want := range map[string]uint32{"": 0, "a": 0x92685f5e, "abcd": 0x26873021} {
		if got := murmur2([]byte(s)); got != want {
			t.Errorf("hash of %q is %#x, want %#x", s, got, want)
		}
	}
}
