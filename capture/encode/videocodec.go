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
	return &videoReader{source: r, enc: v}, nil
}

// RTPCodec is H.264 at 90 kHz (RFC 6184).
func (p H264Params) RTPCodec() *codec.RTPCodec {
	return codec.NewRTPH264Codec(ticksPerSecond)
}

// BuildVideoEncoder makes an encoder that pulls its pictures from r. A frame
// rate in m is used where p has none; the size is taken from the pictures.
func (p H264Params) BuildVideoEncoder(r video.Reader, m prop.Media) (codec.ReadCloser, error) {
	if r == nil {
		return nil, errors.New("cannot build an H.264 encoder without a video reader")
	}
	if p.FrameRate == 0 && m.FrameRate > 0 {
		p.FrameRate = float64(m.FrameRate)
	}
	e, err := NewH264(p)
	if err != nil {
		return nil, err
	}
	return &videoReader{source: r, enc: e}, nil
}

// pictureEncoder is what videoReader needs of a codec's encoder.
type pictureEncoder interface {
	VideoEncoder
	encode(img *image.YCbCr, at time.Time) (data []byte, key bool, err error)
}

// videoReader is an encoder behind mediadevices' codec.ReadCloser.
type videoReader struct {
	source video.Reader
	enc    pictureEncoder
}

// Read waits for one picture from the source, holding no lock meanwhile, and
// returns it encoded. The bytes are valid until the next Read; release does
// nothing. A *capture.Frame brings its own time, any other picture is taken to
// be made now. io.EOF: the encoder was closed.
func (r *videoReader) Read() ([]byte, func(), error) {
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
		err = fmt.Errorf("cannot encode a %T: it must be a *capture.Frame or a 4:2:0 *image.YCbCr", img)
	}
	if errors.Is(err, ErrClosed) {
		err = io.EOF
	}
	if err != nil {
		return nil, noRelease, err
	}
	return data, noRelease, nil
}

// Controller gives the *VP8 or *H264, which is a codec.KeyFrameController and a
// codec.BitRateController.
func (r *videoReader) Controller() codec.EncoderController { return r.enc }

// Close ends the encoder; a Read that waits for its source ends with io.EOF
// when the source gives it a picture.
func (r *videoReader) Close() error { return r.enc.Close() }

func noRelease() {}

var (
	_ codec.VideoEncoderBuilder = VP8Params{}
	_ codec.VideoEncoderBuilder = H264Params{}
	_ codec.KeyFrameController  = (*VP8)(nil)
	_ codec.KeyFrameController  = (*H264)(nil)
	_ codec.BitRateController   = (*VP8)(nil)
	_ codec.BitRateController   = (*H264)(nil)
)
