package encode

import (
	"errors"
	"fmt"
	"image"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/codec/openh264"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"

	"kioskd/capture"
)

// H264Params says how to encode. The zero value is a good 720p30 call. It
// implements mediadevices' codec.VideoEncoderBuilder.
type H264Params struct {
	BitRate   int     // bit/s, 30 000 to 50 000 000; 0: 1 500 000
	FrameRate float64 // pictures a second expected at the start; 0: 30. The real rate is learned from Frame.Time
	Threads   int     // 1 to 4; 0: 1 on one or two processors, else 2
}

func (p H264Params) withDefaults() (H264Params, error) {
	v, err := VP8Params{BitRate: p.BitRate, FrameRate: p.FrameRate, Threads: p.Threads}.withDefaults()
	return H264Params{BitRate: v.BitRate, FrameRate: v.FrameRate, Threads: v.Threads}, err
}

// H264 encodes one stream of pictures as Constrained Baseline (RFC 6184, profile
// 42e0) with openh264, through mediadevices' binding. It adds what that lacks: real time
// instead of a fixed number of pictures a second, pictures of another size in
// the same stream, bounded keyframes, and controls that another goroutine may use
// while it closes. Encode is for one goroutine at a time; see VideoEncoder.
type H264 struct {
	params    H264Params
	bitRate   atomic.Int64  // bit/s wanted
	frameRate atomic.Uint64 // millihertz wanted, 0: nothing new
	forceKey  atomic.Bool

	mu     sync.Mutex // held while openh264 works, never while anybody waits for a picture
	enc    codec.ReadCloser
	native *openH264 // behind enc
	w, h   int
	told   int // bit/s, as enc counts them
	purse  purse
	pacer  *pacer
	closed bool
}

// NewH264 checks the parameters. openh264 itself is opened by the first picture,
// whose size it takes.
func NewH264(p H264Params) (*H264, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &H264{params: p, pacer: newPacer(p.FrameRate), purse: newPurse()}
	e.bitRate.Store(int64(p.BitRate))
	return e, nil
}

// Encode compresses one frame into an access unit with start codes (H.264 annex
// B); one with a keyframe begins with its SPS and PPS. The bytes are valid until
// the next Encode.
func (e *H264) Encode(frame *capture.Frame) (data []byte, key bool, err error) {
	if frame == nil {
		return nil, false, errors.New("cannot encode a picture that is nil")
	}
	return e.encode(&frame.YCbCr, frame.Time)
}

func (e *H264) encode(img *image.YCbCr, at time.Time) (data []byte, key bool, err error) {
	if err := checkPicture(img); err != nil {
		return nil, false, err
	}
	w, h := img.Rect.Dx(), img.Rect.Dy()
	if w&1 != 0 || h&1 != 0 {
		return nil, false, fmt.Errorf("cannot encode a %dx%d picture as H.264: openh264 takes even sides", w, h)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.closed {
		return nil, false, ErrClosed
	}
	err = e.prepare(w, h, at)
	if err == nil {
		data, key, err = e.read(img)
	}
	if err != nil {
		// What state openh264 is in is unknown: start anew, with a keyframe.
		return nil, false, errors.Join(fmt.Errorf("cannot encode a picture as H.264: %w", err), e.drop())
	}
	return data, key, nil
}

// mostRate is what openh264 is told at most, in bit/s of its own counting: it refuses what
// no level of H.264 carries (table A-1, 240 Mbit/s at level 5.2), and a few pictures
// a second count for as many as thirty do.
const mostRate = 240_000_000

// maxTries bounds the encodes of one keyframe.
const maxTries = 3

// read encodes the picture. A keyframe that came out too large is thrown
// away and made again, smaller: nothing refers to what was before it, so nobody
// misses the first one.
func (e *H264) read(img *image.YCbCr) ([]byte, bool, error) {
	for try := 1; ; try++ {
		data, err := e.native.encode(img)
		if err != nil {
			return nil, false, err
		}
		bits, key := float64(8*len(data)), isIDR(data)
		if key {
			smaller := e.purse.learn(bits)
			if bits > e.purse.mean*maxIntraPercent/100 && smaller && try < maxTries {
				if err := e.again(); err != nil {
					return nil, false, err
				}
				continue
			}
		}
		e.purse.spend(bits)
		return data, key, nil
	}
}

// again asks for the same picture as a smaller keyframe.
func (e *H264) again() error {
	if err := e.rate(min(int(e.purse.mean*e.purse.key*e.params.FrameRate), mostRate)); err != nil {
		return err
	}
	return e.native.intra()
}

func (e *H264) rate(bps int) error {
	if err := e.native.rate(e.told, bps); err != nil {
		return err
	}
	e.told = bps
	return nil
}

// prepare brings openh264 in line with the picture's size and time and with what
// was asked for since the last picture.
func (e *H264) prepare(w, h int, at time.Time) error {
	if mhz := e.frameRate.Swap(0); mhz != 0 {
		e.pacer.reset(ticksPerSecond * 1000 / float64(mhz))
	}
	_, dur := e.pacer.step(at)
	key := e.forceKey.Swap(false)
	if e.enc != nil && (e.w != w || e.h != h) {
		if err := e.drop(); err != nil {
			return err
		}
	}
	target, seconds := float64(e.bitRate.Load()), float64(dur)/ticksPerSecond
	rate := e.purse.earn(target, seconds)
	if key || e.enc == nil {
		rate = e.purse.wish(rate, target)
	}
	want := min(int(rate*seconds*e.params.FrameRate), mostRate) // it counts pictures, not time
	if e.enc == nil {
		return e.open(w, h, want)
	}
	if diff := want - e.told; key || diff > e.told/50 || diff < -e.told/50 {
		if err := e.rate(want); err != nil {
			return err
		}
	}
	if key {
		return e.native.intra()
	}
	return nil
}

func (e *H264) open(w, h, rate int) error {
	p, err := openh264.NewParams()
	if err != nil {
		return fmt.Errorf("cannot set up openh264: %w", err)
	}
	p.BitRate = rate
	p.RCMode = openh264.RCBitrateMode
	p.EnableFrameSkip = false // a frame that was captured is sent; the purse keeps the rate
	p.IntraPeriod = 0         // a keyframe only at the start and when asked for
	p.MultipleThreadIdc = e.params.Threads
	p.SliceMode = openh264.SMSingleSlice
	if e.params.Threads > 1 { // a thread a slice
		p.SliceMode, p.SliceNum = openh264.SMFixedslcnumSlice, uint(e.params.Threads)
	}
	feed := video.ReaderFunc(func() (image.Image, func(), error) { return nil, nil, io.EOF }) // its Read is not used
	enc, err := p.BuildVideoEncoder(feed, prop.Media{Video: prop.Video{Width: w, Height: h, FrameRate: float32(e.params.FrameRate)}})
	if err != nil {
		return fmt.Errorf("cannot open the H.264 encoder for %dx%d at %d kbit/s: %w", w, h, rate/1000, err)
	}
	native, err := grasp(enc)
	if err != nil {
		return errors.Join(err, enc.Close())
	}
	e.enc, e.native, e.w, e.h, e.told = enc, native, w, h, rate
	return nil
}

// drop closes openh264; the next picture opens it anew.
func (e *H264) drop() error {
	if e.enc == nil {
		return nil
	}
	err := e.enc.Close()
	e.enc, e.native = nil, nil
	if err != nil {
		return fmt.Errorf("cannot close the H.264 encoder: %w", err)
	}
	return nil
}

// SetBitRate aims at bps bit/s from the next picture on.
func (e *H264) SetBitRate(bps int) error {
	if err := checkBitRate(bps); err != nil {
		return err
	}
	e.bitRate.Store(int64(bps))
	return nil
}

// SetFrameRate tells that the source changes to fps pictures a second, 1 to
// 120. Without it the encoder learns that by itself within a few pictures.
func (e *H264) SetFrameRate(fps float64) error {
	if err := checkFrameRate(fps); err != nil {
		return err
	}
	e.frameRate.Store(uint64(fps * 1000))
	return nil
}

// ForceKeyFrame makes the next picture a keyframe. It never fails; the error is
// for mediadevices' codec.KeyFrameController.
func (e *H264) ForceKeyFrame() error {
	e.forceKey.Store(true)
	return nil
}

// Close frees openh264's memory. A second Close does nothing.
func (e *H264) Close() error {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.closed = true
	return e.drop()
}
