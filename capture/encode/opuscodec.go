package encode

import (
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/io/audio"
	"github.com/pion/mediadevices/pkg/prop"
	"github.com/pion/mediadevices/pkg/wave"
)

// maxChunk bounds, in samples a channel, what a reader may hand over at once: 100 ms.
const maxChunk = OpusRate / 10

// RTPCodec is Opus at 48 kHz in 20 ms packets (RFC 7587).
func (p OpusParams) RTPCodec() *codec.RTPCodec {
	c := codec.NewRTPOpusCodec(OpusRate)
	c.Latency = 20 * time.Millisecond
	return c
}

// BuildAudioEncoder makes an encoder that pulls its sound from r as
// *wave.Int16Interleaved chunks of 48 kHz, mono or stereo (which is mixed down),
// of any length up to 100 ms. m may leave the sample rate open or say 48000.
func (p OpusParams) BuildAudioEncoder(r audio.Reader, m prop.Media) (codec.ReadCloser, error) {
	if r == nil {
		return nil, errors.New("cannot build an Opus encoder without an audio reader")
	}
	if m.SampleRate != 0 && m.SampleRate != OpusRate {
		return nil, fmt.Errorf("cannot build an Opus encoder for %d Hz: it takes %d", m.SampleRate, OpusRate)
	}
	o, err := NewOpus(p)
	if err != nil {
		return nil, err
	}
	return &opusReader{source: r, enc: o, pending: make([]int16, 0, OpusSamples+maxChunk)}, nil
}

// opusReader is Opus behind mediadevices' codec.ReadCloser. For one reading
// goroutine; Close and the controller may be used from others.
type opusReader struct {
	source  audio.Reader
	enc     *Opus
	pending []int16 // mono samples not yet encoded
	used    int     // of those, how many the last packet took
}

// Read pulls chunks until there are 20 ms, holding no lock meanwhile, and
// returns one packet, valid until the next Read. io.EOF: the encoder was closed.
func (r *opusReader) Read() ([]byte, func(), error) {
	r.pending = r.pending[:copy(r.pending, r.pending[r.used:])]
	r.used = 0
	for len(r.pending) < OpusSamples {
		if err := r.pull(); err != nil {
			return nil, noRelease, err
		}
	}
	data, err := r.enc.Encode(r.pending[:OpusSamples])
	if errors.Is(err, ErrClosed) {
		err = io.EOF
	}
	if err != nil {
		return nil, noRelease, err
	}
	r.used = OpusSamples
	return data, noRelease, nil
}

// pull adds one chunk of the source to pending.
func (r *opusReader) pull() error {
	chunk, release, err := r.source.Read()
	if err != nil {
		return err
	}
	if release != nil {
		defer release()
	}
	pcm, ok := chunk.(*wave.Int16Interleaved)
	if !ok {
		return fmt.Errorf("cannot encode a %T: Opus takes *wave.Int16Interleaved", chunk)
	}
	size := pcm.Size
	switch {
	case size.SamplingRate != 0 && size.SamplingRate != OpusRate:
		return fmt.Errorf("cannot encode sound of %d Hz: Opus is fed with %d here", size.SamplingRate, OpusRate)
	case size.Len < 0 || size.Len > maxChunk || size.Channels < 1 || size.Channels > 2 || len(pcm.Data) < size.Len*size.Channels:
		return fmt.Errorf("cannot encode a chunk of %d samples in %d channels: it must be up to %d in one or two", size.Len, size.Channels, maxChunk)
	case size.Channels == 1:
		r.pending = append(r.pending, pcm.Data[:size.Len]...)
	default:
		for i := range size.Len {
			r.pending = append(r.pending, int16((int32(pcm.Data[2*i])+int32(pcm.Data[2*i+1]))/2))
		}
	}
	return nil
}

// Controller gives the *Opus, which is a codec.BitRateController.
func (r *opusReader) Controller() codec.EncoderController { return r.enc }

// Close ends the encoder; a Read that waits for its source ends with io.EOF
// when it has its 20 ms.
func (r *opusReader) Close() error { return r.enc.Close() }

var (
	_ codec.AudioEncoderBuilder = OpusParams{}
	_ codec.BitRateController   = (*Opus)(nil)
)
