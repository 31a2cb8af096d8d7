package table

import (
	"slices"
	"strings"
	"testing"
)

// kept is a run in which every promise is kept.
func kept() *Table {
	var t Table
	for _, row := range []string{"MJPG VP8", "YUYV H264"} {
		for i := range 3 {
			t.Add(Entry{Row: row, Name: MediaDevices, Milliseconds: 40, Frames: 100, PSNR: 41, Kbps: 1500, Allocs: 300})
			t.Add(Entry{Row: row, Name: Ours, Milliseconds: 8 + 0.1*float64(i), Frames: 180, PSNR: 40, Kbps: 1500})
			t.Add(Entry{Row: row, Name: Again, Milliseconds: 8.1, Frames: 180, PSNR: 40, Kbps: 1500})
			t.Add(Entry{Row: row, Name: "GStreamer", Milliseconds: 8.05, Frames: 180, PSNR: 40.2, Kbps: 1480, Allocs: -1})
		}
	}
	return &t
}

func TestPromises(t *testing.T) {
	if got := kept().Promises(); len(got) != 0 {
		t.Fatalf("all is kept, but: %q", got)
	}
	for _, c := range []struct {
		name, want string
		add        Entry
	}{
		{"dearer than another", "GStreamer takes", Entry{Name: "GStreamer", Milliseconds: 5, Frames: 180, PSNR: 40, Kbps: 1500}},
		{"worse at the same rate", "GStreamer has 40.90", Entry{Name: "GStreamer", Milliseconds: 9, Frames: 180, PSNR: 40.9, Kbps: 1500}},
		{"too near to the library", "promised 4", Entry{Name: MediaDevices, Milliseconds: 20, Frames: 180, PSNR: 40, Kbps: 1500}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var all Table
			for _, e := range kept().entries {
				if e.Name != c.add.Name || e.Row != "MJPG VP8" {
					all.Add(e)
				}
			}
			c.add.Row = "MJPG VP8"
			all.Add(c.add)
			if got := all.Promises(); len(got) != 1 || !strings.Contains(got[0], c.want) {
				t.Fatalf("missed: %q, want one with %q", got, c.want)
			}
		})
	}
}

func TestUnequalWorkIsMarkedAndNotCompared(t *testing.T) {
	all := kept()
	for _, e := range []Entry{
		{Name: "more bits", Milliseconds: 9, Frames: 180, PSNR: 46, Kbps: 9000},
		{Name: "fewer frames", Milliseconds: 9, Frames: 120, PSNR: 46, Kbps: 1500},
	} {
		e.Row = "MJPG VP8"
		all.Add(e)
	}
	if got := all.Promises(); len(got) != 0 {
		t.Errorf("compared: %q", got)
	}
	for line := range strings.Lines(all.String()) {
		marked := strings.Contains(line, "46.00*")
		if unequal := strings.Contains(line, "more bits") || strings.Contains(line, "fewer frames"); marked != unequal {
			t.Errorf("marked %t: %s", marked, line)
		}
	}
}

func TestTableIsOfMedians(t *testing.T) {
	all := kept()
	e, ok := all.Median("MJPG VP8", Ours)
	if !ok || e.Milliseconds != 8.1 || e.Frames != 180 {
		t.Errorf("median %+v", e)
	}
	if s := all.Spread("MJPG VP8"); s < 0.024 || s > 0.026 {
		t.Errorf("spread %.4f, want 0.2/8", s)
	}
	var names []string
	for line := range strings.Lines(all.String()) {
		if rest, ok := strings.CutPrefix(line, "MJPG VP8   "); ok {
			names = append(names, strings.TrimSpace(rest[:22]))
		}
	}
	if want := []string{Ours, Again, MediaDevices, "GStreamer", "(spread of our own)"}; !slices.Equal(names, want) {
		t.Errorf("rows %q, want %q", names, want)
	}
	if !strings.Contains(all.String(), "4.94") {
		t.Errorf("no ratio of 40/8.1:\n%s", all)
	}
}
