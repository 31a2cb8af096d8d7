package picture

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
)

// Markers of ITU-T T.81 table B.1.
const (
	markSOI  = 0xd8
	markEOI  = 0xd9
	markSOF0 = 0xc0
	markSOS  = 0xda
	markDRI  = 0xdd
	markRST0 = 0xd0

	strip   = 16 // lines of one row of MCUs at 4:2:0
	quality = 80
)

// strips builds one JPEG out of strips that are encoded apart.
type strips struct {
	w, h   int
	head   []byte // SOI to the end of SOS, of the whole picture
	headOf size   // what head was made for
	scan   []byte // entropy-coded segments with restart markers between them
	last   []byte // the newest strip's segment
	n      int    // strips in scan
	buf    bytes.Buffer
}

// begin starts a picture of w x h.
func (s *strips) begin(w, h int) {
	s.w, s.h, s.n, s.scan = w, h, 0, s.scan[:0]
}

// missing is how many strips the picture still lacks.
func (s *strips) missing() int { return (s.h+strip-1)/strip - s.n }

// encode adds a strip: img is w wide and at most 16 lines high.
func (s *strips) encode(img *image.YCbCr) error {
	s.buf.Reset()
	if err := jpeg.Encode(&s.buf, img, &jpeg.Options{Quality: quality}); err != nil {
		return fmt.Errorf("cannot encode a strip: %w", err)
	}
	head, scan, err := split(s.buf.Bytes())
	if err != nil {
		return err
	}
	if want := (size{s.w, s.h}); s.headOf != want {
		if s.head, err = wholeHead(head, s.w, s.h); err != nil {
			return err
		}
		s.headOf = want
	}
	s.last = append(s.last[:0], scan...)
	s.repeat()
	return nil
}

// repeat adds the newest strip once more.
func (s *strips) repeat() {
	if s.n > 0 {
		s.scan = append(s.scan, 0xff, markRST0+byte((s.n-1)%8))
	}
	s.scan = append(s.scan, s.last...)
	s.n++
}

// raw adds all the missing strips from an earlier picture's rest().
func (s *strips) raw(tail []byte) {
	s.scan = append(s.scan, tail...)
	s.n += s.missing()
}

// finish writes the picture into dst and returns its size.
func (s *strips) finish(dst []byte) (int, error) {
	if s.missing() != 0 {
		return 0, fmt.Errorf("cannot join a JPEG of %dx%d: %d strips missing", s.w, s.h, s.missing())
	}
	need := len(s.head) + len(s.scan) + 2
	if need > len(dst) {
		return 0, fmt.Errorf("cannot join a JPEG of %dx%d: needs %d bytes, buffer has %d", s.w, s.h, need, len(dst))
	}
	n := copy(dst, s.head)
	n += copy(dst[n:], s.scan)
	dst[n], dst[n+1] = 0xff, markEOI
	return need, nil
}

var errSplit = errors.New("cannot split a JPEG: it is not a baseline picture with one scan")

// segments calls f with the marker and the place of each segment up to and with
// SOS: b[from:to] is the segment with its marker. It returns where the scan begins.
func segments(b []byte, f func(mark byte, from, to int)) (int, error) {
	if len(b) < 4 || b[0] != 0xff || b[1] != markSOI {
		return 0, errSplit
	}
	for at := 2; at+4 <= len(b); {
		mark, to := b[at+1], at+2+int(binary.BigEndian.Uint16(b[at+2:]))
		if b[at] != 0xff || mark < markSOF0 || mark >= markRST0 && mark <= markEOI || to < at+4 || to > len(b) {
			return 0, errSplit
		}
		f(mark, at, to)
		if mark == markSOS {
			return to, nil
		}
		at = to
	}
	return 0, errSplit
}

// split cuts a JPEG into its header, SOI to SOS, and its entropy-coded segment.
func split(b []byte) (head, scan []byte, err error) {
	at, err := segments(b, func(byte, int, int) {})
	if err != nil {
		return nil, nil, err
	}
	if len(b) < at+2 || b[len(b)-2] != 0xff || b[len(b)-1] != markEOI {
		return nil, nil, errSplit
	}
	return b[:at], b[at : len(b)-2], nil
}

// wholeHead makes the header of a picture of w x h from a strip's: the height in
// SOF0 is changed, and DRI says that each row of MCUs is a restart interval.
func wholeHead(head []byte, w, h int) ([]byte, error) {
	var out []byte
	frames := 0
	_, err := segments(head, func(mark byte, from, to int) {
		if mark == markSOS {
			out = append(out, 0xff, markDRI, 0, 4)
			out = binary.BigEndian.AppendUint16(out, uint16((w+strip-1)/strip))
		}
		out = append(out, head[from:to]...)
		if mark == markSOF0 && to-from >= 9 {
			frames++
			at := len(out) - (to - from) + 5 // marker, length, precision
			binary.BigEndian.PutUint16(out[at:], uint16(h))
		}
	})
	if err != nil || frames != 1 {
		return nil, errSplit
	}
	return append([]byte{0xff, markSOI}, out...), nil
}
