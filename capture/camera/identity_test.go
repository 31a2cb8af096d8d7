package camera

import (
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// tree is a sysfs below a folder of the test's.
type tree struct {
	t    *testing.T
	root string
}

// write makes the attributes of one folder.
func (s tree) write(dir string, attributes ...string) {
	s.t.Helper()
	dir = filepath.Join(s.root, dir)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		s.t.Fatal(err)
	}
	for i := 0; i < len(attributes); i += 2 {
		if err := os.WriteFile(filepath.Join(dir, attributes[i]), []byte(attributes[i+1]+"\n"), 0o600); err != nil {
			s.t.Fatal(err)
		}
	}
}

// node makes the node 81:minor in an interface, or any folder, and its link.
func (s tree) node(parent string, minor int, attributes ...string) {
	s.t.Helper()
	dir := filepath.Join(parent, "video4linux", fmt.Sprintf("video%d", minor))
	s.write(dir, attributes...)
	if err := os.MkdirAll(filepath.Join(s.root, "dev/char"), 0o755); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(filepath.Join("../..", dir), filepath.Join(s.root, "dev/char", fmt.Sprintf("81:%d", minor))); err != nil {
		s.t.Fatal(err)
	}
}

const (
	rootHub  = "devices/pci0000:00/0000:00:14.0/usb1"
	onHub    = rootHub + "/1-2/1-2.4"
	video    = onHub + "/1-2.4:1.0"
	infrared = onHub + "/1-2.4:1.2"
	platform = "devices/platform/soc/csi0"
)

// machine is a sysfs with a camera on a hub, one that has two in it, and one that
// is on no USB.
func machine(t *testing.T, device ...string) tree {
	s := tree{t, t.TempDir()}
	s.write(rootHub, "idVendor", "1d6b", "idProduct", "0002", "serial", "0000:00:14.0")
	s.write(rootHub+"/1-2", "idVendor", "05e3", "idProduct", "0608", "product", "USB2.0 Hub")
	s.write(onHub, append([]string{"idVendor", "046d", "idProduct", "082d", "product", "HD Pro Webcam C920"}, device...)...)
	s.write(video, "bInterfaceNumber", "00")
	s.write(infrared, "bInterfaceNumber", "02")
	s.node(video, 0, "index", "0", "name", "HD Pro Webcam C920")
	s.node(video, 1, "index", "1", "name", "HD Pro Webcam C920")
	s.node(infrared, 2, "index", "0", "name", "Infrared")
	s.node(platform, 3, "index", "0", "name", "unicam")
	return s
}

func TestReadIdentity(t *testing.T) {
	for _, c := range []struct {
		name  string
		minor uint32
		with  []string
		want  identity
		base  string
	}{
		{
			"a camera", 0,
			[]string{"serial", "2F9A6B1E"},
			identity{"046d", "082d", "2F9A6B1E", "1-2.4", "00", 0, "HD Pro Webcam C920"},
			"usb-046d-082d-2F9A6B1E",
		},
		{
			"its metadata", 1,
			[]string{"serial", "2F9A6B1E"},
			identity{"046d", "082d", "2F9A6B1E", "1-2.4", "00", 1, "HD Pro Webcam C920"},
			"usb-046d-082d-2F9A6B1E-index1",
		},
		{
			"a second one in it", 2,
			[]string{"serial", "2F9A6B1E"},
			identity{"046d", "082d", "2F9A6B1E", "1-2.4", "02", 0, "Infrared"},
			"usb-046d-082d-2F9A6B1E-if02",
		},
		{"no serial", 0, nil, identity{"046d", "082d", "", "1-2.4", "00", 0, "HD Pro Webcam C920"}, "usb-1-2.4"},
		{"no serial, second one", 2, nil, identity{"046d", "082d", "", "1-2.4", "02", 0, "Infrared"}, "usb-1-2.4-if02"},
		{"zeros", 0, []string{"serial", "0000"}, identity{"046d", "082d", "", "1-2.4", "00", 0, "HD Pro Webcam C920"}, "usb-1-2.4"},
		{"spaces inside", 0, []string{"serial", " SN 00/7 "}, identity{"046d", "082d", "SN 00/7", "1-2.4", "00", 0, "HD Pro Webcam C920"}, "usb-046d-082d-SN_00_7"},
		{"on no USB", 3, nil, identity{name: "unicam"}, ""},
	} {
		s := machine(t, c.with...)
		got, ok := readIdentity(s.root, 81, c.minor)
		if !ok || got != c.want || got.base() != c.base {
			t.Errorf("%s: %+v, %v, base %q; want %+v, %q", c.name, got, ok, got.base(), c.want, c.base)
		}
	}
	s := machine(t)
	for _, c := range []struct {
		sys          string
		major, minor uint32
	}{{s.root, 81, 9}, {s.root, 82, 0}, {s.root + "/nowhere", 81, 0}} {
		if got, ok := readIdentity(c.sys, c.major, c.minor); ok || got != (identity{}) {
			t.Errorf("%+v: %+v", c, got)
		}
	}
}

// TestOddSysfs: what is wrong or too large there does no harm.
func TestOddSysfs(t *testing.T) {
	s := tree{t, t.TempDir()}
	s.write("devices/x", "idVendor", "46d", "idProduct", "082d", "serial", "A1")
	s.write("devices/x/1-2;rm -rf", "idVendor", "046d", "idProduct", "082d", "serial", strings.Repeat("A", 100_000))
	s.node("devices/x", 0, "index", "-5", "name", "\x1b[31mred")
	s.node("devices/x/1-2;rm -rf", 1, "index", "no number")
	if got, ok := readIdentity(s.root, 81, 0); !ok || got != (identity{name: "[31mred"}) {
		t.Errorf("a vendor of three digits: %+v, %v", got, ok)
	}
	got, ok := readIdentity(s.root, 81, 1)
	if !ok || got.serial != "" || got.index != 0 || got.base() != "usb-1-2_rm_-rf" {
		t.Errorf("an odd device: %+v, %v, %q", got, ok, got.base())
	}
}

func TestSerialNumber(t *testing.T) {
	for in, want := range map[string]string{
		"": "", " ": "", "0": "", "0000000000": "", "00.00-00": "", "---": "", "\x01\x02": "", "AB\x00C": "", "Ä1": "",
		"0001": "0001", "A": "A", " 12 ": "12", "SN:1/2": "SN:1/2",
		strings.Repeat("9", maxSerial):   strings.Repeat("9", maxSerial),
		strings.Repeat("9", maxSerial+1): "",
	} {
		if got := serialNumber(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestIdentifier(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "///": "", "/dev/video0": "dev_video0", "a b  c": "a_b_c", "usb-0000:00:14.0-2.4": "usb-0000_00_14.0-2.4", "ÄÖ": "",
		"x ": "x", strings.Repeat("z", 300): strings.Repeat("z", maxName-40),
	} {
		if got := identifier(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestSetIDs(t *testing.T) {
	plain := regexp.MustCompile(`^[A-Za-z0-9._-]{1,128}$`)
	long := identity{vendor: "046d", product: "082d", serial: strings.Repeat("S", maxSerial), port: "15-10.10.10.10.10.10", function: "0f", index: 64}
	for _, c := range []struct {
		name  string
		cams  []Info // Base and Port
		wants []string
	}{
		{"one", []Info{{Base: "usb-a-b-1", Port: "usb-1-1"}}, []string{"usb-a-b-1"}},
		{"two of one serial", []Info{{Base: "s", Port: "usb-1-1"}, {Base: "t", Port: "usb-1-2"}, {Base: "s", Port: "usb-1-3"}}, []string{"s-at-usb-1-1", "t", "s-at-usb-1-3"}},
		{"no serials", []Info{{Base: "usb-1-1", Port: "usb-1-1"}, {Base: "usb-1-2", Port: "usb-1-2"}}, []string{"usb-1-1", "usb-1-2"}},
		{"one port", []Info{{Base: "s", Port: "usb-1-1"}, {Base: "s", Port: "usb-1-1"}, {Base: "s", Port: "usb-1-1"}}, []string{"s-at-usb-1-1", "s-at-usb-1-1-2", "s-at-usb-1-1-3"}},
		{"no port", []Info{{Base: "s"}, {Base: "s"}}, []string{"s", "s-2"}},
		{"one is called like another's count", []Info{{Base: "s"}, {Base: "s-2"}, {Base: "s"}}, []string{"s", "s-2", "s-3"}},
		{"longest", []Info{{Base: long.base(), Port: long.portName()}, {Base: long.base(), Port: long.portName()}}, []string{
			long.base() + "-at-usb-15-10.10.10.10.10.10", long.base() + "-at-usb-15-10.10.10.10.10.10-2",
		}},
	} {
		setIDs(c.cams)
		var got []string
		for _, i := range c.cams {
			got = append(got, i.ID)
			if !plain.MatchString(i.ID) {
				t.Errorf("%s: the ID %q is none", c.name, i.ID)
			}
		}
		if !reflect.DeepEqual(got, c.wants) {
			t.Errorf("%s: %q, want %q", c.name, got, c.wants)
		}
	}
}

// TestIdentify: which of the names counts.
func TestIdentify(t *testing.T) {
	usb := identity{vendor: "046d", product: "082d", serial: "S1", port: "1-2.4", function: "00", name: "C920"}
	for _, c := range []struct {
		name string
		id   identity
		link stableName
		bus  string
		want Info
	}{
		{"sysfs", usb, stableName{"usb-Logitech_C920_S1-video-index0", "pci-0"}, "usb-0", Info{Base: "usb-046d-082d-S1", Port: "usb-1-2.4", Where: "USB port 1-2.4", Name: "C920"}},
		{"by-id", identity{}, stableName{"usb-Logitech_C920_S1-video-index0", "pci-0"}, "usb-0", Info{Base: "usb-Logitech_C920_S1-video-index0"}},
		{"its own name", identity{name: "vivid-001-vid-cap"}, stableName{"", "platform-vivid.0-video-index0"}, "usb-0", Info{Base: "vivid-001-vid-cap", Name: "vivid-001-vid-cap"}},
		{"by-path", identity{}, stableName{"", "platform-soc:csi0-video-index0"}, "usb-0", Info{Base: "platform-soc_csi0-video-index0"}},
		{"bus", identity{}, stableName{}, "platform:vivid-000", Info{Base: "platform_vivid-000"}},
		{"path", identity{}, stableName{}, "", Info{Base: "dev_video5"}},
	} {
		got := Info{Path: "/dev/video5", Bus: c.bus}
		got.identify(c.id, c.link)
		c.want.Path, c.want.Bus = "/dev/video5", c.bus
		if got, want := fmt.Sprintf("%+v", got), fmt.Sprintf("%+v", c.want); got != want {
			t.Errorf("%s: %s, want %s", c.name, got, want)
		}
	}
}
