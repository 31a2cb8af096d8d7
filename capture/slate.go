package capture

import (
	"image"

	"golang.org/x/image/font"
	"golang.org/x/image/font/basicfont"
	"golang.org/x/image/font/inconsolata"
	"golang.org/x/image/math/fixed"
)

// Luma of the slate, in the video range of ITU-R BT.601: dark enough not to
// glare in a dim room, its words light enough to be read.
const (
	slateGround = 48
	slateWords  = 200
	slateChroma = 128
)

// slateScale is how many times the font's pixels are enlarged where there is
// room: 32x64 pixels a letter.
const slateScale = 4

// Slate makes a dark grey picture of w x h pixels with the lines of words in its
// middle, for when no camera gives a picture. Words are scaled down to fit a
// small picture and cut at its edge when even that is not enough. The font has
// the Latin letters of Europe; anything else shows as a box. The frame belongs to no pool; the
// caller owns its one reference and may hand it out again and again by Retain.
func Slate(w, h int, lines []string) *Frame {
	f := NewPool(w, h).Get()
	f.pool = nil
	fill(f.Y, slateGround)
	fill(f.Cb, slateChroma)
	fill(f.Cr, slateChroma)

	face := inconsolata.Bold8x16
	widest := 1
	for _, l := range lines {
		widest = max(widest, len([]rune(l))*face.Advance)
	}
	// One letter's width of margin on each side.
	scale := min(slateScale, w/(widest+2*face.Advance), h/((len(lines)+2)*face.Height))
	scale = max(scale, 1)

	top := (h - len(lines)*face.Height*scale) / 2
	for i, l := range lines {
		drawLine(f, face, l, top+i*face.Height*scale, scale)
	}
	return f
}

// drawLine writes one line, centred, into the luma plane with its upper edge at y.
func drawLine(f *Frame, face *basicfont.Face, line string, y, scale int) {
	// Longer lines than the picture has columns for can not be seen anyway.
	if n := f.Rect.Dx()/face.Advance + 1; len([]rune(line)) > n {
		line = string([]rune(line)[:n])
	}
	small := image.NewAlpha(image.Rect(0, 0, len([]rune(line))*face.Advance, face.Height))
	d := font.Drawer{Dst: small, Src: image.Opaque, Face: face, Dot: fixed.P(0, face.Ascent)}
	d.DrawString(line)

	left := (f.Rect.Dx() - small.Rect.Dx()*scale) / 2
	for sy := range small.Rect.Dy() * scale {
		for sx := range small.Rect.Dx() * scale {
			p := image.Pt(left+sx, y+sy)
			if small.AlphaAt(sx/scale, sy/scale).A >= 128 && p.In(f.Rect) {
				f.Y[f.YOffset(p.X, p.Y)] = slateWords
			}
		}
	}
}

// fill sets every byte of b to v, doubling what is set: a megabyte in 0.1 ms.
func fill(b []byte, v byte) {
	if len(b) > 0 {
		b[0] = v
	}
	for n := 1; n < len(b); n *= 2 {
		copy(b[n:], b[:n])
	}
}
