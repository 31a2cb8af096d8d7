package encode

import (
	"errors"
	"fmt"
	"image"
	"io"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"

	"kioskd/capture"
)

// RTPCodec is VP8 at 90 kHz (RFC 7741).
func (p VP8Params) RTPCodec() *codec.RTPCodec {
	return codec.NewRTPVP8Codec(ticksPerSecond)
}

// BuildVideoEncoder makes an encoder that pulls its pictures from r. A frame
// rate in m is used where p has none; the size is taken from the pictures.
func (p VP8Params) BuildVideoEncoder(r video.Reader, m prop.Media) (codec.ReadCloser, error) {
	if r == nil {
		return nil, errors.New("cannot build a VP8 encoder without a video reader")
	}
	if p.FrameRate == 0 && m.FrameRate > 0 {
		p.FrameRate = float64(m.FrameRate)
	}
	v, err := NewVP8(p)
	if err != nil {
		return nil, err
	}
	return &vp8Reader{source: r, enc: v}, nil
}

// vp8Reader is VP8 behind mediadevices' codec.ReadCloser.
type vp8Reader struct {
	source video.Reader
	enc    *VP8
}

// Read waits for one picture from the source, holding no lock meanwhile, and
// returns it encoded. The bytes are valid until the next Read; release does
// nothing. A *capture.Frame brings its own time, any other picture is taken to
// be made now. io.EOF: the encoder was closed.
func (r *vp8Reader) Read() ([]byte, func(), error) {
	img, release, err := r.source.Read()
	if err != nil {
		return nil, noRelease, err
	}
	if release != nil {
		defer release()
	}
	var data []byte
	switch img := img.(type) {
	case *capture.Frame:
		data, _, err = r.enc.Encode(img)
	case *image.YCbCr:
		data, _, err = r.enc.encode(img, time.Now())
	default:
		err = fmt.Errorf("cannot encode a %T: VP8 takes a *capture.Frame or a 4:2:0 *image.YCbCr", img)
	}
	if errors.Is(err, ErrClosed) {
		err = io.EOF
	}
	if err != nil {
		return nil, noRelease, err
	}
	return data, noRelease, nil
}

// Controller gives the *VP8, which is a codec.KeyFrameController and a
// codec.BitRateController.
func (r *vp8Reader) Controller() codec.EncoderController { return r.enc }

// Close ends the encoder; a Read that waits for its source ends with io.EOF
// when the source gives it a picture.
func (r *vp8Reader) Close() error { return r.enc.Close() }

func noRelease() {}

var (
	_ codec.VideoEncoderBuilder = VP8Params{}
	_ codec.KeyFrameController  = (*VP8)(nil)
	_ codec.BitRateController   = (*VP8)(nil)
)
