package main

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/draw"
	"image/jpeg"
	"strings"
)

// mostPixels bounds a picture before it is decoded: 40 megapixels, which is more
// than any camera of a kiosk has and 160 MB as RGBA.
const mostPixels = 40 << 20

// decode decodes a JPEG of at most mostPixels.
func decode(data []byte) (*image.RGBA, error) {
	head, err := jpeg.DecodeConfig(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("cannot read the picture: %w", err)
	}
	if head.Width < 1 || head.Height < 1 || head.Width > mostPixels/head.Height {
		return nil, fmt.Errorf("cannot read the picture: %dx%d is no size for one", head.Width, head.Height)
	}
	p, err := jpeg.Decode(bytes.NewReader(data))
	if err != nil {
		return nil, fmt.Errorf("cannot read the picture: %w", err)
	}
	if p.Bounds().Empty() {
		return nil, errors.New("cannot read the picture: it is empty")
	}
	out := image.NewRGBA(image.Rectangle{Max: p.Bounds().Size()})
	draw.Draw(out, out.Bounds(), p, p.Bounds().Min, draw.Src)
	return out, nil
}

// rgb is a colour of 8 bits a part.
type rgb struct{ r, g, b uint8 }

// render draws a picture in lines of characters that are at most columns wide
// and rows high, its shape kept: a character is taken to be twice as high as
// wide. With colours a character has two points, one over the other, in the two
// colours of an upper half block; without, one, whose brightness the character
// has. No line ends in a newline.
func render(p *image.RGBA, columns, rows int, c colours) []string {
	w, h := fit(p.Rect.Dx(), p.Rect.Dy(), columns, 2*rows)
	points := shrink(p, w, h)
	lines := make([]string, 0, h/2)
	for y := 0; y < h; y += 2 {
		upper, lower := points[y*w:(y+1)*w], points[(y+1)*w:(y+2)*w]
		switch c {
		case noColours:
			lines = append(lines, shades(upper, lower))
		default:
			lines = append(lines, halfBlocks(upper, lower, c))
		}
	}
	return lines
}

// fit gives the largest size of the shape w by h in the room, its height even.
func fit(w, h, roomW, roomH int) (fitW, fitH int) {
	fitW, fitH = roomW, h*roomW/w
	if fitH > roomH {
		fitW, fitH = w*roomH/h, roomH
	}
	return max(fitW, 1), max(fitH/2*2, 2)
}

// shrink (or stretches) a picture to w by h points, each the mean of what it
// covers.
func shrink(p *image.RGBA, w, h int) []rgb {
	out := make([]rgb, 0, w*h)
	pw, ph := p.Rect.Dx(), p.Rect.Dy()
	for y := range h {
		y0 := y * ph / h
		y1 := max((y+1)*ph/h, y0+1)
		for x := range w {
			x0 := x * pw / w
			x1 := max((x+1)*pw/w, x0+1)
			out = append(out, mean(p, x0, y0, x1, y1))
		}
	}
	return out
}

func mean(p *image.RGBA, x0, y0, x1, y1 int) rgb {
	var r, g, b, n int
	for y := y0; y < y1; y++ {
		row := p.Pix[y*p.Stride+4*x0 : y*p.Stride+4*x1]
		for i := 0; i+3 < len(row); i += 4 {
			r += int(row[i])
			g += int(row[i+1])
			b += int(row[i+2])
			n++
		}
	}
	return rgb{uint8(r / n), uint8(g / n), uint8(b / n)}
}

// halfBlocks writes two rows of points as one line; a colour that stays is not
// said again (ECMA-48, SGR 38 and 48).
func halfBlocks(upper, lower []rgb, c colours) string {
	var b strings.Builder
	front, back := "", ""
	for i := range upper {
		f, g := colourCode(upper[i], c), colourCode(lower[i], c)
		switch {
		case f != front && g != back:
			b.WriteString("\x1b[38;" + f + ";48;" + g + "m")
		case f != front:
			b.WriteString("\x1b[38;" + f + "m")
		case g != back:
			b.WriteString("\x1b[48;" + g + "m")
		}
		front, back = f, g
		b.WriteString("▀")
	}
	return b.String() + plainAgain
}

func colourCode(p rgb, c colours) string {
	if c == manyColours {
		return fmt.Sprintf("2;%d;%d;%d", p.r, p.g, p.b)
	}
	return fmt.Sprintf("5;%d", xterm256(p))
}

// xterm256 gives the nearest of xterm's colours 16 to 255: a cube of 6x6x6 (0,
// then 95 to 255 by 40) and 24 greys (8 to 238 by 10).
func xterm256(p rgb) int {
	level := func(v uint8) int {
		if v < 48 {
			return 0
		}
		return max(1, (int(v)-35)/40)
	}
	value := func(l int) int { return min(l, 1)*55 + 40*l }
	r, g, b := level(p.r), level(p.g), level(p.b)
	grey := min(max((int(p.r)+int(p.g)+int(p.b))/3-3, 0)/10, 23)
	if distance(p, 8+10*grey, 8+10*grey, 8+10*grey) < distance(p, value(r), value(g), value(b)) {
		return 232 + grey
	}
	return 16 + 36*r + 6*g + b
}

func distance(p rgb, r, g, b int) int {
	dr, dg, db := int(p.r)-r, int(p.g)-g, int(p.b)-b
	return dr*dr + dg*dg + db*db
}

// ramp has characters from dark to bright, as a dark terminal shows them.
const ramp = " .:-=+*#%@"

// shades writes two rows of points as one line of brightness (Rec. 601).
func shades(upper, lower []rgb) string {
	var b strings.Builder
	for i := range upper {
		sum := 0
		for _, p := range []rgb{upper[i], lower[i]} {
			sum += 299*int(p.r) + 587*int(p.g) + 114*int(p.b)
		}
		b.WriteByte(ramp[sum*len(ramp)/(2*1000*256)])
	}
	return b.String()
}
