// Package picture draws what fakecam's cameras see, as YUYV and as JPEG, fast
// enough for real time on a fraction of a core. Every picture carries the block
// code of package blocks. Only cmd/fakecam imports it.
//
// A Studio holds what its Painters share: the frames of the webcam scene, made
// once a size and kept. A Painter belongs to one camera and one goroutine.
//
// A JPEG is new in the lines of the code only. Each strip of 16 lines, one row
// of minimum coded units, is encoded by image/jpeg as a picture of its own; the
// strips' entropy-coded segments are joined with restart markers (ITU-T T.81
// sections B.2.4.4 and E.1.4), which reset the DC prediction that each strip
// started with. All strips share the encoder's fixed tables.
package picture

import (
	"fmt"
	"image"
	"sync"

	"kioskd/cmd/fakecam/blocks"
)

// Scene is what the cameras look at.
type Scene string

const (
	// Bars are sliding colour bars: cheap to draw and to encode. A YUYV frame
	// has in the last 8 bytes of each line below the code the frame counter and
	// the line number, both 32 bits little endian: TearCheck.
	Bars Scene = "bars"
	// Webcam is a textured room with a moving head and sensor noise: what
	// encoders are measured on. It repeats after Loop frames.
	Webcam Scene = "webcam"

	// Loop is how many different frames the webcam scene has.
	Loop = 30
)

// ParseScene reads a scene's name.
func ParseScene(s string) (Scene, error) {
	switch Scene(s) {
	case Bars, Webcam:
		return Scene(s), nil
	}
	return "", fmt.Errorf("cannot draw scene %q: use bars or webcam", s)
}

// size is a picture's width and height.
type size struct{ w, h int }

// Studio holds the pictures that Painters of one scene share.
type Studio struct {
	scene Scene

	mu    sync.Mutex
	rooms map[size]*room
}

// NewStudio makes a studio; nothing is drawn before it is asked for.
func NewStudio(s Scene) *Studio { return &Studio{scene: s, rooms: map[size]*room{}} }

// Painter draws the pictures of one camera. One goroutine at a time may use it.
type Painter struct {
	studio *Studio
	bars   bars
	strips strips
	code   *image.YCbCr // one block row of the code, a strip high
	black  bool
}

// Painter gives a new painter.
func (s *Studio) Painter() *Painter { return &Painter{studio: s} }

// Black says whether pictures from now on are black and carry no code, as behind
// a closed shutter.
func (p *Painter) Black(on bool) { p.black = on }

func (p *Painter) check(dst []byte, w, h, need int) error {
	if w < 64 || w%16 != 0 || h < blocks.Height(h) || h%2 != 0 || w > 4096 || h > 4096 {
		return fmt.Errorf("cannot draw %dx%d: width is a multiple of 16 from 64 to 4096, height even and from 48 to 4096", w, h)
	}
	if len(dst) < need {
		return fmt.Errorf("cannot draw %dx%d: needs %d bytes, has %d", w, h, need, len(dst))
	}
	return nil
}

// YUYV draws frame c into dst, 2*w*h bytes; it returns that size.
func (p *Painter) YUYV(dst []byte, w, h int, c blocks.Code) (int, error) {
	need := 2 * w * h
	if err := p.check(dst, w, h, need); err != nil {
		return 0, err
	}
	dst = dst[:need]
	if p.black {
		blackYUYV(dst)
		return need, nil
	}
	if p.studio.scene == Bars {
		p.bars.draw(dst, w, h, c.Counter)
	} else {
		copy(dst, p.studio.room(w, h).frame(c.Counter))
	}
	blocks.PaintYUYV(dst, 2*w, w, h, c)
	return need, nil
}

// MJPEG draws frame c as a baseline JPEG, 4:2:0, and returns its size in bytes.
func (p *Painter) MJPEG(dst []byte, w, h int, c blocks.Code) (int, error) {
	if err := p.check(dst, w, h, 1); err != nil {
		return 0, err
	}
	p.strips.begin(w, h)
	if p.black {
		return p.blackMJPEG(dst, w)
	}
	if err := p.codeStrips(w, h, c); err != nil {
		return 0, err
	}
	if p.studio.scene == Bars {
		// Every line of the bars is the same, so one strip is all of them.
		if err := p.strips.encode(p.bars.strip(w, c.Counter)); err != nil {
			return 0, err
		}
		for p.strips.missing() > 0 {
			p.strips.repeat()
		}
		return p.strips.finish(dst)
	}
	tail, err := p.studio.room(w, h).tail(c.Counter)
	if err != nil {
		return 0, err
	}
	p.strips.raw(tail)
	return p.strips.finish(dst)
}

// codeStrips encodes the lines of the code. A row of blocks is one strip,
// repeated: its lines are all the same.
func (p *Painter) codeStrips(w, h int, c blocks.Code) error {
	rows := blocks.RowHeight(h)
	if p.code == nil || p.code.Rect.Dx() != w || p.code.Rect.Dy() != blocks.Height(h) {
		p.code = image.NewYCbCr(image.Rect(0, 0, w, blocks.Height(h)), image.YCbCrSubsampleRatio420)
		for i := range p.code.Cb {
			p.code.Cb[i], p.code.Cr[i] = blocks.Chroma, blocks.Chroma
		}
	}
	blocks.Paint(p.code.Y, p.code.YStride, w, h, c)
	for r := range blocks.Rows {
		row := p.code.SubImage(image.Rect(0, r*rows, w, r*rows+strip)).(*image.YCbCr)
		if err := p.strips.encode(row); err != nil {
			return err
		}
		for range rows/strip - 1 {
			p.strips.repeat()
		}
	}
	return nil
}
