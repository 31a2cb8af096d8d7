package camera

import (
	"reflect"
	"testing"
)

func TestLesser(t *testing.T) {
	raw := []Format{{YUYV, []Size{{1280, 720, 30}, {640, 480, 30}, {320, 240, 30}}}}
	both := append([]Format{{MJPEG, []Size{{1920, 1080, 30}, {1280, 720, 30}, {640, 480, 30}}}}, raw...)
	for _, c := range []struct {
		name    string
		offered []Format
		used    choice
		want    []string
	}{
		{"compressed first", both, choice{YUYV, 1280, 720, 30}, []string{
			"MJPG 1280x720@30", "MJPG 640x480@30", "YUYV 640x480@30", "YUYV 320x240@30", "MJPG 640x480@15", "YUYV 320x240@15",
		}},
		{"is compressed", both, choice{MJPEG, 1280, 720, 30}, []string{
			"MJPG 640x480@30", "YUYV 1280x720@30", "YUYV 640x480@30", "YUYV 320x240@30", "MJPG 640x480@15", "YUYV 320x240@15",
		}},
		{"raw only", raw, choice{YUYV, 640, 480, 30}, []string{"YUYV 320x240@30", "YUYV 320x240@15"}},
		{"slower only", []Format{{YUYV, []Size{{640, 480, 30}}}}, choice{YUYV, 640, 480, 30}, []string{"YUYV 640x480@15"}},
		{"what it does not do is not asked", []Format{{MJPEG, []Size{{640, 480, 25}}}, {"H264", []Size{{640, 480, 30}}}}, choice{YUYV, 640, 480, 30}, []string{"MJPG 640x480@25", "MJPG 640x480@12.5"}},
		{"colours stay", []Format{{GREY, []Size{{320, 240, 30}}}, {YUYV, []Size{{160, 120, 30}}}}, choice{YUYV, 640, 480, 30}, []string{"YUYV 160x120@30", "YUYV 160x120@15"}},
		{"nothing", nil, choice{YUYV, 640, 480, 30}, nil},
	} {
		var got []string
		for _, r := range lesser(c.offered, c.used) {
			got = append(got, fits(Stats{Format: r.fourCC, Width: r.width, Height: r.height}, r))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: %q, want %q", c.name, got, c.want)
		}
	}
	var many Format
	many.FourCC = MJPEG
	for i := range 100 {
		many.Sizes = append(many.Sizes, Size{16 * (i + 1), 16 * (i + 1), 30})
	}
	if n := len(lesser([]Format{many}, choice{YUYV, 1600, 1600, 30})); n != maxRungs {
		t.Errorf("%d tries", n)
	}
}

func TestFits(t *testing.T) {
	for fps, want := range map[float64]string{0: "YUYV 640x480@15", 29.97: "YUYV 640x480@29.97", 30: "YUYV 640x480@30", 7.5: "YUYV 640x480@7.5", 10: "YUYV 640x480@10"} {
		if got := fits(Stats{Format: YUYV, Width: 640, Height: 480, FPS: fps}, choice{fps: 15}); got != want {
			t.Errorf("%v: %s, want %s", fps, got, want)
		}
	}
}
