// Package blocks is the machine-readable code that every fakecam frame carries
// at its top: which frame it is and when it was made. A test reads it back at
// any place of the media path and so measures latency, loss and order.
//
// It owns the layout of the code and nothing else, uses the standard library
// only, and anything may import it.
//
// # Layout
//
// The code is 3 rows of 32 blocks. In a picture of W x H, column c covers
// x in [c*W/32, (c+1)*W/32), row r covers y in [r*R, (r+1)*R), where
// R = 16*max(1, H/360); all divisions are integer. A block is luma 235 for 1
// and 16 for 0, chroma 128 (the ends of studio range, ITU-R BT.601-7 section
// 2.5.3, so that no conversion clips them). Bit k is at row k/32, column k%32:
//
//	bits  0-31  frame counter, least significant bit first
//	bits 32-79  time of making, unix time in units of 100 us, LSB first
//	bits 80-95  CRC-16/CCITT-FALSE over the ten bytes of bits 0-79, LSB first
//
// A reader takes the mean of the centre half of each block, threshold 128.
package blocks

import (
	"errors"
	"fmt"
	"time"
)

// Shape of the code, in blocks and bits.
const (
	Rows = 3
	Cols = 32
	Bits = Rows * Cols

	// One and Zero are the luma of a set and of a clear bit; Chroma is the
	// value of both chroma planes.
	One, Zero, Chroma = 235, 16, 128

	threshold = 128
	tick      = 100 * time.Microsecond
	tickBits  = 48
)

// Errors of the readers. Both mean "no code here"; ErrCRC is the usual one for
// a picture that carries none or that was damaged on its way.
var (
	ErrCRC  = errors.New("cannot read block code: checksum does not match")
	ErrSize = errors.New("cannot read block code: picture too small")
)

// Code is what one frame says about itself.
type Code struct {
	// Counter is the number of the frame since its stream started, from the
	// camera's base on (fakecam's -counter-base).
	Counter uint32
	// Ticks is the time of making: unix time in units of 100 us, 48 bits.
	Ticks uint64
}

// New gives the code of frame counter made at t; t is cut to 100 us.
func New(counter uint32, t time.Time) Code {
	return Code{Counter: counter, Ticks: uint64(t.UnixMicro()/int64(tick/time.Microsecond)) & (1<<tickBits - 1)}
}

// Time is the instant of making, exact to 100 us.
func (c Code) Time() time.Time {
	return time.UnixMicro(int64(c.Ticks) * int64(tick/time.Microsecond))
}

// Pack gives the 96 bits of the code; bit k is bit k%8 of byte k/8.
func (c Code) Pack() [Bits / 8]byte {
	var b [Bits / 8]byte
	for i := range 4 {
		b[i] = byte(c.Counter >> (8 * i))
	}
	for i := range 6 {
		b[4+i] = byte(c.Ticks >> (8 * i))
	}
	sum := CRC(b[:10])
	b[10], b[11] = byte(sum), byte(sum>>8)
	return b
}

// Unpack is the inverse of Pack; it returns ErrCRC where the checksum differs.
func Unpack(b [Bits / 8]byte) (Code, error) {
	if CRC(b[:10]) != uint16(b[10])|uint16(b[11])<<8 {
		return Code{}, ErrCRC
	}
	var c Code
	for i := range 4 {
		c.Counter |= uint32(b[i]) << (8 * i)
	}
	for i := range 6 {
		c.Ticks |= uint64(b[4+i]) << (8 * i)
	}
	return c, nil
}

// CRC is CRC-16/CCITT-FALSE: polynomial 0x1021, first value 0xFFFF, no
// reflection, no final XOR; CRC of "123456789" is 0x29B1.
func CRC(b []byte) uint16 {
	sum := uint16(0xFFFF)
	for _, x := range b {
		sum ^= uint16(x) << 8
		for range 8 {
			if sum&0x8000 != 0 {
				sum = sum<<1 ^ 0x1021
			} else {
				sum <<= 1
			}
		}
	}
	return sum
}

// RowHeight is the height in lines of one row of blocks in a picture h lines
// high: 16 below 720 lines, 32 at 720, 48 at 1080.
func RowHeight(h int) int { return 16 * max(1, h/360) }

// Height is the height in lines of the whole code in a picture h lines high.
func Height(h int) int { return Rows * RowHeight(h) }

// column gives the range of x that column c covers in a picture w wide.
func column(c, w int) (from, to int) { return c * w / Cols, (c + 1) * w / Cols }

// Paint draws the code into the top Height(h) lines of a luma plane of a
// picture w x h. Line y starts at luma[y*stride]; only the lines of the code
// need to be there, so an encoder may paint a strip. The chroma planes are the
// caller's: all Chroma. It does nothing to a line that is not wholly in luma.
func Paint(luma []byte, stride, w, h int, c Code) {
	paint(luma, stride, w, h, c, func(line []byte, from, to int, v byte) {
		for x := from; x < to; x++ {
			line[x] = v
		}
	}, 1)
}

// PaintYUYV draws the code, chroma included, into a packed YUYV picture w x h
// (w even); line y starts at pix[y*stride], stride is at least 2*w bytes.
func PaintYUYV(pix []byte, stride, w, h int, c Code) {
	paint(pix, stride, w, h, c, func(line []byte, from, to int, v byte) {
		for x := from; x < to; x++ {
			line[2*x], line[2*x+1] = v, Chroma
		}
	}, 2)
}

// paint draws each line of the code; a pixel is size bytes.
func paint(pix []byte, stride, w, h int, c Code, fill func(line []byte, from, to int, v byte), size int) {
	bits, rh := c.Pack(), RowHeight(h)
	for r := range Rows {
		first := r * rh * stride
		if first+w*size > len(pix) || r*rh >= h {
			return
		}
		line := pix[first : first+w*size]
		for col := range Cols {
			from, to := column(col, w)
			v := byte(Zero)
			if k := r*Cols + col; bits[k/8]>>(k%8)&1 == 1 {
				v = One
			}
			fill(line, from, to, v)
		}
		for y := 1; y < rh; y++ { // the other lines of the row are the same
			at := first + y*stride
			if at+w*size > len(pix) || r*rh+y >= h {
				return
			}
			copy(pix[at:at+w*size], line)
		}
	}
}

// Read reads the code from a luma plane of a picture w x h that was not
// scaled; line y starts at luma[y*stride]. It returns ErrSize or ErrCRC.
func Read(luma []byte, stride, w, h int) (Code, error) {
	return ReadScaled(luma, stride, w, h, h)
}

// ReadScaled is Read for a picture that was source lines high when the code
// was painted and is w x h now: rows of blocks are scaled by h/source.
func ReadScaled(luma []byte, stride, w, h, source int) (Code, error) {
	if w < Cols || h < 1 || source < 1 || stride < w {
		return Code{}, fmt.Errorf("%w: %dx%d, stride %d, source height %d", ErrSize, w, h, stride, source)
	}
	rh := RowHeight(source)
	top := Rows * rh * h / source // lines of the code
	if top < Rows || top > h || len(luma) < (top-1)*stride+w {
		return Code{}, fmt.Errorf("%w: %dx%d with %d bytes, code needs %d lines", ErrSize, w, h, len(luma), top)
	}
	var bits [Bits / 8]byte
	for r := range Rows {
		y0, y1 := centre(r*rh*h/source, (r+1)*rh*h/source)
		for col := range Cols {
			x0, x1 := centre(column(col, w))
			sum := 0
			for y := y0; y < y1; y++ {
				for _, v := range luma[y*stride+x0 : y*stride+x1] {
					sum += int(v)
				}
			}
			if k := r*Cols + col; sum >= threshold*(y1-y0)*(x1-x0) {
				bits[k/8] |= 1 << (k % 8)
			}
		}
	}
	return Unpack(bits)
}

// centre is the middle half of [from, to), never empty where the range is not.
func centre(from, to int) (int, int) {
	q := (to - from) / 4
	return from + q, to - q
}
