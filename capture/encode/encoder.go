package encode

import (
	"fmt"

	"kioskd/capture"
)

// Codec is a video codec by its RTP encoding name (RFC 7741, RFC 6184).
type Codec string

// The codecs that there is an encoder for.
const (
	CodecVP8  Codec = "VP8"
	CodecH264 Codec = "H264"
)

// VideoEncoder compresses one stream of pictures. Encode is for one goroutine
// at a time; the other methods may be called from any and never wait for more
// than the picture in work.
type VideoEncoder interface {
	// Encode compresses one frame, which it only reads and does not keep. The bytes are one
	// VP8 frame (RFC 6386) or one H.264 access unit with start codes (H.264 annex
	// B), valid until the next Encode. A frame of another size than the last goes on in
	// the same stream, with a keyframe.
	Encode(*capture.Frame) (data []byte, key bool, err error)
	// SetBitRate aims at bps bit/s from the next picture on.
	SetBitRate(bps int) error
	// SetFrameRate tells how many pictures a second will come, 1 to 120.
	SetFrameRate(fps float64) error
	// ForceKeyFrame makes the next picture a keyframe.
	ForceKeyFrame() error
	Close() error
}

// VideoParams is what every codec's encoder is told. Zero fields take good defaults.
type VideoParams struct {
	BitRate   int     // bit/s, 30 000 to 50 000 000; 0: 1 500 000
	FrameRate float64 // pictures a second expected at the start; 0: 30
	Threads   int     // 1 to 4; 0: as the machine allows
	CPUUsed   int     // VP8 only, see VP8Params
}

// Alone tells whether an encoder works on its caller's thread only.
func (p VideoParams) Alone() bool {
	v, err := VP8Params{Threads: p.Threads}.withDefaults()
	return err == nil && v.Threads == 1
}

// NewVideo makes an encoder of the codec.
func NewVideo(c Codec, p VideoParams) (VideoEncoder, error) {
	switch c {
	case CodecVP8:
		return NewVP8(VP8Params{BitRate: p.BitRate, FrameRate: p.FrameRate, Threads: p.Threads, CPUUsed: p.CPUUsed})
	case CodecH264:
		return NewH264(H264Params{BitRate: p.BitRate, FrameRate: p.FrameRate, Threads: p.Threads})
	default:
		return nil, fmt.Errorf("cannot encode %s: the codecs are VP8 and H264", c)
	}
}
