package camera

import (
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

func TestControlStructs(t *testing.T) {
	if n := unsafe.Sizeof(v4l2QueryCtrl{}); n != 68 {
		t.Errorf("v4l2QueryCtrl has %d bytes, the kernel's 68", n)
	}
	if n := unsafe.Sizeof(v4l2QueryMenu{}); n != 44 {
		t.Errorf("v4l2QueryMenu has %d bytes, the kernel's 44", n)
	}
}

// TestControlName: the names are those that v4l2-ctl prints.
func TestControlName(t *testing.T) {
	for in, want := range map[string]string{
		"Brightness": "brightness", "White Balance, Automatic": "white_balance_automatic", "Exposure (Absolute)": "exposure_absolute",
		"  Zoom,  Absolute ": "zoom_absolute", "LED1 Mode": "led1_mode", "--": "", "": "", "Größe": "gr_e",
	} {
		if got := controlName(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func TestControlCheck(t *testing.T) {
	focus := Control{Name: "focus_absolute", Type: ControlInteger, Min: -5, Max: 250, Step: 5}
	wide := Control{Name: "wide", Type: ControlInteger, Min: -1 << 31, Max: 1<<31 - 1, Step: 1<<31 - 1}
	auto := Control{Name: "auto_exposure", Type: ControlMenu, Max: 3, Step: 1, Menu: []MenuEntry{{1, "Manual Mode"}, {3, "Aperture Priority Mode"}}}
	led := Control{Name: "led", Type: ControlBoolean, Max: 1, Step: 1}
	for _, c := range []struct {
		c     Control
		v     int32
		words string // "": it fits
	}{
		{focus, -5, ""},
		{focus, 250, ""},
		{focus, 0, ""},
		{focus, 1, "-5 to 250 in steps of 5"},
		{focus, -10, "-5 to 250 in steps of 5"},
		{focus, 255, "-5 to 250"},
		{wide, -1 << 31, ""},
		{wide, 1<<31 - 2, ""},
		{wide, 1<<31 - 1, "in steps of"},
		{auto, 1, ""},
		{auto, 2, "one of 1 (Manual Mode), 3 (Aperture Priority Mode)"},
		{auto, -1, "one of"},
		{led, 1, ""},
		{led, 2, "0 or 1"},
	} {
		err := c.c.check(c.v)
		if c.words == "" && err != nil || c.words != "" && (!errors.Is(err, ErrControlValue) || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), "cannot set "+c.c.Name)) {
			t.Errorf("%s to %d: %v, want %q", c.c.Name, c.v, err, c.words)
		}
	}
}

// TestSettings: what switches goes before what is switched.
func TestSettings(t *testing.T) {
	all := []Control{
		{ID: 1, Name: "exposure", Type: ControlInteger, Max: 9, Step: 1},
		{ID: 2, Name: "auto", Type: ControlMenu, Menu: []MenuEntry{{1, "Manual"}}},
		{ID: 3, Name: "gain", Type: ControlInteger, Max: 9, Step: 1},
		{ID: 4, Name: "white", Type: ControlBoolean, Max: 1, Step: 1},
	}
	set, err := settings(all, map[string]int32{"gain": 3, "exposure": 2, "white": 0, "auto": 1})
	var order []string
	for _, s := range set {
		order = append(order, fmt.Sprintf("%s=%d", s.Name, s.value))
	}
	if want := []string{"auto=1", "white=0", "exposure=2", "gain=3"}; err != nil || !reflect.DeepEqual(order, want) {
		t.Errorf("%q, %v; want %q", order, err, want)
	}
	if _, err := settings(all, map[string]int32{"gain": 10, "nothing": 1}); !errors.Is(err, ErrControlValue) || !errors.Is(err, ErrControlUnknown) {
		t.Errorf("two mistakes: %v", err)
	}
}

// values reads what the camera has set, through List.
func values(t *testing.T, fc *fakecam) (map[string]int32, map[string]Control) {
	t.Helper()
	got, err := List(fc.dev)
	if err != nil || len(got) != 1 || got[0].Err != nil {
		t.Fatalf("%+v, %v", got, err)
	}
	return byName(got[0].Controls)
}

func byName(all []Control) (map[string]int32, map[string]Control) {
	v, c := map[string]int32{}, map[string]Control{}
	for _, x := range all {
		v[x.Name], c[x.Name] = x.Value, x
	}
	return v, c
}

func TestListControls(t *testing.T) {
	fc := startFakecam(t)
	_, got := values(t, fc)
	for _, want := range []Control{
		{ID: 0x00980900, Name: "brightness", Label: "Brightness", Type: ControlInteger, Min: -64, Max: 64, Step: 1, Enabled: true},
		{ID: 0x0098090c, Name: "white_balance_automatic", Label: "White Balance, Automatic", Type: ControlBoolean, Max: 1, Step: 1, Default: 1, Value: 1, Enabled: true},
		{ID: 0x0098091a, Name: "white_balance_temperature", Label: "White Balance Temperature", Type: ControlInteger, Min: 2800, Max: 6500, Step: 10, Default: 4600, Value: 4600},
		{
			ID: 0x00980918, Name: "power_line_frequency", Label: "Power Line Frequency", Type: ControlMenu, Max: 2, Step: 1, Default: 1, Value: 1, Enabled: true,
			Menu: []MenuEntry{{0, "Disabled"}, {1, "50 Hz"}, {2, "60 Hz"}},
		},
	} {
		if !reflect.DeepEqual(got[want.Name], want) {
			t.Errorf("%+v, want %+v", got[want.Name], want)
		}
	}
	if menu := got["auto_exposure"].Menu; !reflect.DeepEqual(menu, []MenuEntry{{1, "Manual Mode"}, {3, "Aperture Priority Mode"}}) {
		t.Errorf("a menu with holes: %+v", menu)
	}
	for _, name := range []string{"privacy", "user_controls", "camera_controls"} { // read-only, headings
		if c, ok := got[name]; ok {
			t.Errorf("%+v can be set", c)
		}
	}
	if looked, err := NewProber(ProberConfig{Dev: fc.dev}).Look(); err != nil || len(looked) != 1 || len(looked[0].Controls) != 0 {
		t.Errorf("Look: %+v, %v", looked, err)
	}
}

func TestSetControls(t *testing.T) {
	fc := startFakecam(t)
	// A number and the switch that rules it, in one go; beside a running camera.
	r := run(t, Config{Path: fc.path(0)})
	r.film.next(t, firstFrame+margin, "picture", live)
	all, err := SetControls(fc.path(0), map[string]int32{"white_balance_temperature": 5000, "white_balance_automatic": 0, "brightness": -10})
	if err != nil {
		t.Fatal(err)
	}
	got, ctl := byName(all)
	if got["white_balance_temperature"] != 5000 || got["white_balance_automatic"] != 0 || got["brightness"] != -10 || !ctl["white_balance_temperature"].Enabled {
		t.Errorf("set: %v", got)
	}
	if told := fc.do(t, "control 0 white_balance_temperature"); told != "value 5000 inactive 0" {
		t.Errorf("the camera says %q", told)
	}

	before, _ := values(t, fc)
	for _, c := range []struct {
		name   string
		values map[string]int32
		want   error
		words  string
	}{
		{"unknown", map[string]int32{"brightness": 5, "nothing": 1}, ErrControlUnknown, `"nothing"`},
		{"out of range", map[string]int32{"brightness": 65, "contrast": 1}, ErrControlValue, "-64 to 64"},
		{"between steps", map[string]int32{"white_balance_temperature": 5001}, ErrControlValue, "2800 to 6500 in steps of 10"},
		{"not in the menu", map[string]int32{"auto_exposure": 2}, ErrControlValue, "1 (Manual Mode), 3 (Aperture"},
		{"read-only", map[string]int32{"privacy": 1}, ErrControlUnknown, `"privacy"`},
		// The switches are set, then it shows that the number is ruled.
		{"ruled", map[string]int32{"white_balance_automatic": 1, "power_line_frequency": 2, "contrast": 7, "white_balance_temperature": 3000}, ErrControlValue, "automatic control rules it"},
	} {
		if _, err := SetControls(fc.path(0), c.values); !errors.Is(err, c.want) || !strings.Contains(err.Error(), c.words) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v, want %v with %q", c.name, err, c.want, c.words)
		}
		if after, _ := values(t, fc); !maps.Equal(before, after) {
			t.Errorf("%s: something is set: %v, before %v", c.name, after, before)
		}
	}
	if _, err := SetControls(fc.path(0), nil); err != nil {
		t.Errorf("nothing to set: %v", err)
	}
	r.film.next(t, margin, "picture", live)
	r.stop()
	if err := r.ended(t, closeLimit+margin); err != nil {
		t.Error(err)
	}
	fc.do(t, "unplug 0")
	if _, err := SetControls(fc.path(0), map[string]int32{"brightness": 5}); !errors.Is(err, ErrGone) {
		t.Errorf("unplugged: %v", err)
	}
	fc.closedWithin(t, 0, closeLimit)
}

// TestControlsAtOpening: what fits is set before the stream, the rest is left.
func TestControlsAtOpening(t *testing.T) {
	fc := startFakecam(t)
	cam, err := Open(Config{Path: fc.path(0), Controls: map[string]int32{
		"zoom_absolute": 200, "focus_automatic_continuous": 0, "focus_absolute": 50, "brightness": 1000, "nothing": 1, "exposure_time_absolute": 9,
	}}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	got, _ := values(t, fc)
	for name, want := range map[string]int32{"zoom_absolute": 200, "focus_automatic_continuous": 0, "focus_absolute": 50, "brightness": 0, "exposure_time_absolute": 250} {
		if got[name] != want {
			t.Errorf("%s is %d, want %d", name, got[name], want)
		}
	}
	if err := cam.Close(); err != nil {
		t.Error(err)
	}
}

// TestControlsOfNothing: an odd descriptor has none, and no call on it lasts.
func TestControlsOfNothing(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	for _, fd := range []int{-1, p[0]} {
		if got := readControls(fd); got != nil {
			t.Errorf("%d has %+v", fd, got)
		}
	}
	for _, fd := range slices.Backward(p[:]) {
		_ = unix.Close(fd)
	}
	if _, err := SetControls("/dev/null", nil); err == nil {
		t.Error("/dev/null has controls")
	}
}
