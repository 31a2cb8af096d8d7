// Package ivf writes VP8 frames into the IVF container, which decoders of every
// project read. Imported by the bench only.
package ivf

import (
	"encoding/binary"
	"fmt"
	"io"
)

// Writer writes one stream.
type Writer struct {
	w    io.Writer
	n    uint64
	head [12]byte // of a frame
}

// New writes the file's header: VP8 of w x h pixels, one tick a frame.
func New(out io.Writer, w, h int) (*Writer, error) {
	head := make([]byte, 32)
	copy(head, "DKIF")
	binary.LittleEndian.PutUint16(head[6:], 32)
	copy(head[8:], "VP80")
	binary.LittleEndian.PutUint16(head[12:], uint16(w))
	binary.LittleEndian.PutUint16(head[14:], uint16(h))
	binary.LittleEndian.PutUint32(head[16:], 30)
	binary.LittleEndian.PutUint32(head[20:], 1)
	if _, err := out.Write(head); err != nil {
		return nil, fmt.Errorf("cannot write the IVF header: %w", err)
	}
	return &Writer{w: out}, nil
}

// Write adds one frame.
func (w *Writer) Write(frame []byte) error {
	binary.LittleEndian.PutUint32(w.head[:], uint32(len(frame)))
	binary.LittleEndian.PutUint64(w.head[4:], w.n)
	w.n++
	for _, b := range [...][]byte{w.head[:], frame} {
		if _, err := w.w.Write(b); err != nil {
			return fmt.Errorf("cannot write an IVF frame: %w", err)
		}
	}
	return nil
}
