package call

import (
	"fmt"
	"strings"

	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"

	"kioskd/capture"
	"kioskd/capture/encode"
)

// idleLane is how many pictures an encoder that nobody wants is kept for: a page that
// is loaded anew comes back at once.
const idleLane = 60

// lane is one encoder.
type lane struct {
	codec     encode.Codec
	enc       encode.VideoEncoder
	payloader rtp.Payloader
	idle      int           // pictures since somebody wanted it
	pool      *capture.Pool // of the size that it needs, which another codec may not
}

func codecOf(mime string) encode.Codec {
	_, name, _ := strings.Cut(mime, "/")
	return encode.Codec(strings.ToUpper(name))
}

func payloaderOf(c encode.Codec) rtp.Payloader {
	switch c {
	case encode.CodecVP8:
		return &codecs.VP8Payloader{EnablePictureID: true}
	case encode.CodecH264:
		return &codecs.H264Payloader{}
	}
	return nil
}

// lane is the encoder of a codec; a new one begins with a keyframe by itself.
func (v *videoSender) lane(mime string) (*lane, error) {
	if l := v.lanes[mime]; l != nil {
		if l.idle > 0 {
			l.idle = 0
			if err := l.enc.ForceKeyFrame(); err != nil {
				return nil, fmt.Errorf("cannot force a keyframe: %w", err)
			}
		}
		return l, nil
	}
	l := &lane{codec: codecOf(mime)}
	l.payloader = payloaderOf(l.codec)
	p := v.opts.Params
	p.FrameRate, p.BitRate = v.gov.FPS(), v.bitRate()
	var err error
	if l.enc, err = encode.NewVideo(l.codec, p); err != nil {
		return nil, fmt.Errorf("cannot start the video encoder: %w", err)
	}
	v.lanes[mime] = l
	v.tell()
	return l, nil
}

// trim closes encoders that nobody has wanted for a while.
func (v *videoSender) trim() {
	if len(v.lanes) == len(v.work) {
		return
	}
	for mime, l := range v.lanes {
		if contains(v.work, mime) {
			continue
		}
		if l.idle++; l.idle > idleLane {
			v.closeLane(mime, l)
		}
	}
	v.tell()
}

func (v *videoSender) closeLanes() {
	for mime, l := range v.lanes {
		v.closeLane(mime, l)
	}
	v.tell()
}

func (v *videoSender) closeLane(mime string, l *lane) {
	delete(v.lanes, mime)
	if err := l.enc.Close(); err != nil {
		v.log.Error("cannot close the video encoder", "error", err)
	}
}
