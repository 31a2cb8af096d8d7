package soundcard_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"kioskd/capture/soundcard"
)

// tree builds a sysfs as the kernel would.
type tree struct {
	t    *testing.T
	root string
}

func newTree(t *testing.T) tree { return tree{t, t.TempDir()} }

func (f tree) write(path, text string) {
	f.t.Helper()
	path = filepath.Join(f.root, path)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		f.t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text+"\n"), 0o600); err != nil {
		f.t.Fatal(err)
	}
}

// link makes at a relative symbolic link to the path to, both below the root.
func (f tree) link(at, to string) {
	f.t.Helper()
	for _, dir := range []string{filepath.Dir(at), to} {
		if err := os.MkdirAll(filepath.Join(f.root, dir), 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	up := strings.Repeat("../", strings.Count(at, "/"))
	if err := os.Symlink(up+to, filepath.Join(f.root, at)); err != nil {
		f.t.Fatal(err)
	}
}

// card puts card index's device at a path of the tree.
func (f tree) card(index int, device string) {
	sound := fmt.Sprintf("%s/sound/card%d", device, index)
	f.link(sound+"/device", device)
	f.link(fmt.Sprintf("class/sound/card%d", index), sound)
}

// usb puts a USB sound card at a port and gives it an index.
func (f tree) usb(index int, port, vendor, product, serial string) {
	dir := "devices/pci0000:00/0000:00:14.0/usb1/1-2/" + port
	f.write(dir+"/idVendor", vendor)
	f.write(dir+"/idProduct", product)
	if serial != "" {
		f.write(dir+"/serial", serial)
	}
	f.link(dir+"/"+port+":1.2/subsystem", "bus/usb")
	f.card(index, dir+"/"+port+":1.2")
}

func TestIdentities(t *testing.T) {
	f := newTree(t)
	f.usb(1, "1-2.4", "046d", "082d", "A1B2C3")
	f.usb(2, "1-2.3", "0d8c", "0014", "")
	f.card(0, "devices/pci0000:00/0000:00:1f.3")
	f.link("devices/pci0000:00/0000:00:1f.3/subsystem", "bus/pci")
	f.card(3, "devices/platform/snd_aloop.0")
	f.link("devices/platform/snd_aloop.0/subsystem", "bus/platform")
	f.card(4, "devices/odd")
	got := soundcard.Identify(f.root, soundcard.Capture,
		soundcard.Card(1, "C920", "HD Pro Webcam C920", 0), soundcard.Card(2, "Device", "USB Audio Device", 0), soundcard.Card(0, "PCH", "HDA Intel", 0, 2),
		soundcard.Card(3, "Loopback", "Loopback", 0, 1), soundcard.Card(4, "Odd", "Odd"), soundcard.Card(5, "Virtual", "Virtual", 0))
	want := []soundcard.Info{
		{Base: "usb-046d-082d-A1B2C3-mic", Port: "usb-1-2.4", Where: "USB port 1-2.4", Device: "plughw:CARD=C920,DEV=0", Name: "HD Pro Webcam C920 USB Audio"},
		{Base: "usb-1-2.3-mic", Port: "usb-1-2.3", Where: "USB port 1-2.3", Device: "plughw:CARD=Device,DEV=0", Name: "USB Audio Device"},
		{Base: "pci-0000_00_1f.3-mic", Port: "pci-0000_00_1f.3", Where: "PCI slot 0000:00:1f.3", Device: "plughw:CARD=PCH,DEV=0", Name: "HDA Intel USB Audio"},
		{Base: "pci-0000_00_1f.3-mic2", Port: "pci-0000_00_1f.3", Where: "PCI slot 0000:00:1f.3", Device: "plughw:CARD=PCH,DEV=2", Name: "HDA Intel USB Audio"},
		{Base: "platform-snd_aloop.0-mic", Port: "platform-snd_aloop.0", Where: "built in (snd_aloop.0)", Device: "plughw:CARD=Loopback,DEV=0", Name: "Loopback USB Audio"},
		{Base: "platform-snd_aloop.0-mic1", Port: "platform-snd_aloop.0", Where: "built in (snd_aloop.0)", Device: "plughw:CARD=Loopback,DEV=1", Name: "Loopback USB Audio"},
		{Base: "card-Virtual-mic", Where: "sound card Virtual", Device: "plughw:CARD=Virtual,DEV=0", Name: "Virtual USB Audio"},
	}
	if len(got) != len(want) {
		t.Fatalf("%+v", got)
	}
	for i, w := range want {
		w.ID = w.Base
		got[i].Card = ""
		if got[i] != w {
			t.Errorf("%+v\nwant %+v", got[i], w)
		}
	}
	speakers := soundcard.Identify(f.root, soundcard.Playback, soundcard.Card(1, "C920", "C920", 0))
	if len(speakers) != 1 || speakers[0].ID != "usb-046d-082d-A1B2C3-speaker" {
		t.Errorf("%+v", speakers)
	}
}

// Another order of plugging, another port: the serial number says it is the same.
func TestRenumberedKeepsItsID(t *testing.T) {
	before, after := newTree(t), newTree(t)
	before.usb(1, "1-2.4", "046d", "082d", "A1B2C3")
	before.usb(2, "1-2.3", "0d8c", "0014", "")
	after.usb(7, "1-2.1", "046d", "082d", "A1B2C3")
	after.usb(1, "1-2.3", "0d8c", "0014", "")
	was := soundcard.Identify(before.root, soundcard.Capture, soundcard.Card(1, "C920", "C920", 0), soundcard.Card(2, "Device", "Device", 0))
	is := soundcard.Identify(after.root, soundcard.Capture, soundcard.Card(1, "Device", "Device", 0), soundcard.Card(7, "C920_1", "C920", 0))
	if was[0].ID != is[1].ID || was[1].ID != is[0].ID {
		t.Errorf("%+v\n%+v", was, is)
	}
	if is[1].Device != "plughw:CARD=C920_1,DEV=0" || is[1].Port != "usb-1-2.1" {
		t.Errorf("%+v", is[1])
	}
}

func TestOneSerialTwice(t *testing.T) {
	f := newTree(t)
	f.usb(1, "1-2.4", "0d8c", "0014", "0000")
	f.usb(2, "1-2.3", "0d8c", "0014", "0000")
	got := soundcard.Identify(f.root, soundcard.Capture, soundcard.Card(1, "Device", "Device", 0), soundcard.Card(2, "Device_1", "Device", 0))
	for i, want := range []string{"usb-0d8c-0014-0000-mic-at-usb-1-2.4", "usb-0d8c-0014-0000-mic-at-usb-1-2.3"} {
		if got[i].ID != want || got[i].Base != "usb-0d8c-0014-0000-mic" {
			t.Errorf("%+v, want ID %s", got[i], want)
		}
	}
	// Without sysfs the card's own id is left, and it is alsa-lib's to be unique.
	blind := soundcard.Identify(filepath.Join(f.root, "nothing"), soundcard.Capture, soundcard.Card(1, "X", "X", 0), soundcard.Card(2, "X", "X", 0))
	if blind[0].ID != "card-X-mic" || blind[1].ID != "card-X-mic-2" {
		t.Errorf("%+v", blind)
	}
}

func TestListIsWhatTheMachineHas(t *testing.T) {
	for stream, pattern := range map[soundcard.Stream]string{soundcard.Capture: "/dev/snd/pcm*c", soundcard.Playback: "/dev/snd/pcm*p"} {
		infos, err := soundcard.List(stream)
		if err != nil || infos == nil {
			t.Fatalf("%v, %v", infos, err)
		}
		nodes, err := filepath.Glob(pattern)
		if err != nil || len(infos) != len(nodes) {
			t.Errorf("%d listed, %d nodes: %+v", len(infos), len(nodes), infos)
		}
	}
}

// A serial number is whatever the device says.
func FuzzIdentity(f *testing.F) {
	f.Add("046d", "082d", "A1B2C3", "C920")
	f.Add("", "", "", "")
	f.Add("0d8c", "0014", strings.Repeat("long ", 50), strings.Repeat("x", 200))
	f.Add("../..", "\x00", "\xff\xfe a\u00fcß/\\", "-at-")
	allowed := regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	f.Fuzz(func(t *testing.T, vendor, product, serial, id string) {
		f := newTree(t)
		f.usb(1, "1-2.4", vendor, product, serial)
		f.usb(2, "1-2.3", vendor, product, serial)
		got := soundcard.Identify(f.root, soundcard.Capture, soundcard.Card(1, id, id, 0, 1, 31), soundcard.Card(2, id, id, 0), soundcard.Card(3, id, id, 0))
		seen := map[string]bool{}
		for _, i := range got {
			if !allowed.MatchString(i.ID) || !allowed.MatchString(i.Base) || seen[i.ID] {
				t.Errorf("ID %q, base %q, seen %t", i.ID, i.Base, seen[i.ID])
			}
			seen[i.ID] = true
		}
		if len(got) != 5 {
			t.Errorf("%d devices", len(got))
		}
	})
}
