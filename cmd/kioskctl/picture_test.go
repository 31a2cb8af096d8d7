package main

import (
	"encoding/binary"
	"image"
	"image/color"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestPictureGolden(t *testing.T) {
	for name, c := range map[string]colours{"picture-plain.txt": noColours, "picture-256.txt": fewColours, "picture-24bit.txt": manyColours} {
		golden(t, name, strings.Join(render(testPicture(64, 36), 16, 20, c), "\n"))
	}
	ramp := image.NewRGBA(image.Rect(0, 0, 256, 2))
	for x := range 256 {
		for y := range 2 {
			ramp.SetRGBA(x, y, color.RGBA{uint8(x), uint8(x), uint8(x), 255})
		}
	}
	if got := render(ramp, 10, 1, noColours); len(got) != 1 || got[0] != " .:-=+*#%@" {
		t.Errorf("from black to white is %q", got)
	}
}

// The shape is kept in any room, and no line is longer than it.
func TestFit(t *testing.T) {
	for _, c := range []struct{ w, h, columns, rows, wantW, wantLines int }{
		{1280, 720, 80, 22, 78, 22}, // 78:44 is 16:9
		{1280, 720, 80, 40, 80, 22},
		{640, 480, 80, 24, 64, 24},
		{720, 1280, 80, 24, 27, 24},
		{2, 2, 80, 24, 48, 24},
		{5000, 1, 80, 24, 80, 1},
		{1, 5000, 80, 24, 1, 24},
	} {
		lines := render(image.NewRGBA(image.Rect(0, 0, c.w, c.h)), c.columns, c.rows, noColours)
		if len(lines) != c.wantLines || utf8.RuneCountInString(lines[0]) != c.wantW {
			t.Errorf("%dx%d in %dx%d is %dx%d, want %dx%d", c.w, c.h, c.columns, c.rows, utf8.RuneCountInString(lines[0]), len(lines), c.wantW, c.wantLines)
		}
	}
}

// The nearest of 240 colours, looked for the slow way.
func TestXterm256IsNearEnough(t *testing.T) {
	palette := func(i int) (r, g, b int) {
		if i >= 232 {
			return 8 + 10*(i-232), 8 + 10*(i-232), 8 + 10*(i-232)
		}
		levels := [6]int{0, 95, 135, 175, 215, 255}
		return levels[(i-16)/36], levels[(i-16)/6%6], levels[(i-16)%6]
	}
	for v := 0; v < 1<<24; v += 4099 { // prime: every part takes every value
		p := rgb{uint8(v >> 16), uint8(v >> 8), uint8(v)}
		best := 1 << 30
		for i := 16; i < 256; i++ {
			r, g, b := palette(i)
			best = min(best, distance(p, r, g, b))
		}
		r, g, b := palette(xterm256(p))
		if got := distance(p, r, g, b); got > best {
			t.Fatalf("%v is %d, off by %d where %d is possible", p, xterm256(p), got, best)
		}
	}
}

func TestDecodeRefuses(t *testing.T) {
	huge := testJPEG(8, 8)
	i := strings.Index(string(huge), "\xff\xc0") // SOF0: length, precision, height, width
	binary.BigEndian.PutUint16(huge[i+5:], 65000)
	binary.BigEndian.PutUint16(huge[i+7:], 65000)
	for name, data := range map[string][]byte{
		"nothing": nil, "words": []byte("no picture"), "half a picture": testJPEG(64, 64)[:300], "65000x65000 is no size": huge,
	} {
		if _, err := decode(data); err == nil || !strings.HasPrefix(err.Error(), "cannot read the picture: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := decode(huge); !strings.Contains(err.Error(), "65000x65000") {
		t.Errorf("it is decoded before its size is looked at: %v", err)
	}
	if p, err := decode(testJPEG(64, 36)); err != nil || p.Rect != image.Rect(0, 0, 64, 36) {
		t.Errorf("a good one: %v, %v", p.Rect, err)
	}
}

// Whatever a camera or a daemon sends, the terminal gets at most its size.
func FuzzPicture(f *testing.F) {
	f.Add(testJPEG(16, 9))
	f.Add(testJPEG(1, 40))
	f.Add([]byte("\xff\xd8\xff\xd9"))
	f.Fuzz(func(t *testing.T, data []byte) {
		p, err := decode(data)
		if err != nil {
			return
		}
		for _, c := range []colours{noColours, fewColours, manyColours} {
			lines := render(p, 12, 5, c)
			if len(lines) < 1 || len(lines) > 5 {
				t.Errorf("%v: %d lines", p.Rect, len(lines))
			}
			for _, l := range lines {
				if n := strings.Count(l, "▀"); c != noColours && (n < 1 || n > 12) || c == noColours && (len(l) < 1 || len(l) > 12) {
					t.Errorf("%v: %q", p.Rect, l)
				}
			}
		}
	})
}
