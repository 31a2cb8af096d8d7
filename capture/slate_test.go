package capture

import (
	"fmt"
	"strings"
	"testing"
)

// box is the area in which the slate's words stand.
func box(f *Frame) (x0, y0, x1, y1, lit int) {
	x0, y0 = f.Rect.Dx(), f.Rect.Dy()
	for y := range f.Rect.Dy() {
		for x := range f.Rect.Dx() {
			if f.Y[f.YOffset(x, y)] == slateWords {
				x0, y0, x1, y1 = min(x0, x), min(y0, y), max(x1, x+1), max(y1, y+1)
				lit++
			}
		}
	}
	return x0, y0, x1, y1, lit
}

func TestSlateIsGreyWithWords(t *testing.T) {
	f := Slate(1280, 720, []string{"No camera", "Plug the camera in"})
	defer f.Release()
	for y := range 720 {
		for x := range 1280 {
			c := f.YCbCrAt(x, y)
			if c.Cb != slateChroma || c.Cr != slateChroma || c.Y != slateGround && c.Y != slateWords {
				t.Fatalf("pixel %d,%d is %v", x, y, c)
			}
		}
	}
	x0, y0, x1, y1, lit := box(f)
	if lit < 4000 {
		t.Errorf("only %d pixels of words", lit)
	}
	// 18 letters of 8x4 pixels, two lines of 16x4, in the middle.
	if w, h := x1-x0, y1-y0; w < 400 || w > 18*32 || h < 60 || h > 2*64 {
		t.Errorf("words are %dx%d pixels", w, h)
	}
	if mx, my := (x0+x1)/2, (y0+y1)/2; mx < 620 || mx > 660 || my < 345 || my > 375 {
		t.Errorf("words stand around %d,%d", mx, my)
	}
}

func TestSlateWordsDiffer(t *testing.T) {
	a, b := Slate(640, 480, []string{"No camera"}), Slate(640, 480, []string{"No cameras"})
	if string(a.Y) == string(b.Y) {
		t.Error("two slates with other words look the same")
	}
	if c := Slate(640, 480, []string{"No camera"}); string(a.Y) != string(c.Y) {
		t.Error("the same slate looks different")
	}
}

// The words of every language are drawn as letters, not as the box that stands
// for what the font lacks.
func TestSlateKnowsEuropeanLetters(t *testing.T) {
	missing := string(Slate(64, 64, []string{"世"}).Y)
	for _, r := range "áéíóúñüäöß¿" {
		if string(Slate(64, 64, []string{string(r)}).Y) == missing {
			t.Errorf("%c is drawn as a box", r)
		}
	}
}

func TestSlateFitsAnySize(t *testing.T) {
	long := strings.Repeat("please ask somebody for help ", 8)
	for _, size := range [][2]int{{1, 1}, {2, 2}, {16, 16}, {65, 33}, {320, 240}, {640, 480}, {1920, 1080}} {
		for _, lines := range [][]string{nil, {""}, {"No camera"}, {long, long, "é世\x00\n"}, {strings.Repeat("x", 10000)}, make([]string, 200)} {
			name := fmt.Sprintf("%dx%d with %d lines", size[0], size[1], len(lines))
			f := Slate(size[0], size[1], lines)
			if f.Rect.Dx() != size[0] || f.Rect.Dy() != size[1] {
				t.Errorf("%s: size %v", name, f.Rect)
			}
			_, _, _, _, lit := box(f)
			if wide := size[0] >= 320; wide && len(lines) == 1 && lines[0] == "No camera" && lit < 100 {
				t.Errorf("%s: only %d pixels of words", name, lit)
			}
			f.Release()
		}
	}
	// At 320 pixels the words are scaled down, not cut.
	x0, _, x1, _, _ := box(Slate(320, 240, []string{"Plug the camera in"}))
	if x0 < 7 || x1 > 313 {
		t.Errorf("words reach from %d to %d of 320", x0, x1)
	}
}
