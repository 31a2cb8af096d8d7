package encode

import (
	"fmt"

	"github.com/hraban/opus"
)

// maxOpusSamples is the longest packet's sound, 120 ms at OpusRate (RFC 6716, section 2.1.4).
const maxOpusSamples = OpusRate * 120 / 1000

// OpusDecoder turns packets of mono sound back into samples. The kiosk never plays
// what it decodes: it measures the sound of a loopback call with it. For one
// goroutine at a time.
type OpusDecoder struct {
	dec *opus.Decoder // its memory is Go's: nothing to free
	buf [maxOpusSamples]int16
}

// NewOpusDecoder makes a decoder.
func NewOpusDecoder() (*OpusDecoder, error) {
	dec, err := opus.NewDecoder(OpusRate, 1)
	if err != nil {
		return nil, fmt.Errorf("cannot open the Opus decoder: %w", err)
	}
	return &OpusDecoder{dec: dec}, nil
}

// Decode gives the samples of one packet at OpusRate. They are valid until the next
// Decode.
func (d *OpusDecoder) Decode(packet []byte) ([]int16, error) {
	n, err := d.dec.Decode(packet, d.buf[:])
	if err != nil {
		return nil, fmt.Errorf("cannot decode an Opus packet: %w", err)
	}
	return d.buf[:n], nil
}
