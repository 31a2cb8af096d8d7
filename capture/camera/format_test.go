package camera

import (
	"reflect"
	"testing"

	"github.com/blackjack/webcam"
)

func TestFourCC(t *testing.T) {
	for _, s := range []string{YUYV, MJPEG, "NV12", "Y8  "} {
		if got := fourCC(pixelFormat(s)); got != s {
			t.Errorf("%q became %q", s, got)
		}
	}
	if got := fourCC(0x80000001); got != "????" {
		t.Errorf("unprintable became %q", got)
	}
}

// usb2 and usb3 are what real cameras offer on slow and fast ports.
func usb2() []Format {
	return []Format{
		{MJPEG, []Size{{1920, 1080, 30}, {1280, 720, 30}, {640, 480, 30}}},
		{"H264", []Size{{1280, 720, 60}}},
		{YUYV, []Size{{1280, 720, 10}, {640, 480, 30}}},
	}
}

func usb3() []Format {
	return []Format{{MJPEG, []Size{{1280, 720, 60}}}, {YUYV, []Size{{1280, 720, 29.97}, {320, 240, 30}}}}
}

func TestChoose(t *testing.T) {
	for _, c := range []struct {
		name    string
		offered []Format
		want    Config
		get     string
		fps     float64
	}{
		{"raw is too slow", usb2(), Config{}, "MJPG 1280x720", 30},
		{"raw is fast enough", usb3(), Config{}, "YUYV 1280x720", 30},
		{"raw cannot do 60", usb3(), Config{FPS: 60}, "MJPG 1280x720", 60},
		{"raw suffices for 10", usb2(), Config{FPS: 10}, "YUYV 1280x720", 10},
		{"raw is told", usb2(), Config{Format: YUYV}, "YUYV 1280x720", 10},
		{"small", usb2(), Config{Width: 640, Height: 480}, "YUYV 640x480", 30},
		{"nearest", usb2(), Config{Width: 1900, Height: 1000}, "MJPG 1920x1080", 30},
		{"rate unknown", []Format{{YUYV, []Size{{1280, 720, 0}}}}, Config{}, "YUYV 1280x720", 30},
		{"cheapest", []Format{
			{YUYV, []Size{{1280, 720, 30}}}, {NV12, []Size{{1280, 720, 30}}}, {MJPEG, []Size{{1280, 720, 30}}}, {GREY, []Size{{1280, 720, 30}}},
		}, Config{}, "NV12 1280x720", 30},
		{"planar", []Format{{NV12, []Size{{1280, 720, 30}}}, {I420, []Size{{1280, 720, 30}}}}, Config{}, "YU12 1280x720", 30},
		{"colour before grey", []Format{{MJPEG, []Size{{1280, 720, 30}}}, {GREY, []Size{{1280, 720, 60}}}}, Config{}, "MJPG 1280x720", 30},
		{"colour before a larger grey", []Format{{GREY, []Size{{1280, 720, 30}}}, {YUYV, []Size{{640, 480, 30}}}}, Config{}, "YUYV 640x480", 30},
		{"colour before a faster grey", []Format{{GREY, []Size{{1280, 720, 30}}}, {YUYV, []Size{{1280, 720, 10}}}}, Config{}, "YUYV 1280x720", 10},
		{"grey only", []Format{{GREY, []Size{{640, 480, 60}}}}, Config{}, "GREY 640x480", 30},
		{"odd width", []Format{{YUYV, []Size{{1281, 720, 30}}}, {MJPEG, []Size{{640, 480, 30}}}}, Config{}, "MJPG 640x480", 30},
	} {
		got, err := choose(c.offered, c.want.withDefaults())
		if err != nil || got.String() != c.get || got.fps != c.fps {
			t.Errorf("%s: %v at %v, error %v; want %s at %v", c.name, got, got.fps, err, c.get, c.fps)
		}
	}
	for name, c := range map[string]struct {
		offered []Format
		want    Config
	}{
		"nothing":        {nil, Config{}},
		"only H.264":     {usb2()[1:2], Config{}},
		"unknown format": {usb2(), Config{Format: "H264"}},
	} {
		if got, err := choose(c.offered, c.want.withDefaults()); err == nil {
			t.Errorf("%s: chose %v", name, got)
		}
	}
}

func TestExpand(t *testing.T) {
	for _, c := range []struct {
		in   webcam.FrameSize
		want []Size
	}{
		{webcam.FrameSize{MinWidth: 640, MaxWidth: 640, MinHeight: 480, MaxHeight: 480}, []Size{{640, 480, 0}}},
		{
			webcam.FrameSize{MinWidth: 16, MaxWidth: 1300, StepWidth: 2, MinHeight: 16, MaxHeight: 900, StepHeight: 2},
			[]Size{{1300, 900, 0}, {1280, 720, 0}, {640, 480, 0}, {320, 240, 0}},
		},
		{webcam.FrameSize{MinWidth: 32, MaxWidth: 640, StepWidth: 32, MinHeight: 480, MaxHeight: 481}, []Size{{640, 481, 0}, {640, 480, 0}}},
		{webcam.FrameSize{}, nil},
		{webcam.FrameSize{MinWidth: 1, MaxWidth: 1 << 31, MinHeight: 1, MaxHeight: 1 << 31}, nil},
	} {
		if got := expand(c.in); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %v, want %v", c.in.GetString(), got, c.want)
		}
	}
}

func TestFastest(t *testing.T) {
	for _, c := range []struct {
		in   []webcam.FrameRate
		want float64
	}{
		{nil, 0},
		{[]webcam.FrameRate{{}}, 0},
		{[]webcam.FrameRate{{MinNumerator: 1, MinDenominator: 15}, {MinNumerator: 1, MinDenominator: 30}, {MinNumerator: 1, MinDenominator: 5}}, 30},
		{[]webcam.FrameRate{{MinNumerator: 1001, MinDenominator: 30000}}, 30000.0 / 1001},
	} {
		if got := fastest(c.in); got != c.want {
			t.Errorf("%v: %v, want %v", c.in, got, c.want)
		}
	}
}

func TestUsable(t *testing.T) {
	y, m := uint32(pixelFormat(YUYV)), uint32(pixelFormat(MJPEG))
	for _, c := range []struct {
		f  v4l2Format
		ok bool
	}{
		{v4l2Format{pixelFormat: y, width: 1280, height: 720, bytesPerLine: 2560}, true},
		{v4l2Format{pixelFormat: y, width: 1280, height: 720}, true},
		{v4l2Format{pixelFormat: m, width: 641, height: 481}, true},
		{v4l2Format{pixelFormat: y, width: 1280, height: 720, bytesPerLine: 2559}, false},
		{v4l2Format{pixelFormat: y, width: 641, height: 480, bytesPerLine: 2560}, false},
		{v4l2Format{pixelFormat: m, width: 0, height: 480}, false},
		{v4l2Format{pixelFormat: m, width: 640, height: 1 << 31}, false},
		{v4l2Format{pixelFormat: uint32(pixelFormat("H264")), width: 640, height: 480}, false},
	} {
		if name, err := usable(c.f); (err == nil) != c.ok || c.ok && fourCC(webcam.PixelFormat(c.f.pixelFormat)) != name {
			t.Errorf("%+v: %q, %v", c.f, name, err)
		}
	}
}
