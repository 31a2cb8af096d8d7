package camera

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// tally counts what a camera gave, over all the times it is opened.
type tally struct {
	frames, short, truncated, undecodable, wrongSize, oversized, uneven atomic.Uint64

	converting atomic.Int64 // nanoseconds
}

// stats fills in the counts.
func (t *tally) stats(s *Stats) {
	s.Frames, s.Uneven = t.frames.Load(), t.uneven.Load()
	s.Short, s.Truncated, s.Undecodable = t.short.Load(), t.truncated.Load(), t.undecodable.Load()
	s.WrongSize, s.Oversized = t.wrongSize.Load(), t.oversized.Load()
	s.Bad = s.Short + s.Truncated + s.Undecodable + s.WrongSize + s.Oversized
	s.Convert = time.Duration(t.converting.Load())
}

// Why a picture is dropped. None of them ends the stream.
var (
	errShort       = errors.New("the picture has too few bytes")
	errTruncated   = errors.New("the picture ends in the middle")
	errUndecodable = errors.New("the picture cannot be decoded")
	errWrongSize   = errors.New("the picture has another size than was set")
)

// count counts a dropped picture by its kind.
func (t *tally) count(kind error) {
	switch {
	case errors.Is(kind, errShort):
		t.short.Add(1)
	case errors.Is(kind, errTruncated):
		t.truncated.Add(1)
	case errors.Is(kind, errWrongSize):
		t.wrongSize.Add(1)
	default:
		t.undecodable.Add(1)
	}
}

// tooLong refuses a raw picture that holds more than one of the set format can.
// What is too short, the conversion finds.
func tooLong(f v4l2Format, w way, b []byte) error {
	if w.stride > 0 && f.sizeImage > 0 && len(b) > int(f.sizeImage) {
		return fmt.Errorf("%w: %d bytes, at most %d", errWrongSize, len(b), f.sizeImage)
	}
	return nil
}

// badKind says what is wrong with a picture that cannot be converted. It is asked
// for those only, so a good one costs nothing.
func badKind(f v4l2Format, w way, offered []Size, b []byte) error {
	if len(b) == 0 {
		return errShort
	}
	if w.stride == 0 {
		return badJPEG(int(f.width), int(f.height), b)
	}
	for _, s := range offered {
		if (s.Width != int(f.width) || s.Height != int(f.height)) && len(b) == w.bytes(s.Width, s.Height) {
			return errWrongSize
		}
	}
	return errShort
}

// badJPEG says what is wrong with a JPEG that should have this size.
func badJPEG(w, h int, b []byte) error {
	gotW, gotH, ok := jpegSize(b)
	switch {
	case ok && (gotW != w || gotH != h):
		return fmt.Errorf("%w: %dx%d", errWrongSize, gotW, gotH)
	case bytes.HasPrefix(b, []byte{0xFF, 0xD8}) && !bytes.Contains(b, []byte{0xFF, 0xD9}):
		return errTruncated
	}
	return errUndecodable
}

// jpegSize finds the size of a picture in its frame header (ITU-T T.81, B.2.2).
func jpegSize(b []byte) (w, h int, ok bool) {
	if !bytes.HasPrefix(b, []byte{0xFF, 0xD8}) {
		return 0, 0, false
	}
	for b = b[2:]; len(b) >= 4 && b[0] == 0xFF; {
		marker := b[1]
		if marker == 0xFF { // fill
			b = b[1:]
			continue
		}
		n := int(binary.BigEndian.Uint16(b[2:])) // of the segment, with these two bytes
		switch {
		case marker == 0xDA || marker == 0xD9 || n < 2:
			return 0, 0, false
		case marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC:
			if n < 8 || len(b) < 9 {
				return 0, 0, false
			}
			return int(binary.BigEndian.Uint16(b[7:])), int(binary.BigEndian.Uint16(b[5:])), true
		case len(b) < 2+n:
			return 0, 0, false
		}
		b = b[2+n:]
	}
	return 0, 0, false
}
