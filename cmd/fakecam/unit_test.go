package main

import (
	"bytes"
	"encoding/binary"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/fuse"
	"kioskd/cmd/fakecam/picture"
	"kioskd/cmd/fakecam/v4l2"
)

func TestParseCommand(t *testing.T) {
	roster := []called{{3, 3}, {4, 4}, {9, 5}}
	for line, want := range map[string]command{
		"unplug 3":          {verb: "unplug"},
		"plug 4":            {verb: "plug", camera: 1},
		"  stall   4  250 ": {verb: "stall", camera: 1, pause: 250 * time.Millisecond},
		"hang 3 0":          {verb: "hang"},
		"move 4 15":         {verb: "move", camera: 1, to: 15},
		"unplug 9":          {verb: "unplug", camera: 2},
		"unplug 5":          {verb: "unplug", camera: 2}, // what it was started with
		"control 3 gain":    {verb: "control", name: "gain"},
		"garbage 3 on":      {verb: "garbage", on: true},
		"short on":          {verb: "short", camera: -1, on: true},
		"oversize 4 off":    {verb: "oversize", camera: 1},
		"wrongsize 3 on":    {verb: "wrongsize", on: true},
		"uneven off":        {verb: "uneven", camera: -1},
		"revoke 3 on":       {verb: "revoke", on: true},
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
		if got, err := parseCommand(line, roster); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", line, got, err, want)
		}
	}
	for _, line := range []string{
		"", " ", "unplug", "unplug 2", "unplug 6", "unplug -1", "unplug 3 1", "unplug x", "stall 3", "stall 3 -1", "stall 3 3600001", "stall 3 x",
		"stall 3 1 1", "UNPLUG 3", "plug 99999999999999999999", "openers", "stats 3 0",
		"deny", "deny -1", "deny root", "deny 4294967295", "deny 2 all", "deny 3 all all", "allow", "allow 3 x", "shutter", "shutter 3", "shutter open",
		"hang 3", "hang 3 x", "hang 3 3600001", "move 3", "move 3 16", "move 3 -1", "move 3 x", "control 3", "control 3 a b",
		"garbage", "garbage 3", "garbage 7 on", "garbage 3 maybe", "short 3 on off", "revoked 3 on",
	} {
		if got, err := parseCommand(line, roster); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%q: %+v, %v; want an error", line, got, err)
		}
	}
}

func FuzzParseCommand(f *testing.F) {
	f.Add("unplug 0")
	f.Add("stall 1 500")
	f.Add("deny 1 65534")
	f.Add("shutter on")
	f.Add("move 1 9")
	f.Add("hang 0 250")
	f.Add("wrongsize 0 on")
	f.Add("control 1 zoom_absolute")
	f.Fuzz(func(t *testing.T, line string) {
		c, err := parseCommand(line, []called{{0, 0}, {7, 1}})
		if err != nil {
			if !strings.HasPrefix(err.Error(), "cannot ") {
				t.Errorf("%q: %v", line, err)
			}
			return
		}
		forAll := c.verb == "deny" || c.verb == "allow" || c.verb == "shutter" || slices.Contains(v4l2.Faults(), v4l2.Fault(c.verb))
		if c.camera < -1 || c.camera > 1 || c.camera < 0 && !forAll || c.pause < 0 || c.pause > maxPause ||
			c.to < 0 || c.to >= camns.MaxCameras || (c.verb == "control") != (c.name != "") {
			t.Errorf("%q: %+v", line, c)
		}
	})
}

func TestParseOptions(t *testing.T) {
	o, err := parseOptions(strings.Fields("-mount /m -dev /d -n 3 -mode store -fps 15 -scene webcam -only mjpeg -ctl /c -log /l -udev -first 2 -counter-base 7 -name Exam -serial A1,A2,A3 -product P -vendor V -usb-id 46D:82d -port 1-1,1-2.4,2-1 -metadata -sys /s -uevent off -shutter=false -one-bus"), io.Discard)
	want := options{
		mount: "/m", dev: "/d", n: 3, mode: fuse.Store, fps: 15, scene: picture.Webcam, only: v4l2.OnlyMJPEG, ctl: "/c", log: "/l", udev: true,
		first: 2, counterBase: 7, name: "Exam", oneBus: true, metadata: true, sys: "/s", uevents: ueventsOff,
		ids: []identity{
			{maker: "V", product: "P", serial: "A1", vendor: 0x46d, model: 0x82d, port: "1-1"},
			{maker: "V", product: "P", serial: "A2", vendor: 0x46d, model: 0x82d, port: "1-2.4"},
			{maker: "V", product: "P", serial: "A3", vendor: 0x46d, model: 0x82d, port: "2-1"},
		},
	}
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("%+v, %v; want %+v", o, err, want)
	}
	o, err = parseOptions(nil, io.Discard)
	want = options{
		mount: "/run/fakecam", n: 1, mode: fuse.Auto, scene: picture.Bars, counterBase: -1, name: "Fake HD Camera", shutter: true,
		sys: "auto", uevents: ueventsAuto, ids: []identity{{vendor: 0x1209, model: 0xca01}},
	}
	if err != nil || !reflect.DeepEqual(o, want) {
		t.Errorf("defaults %+v, %v; want %+v", o, err, want)
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
	u := usb{identity{product: "Exam Cam", serial: "S1", vendor: 0x46d, model: 0x82d, port: "1-2.4"}, 5}
	m := udevMessage(u, 0, 1, true, 77)
	if string(m[:8]) != "libudev\x00" || binary.BigEndian.Uint32(m[8:]) != udevMagic || binary.NativeEndian.Uint32(m[16:]) != 40 || int(binary.NativeEndian.Uint32(m[20:])) != len(m)-40 {
		t.Errorf("header % x", m[:40])
	}
	props := bytes.Split(bytes.TrimSuffix(m[40:], []byte{0}), []byte{0})
	for _, want := range []string{
		"ACTION=add", "SUBSYSTEM=video4linux", "DEVNAME=/dev/video1", "MINOR=1", "SEQNUM=77", "ID_SERIAL=Exam_Cam_S1", "ID_SERIAL_SHORT=S1", "ID_VENDOR_ID=046d",
		"ID_PATH=pci-0000:00:14.0-usb-0:2.4:1.0", "DEVPATH=/devices/pci0000:00/0000:00:14.0/usb1/1-2/1-2.4/1-2.4:1.0/video4linux/video1",
	} {
		if !strings.Contains(string(bytes.Join(props, []byte("\n")))+"\n", want+"\n") {
			t.Errorf("%s is not in %q", want, props)
		}
	}
	if !strings.Contains(string(udevMessage(u, 1, 2, false, 1)), "ACTION=remove\x00") {
		t.Error("no remove")
	}
	for s, want := range map[string]uint32{"": 0, "a": 0x92685f5e, "abcd": 0x26873021} {
		if got := murmur2([]byte(s)); got != want {
			t.Errorf("hash of %q is %#x, want %#x", s, got, want)
		}
	}
}
