package encode

import (
	"errors"
	"fmt"
	"image"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"kioskd/capture"
)

// ErrClosed is returned by an encoder that was closed.
var ErrClosed = errors.New("cannot encode: the encoder is closed")

const (
	minBitRate      = 30_000     // bit/s; libvpx's rate control means nothing below
	maxBitRate      = 50_000_000 // bit/s
	maxSide         = 4096       // pixels; a camera's, well under VP8's 16383 (RFC 6386 section 9.1)
	maxIntraPercent = 400        // a keyframe is no larger than 4 mean pictures
	defaultBitRate  = 1_500_000  // bit/s, a 720p30 call
	// -12 costs a tenth less than WebRTC's -6 at the same PSNR (webcam scene +0.1 dB, a
	// scene that sways as a whole -0.2 dB); -16 costs a third less, and loses 6 dB there.
	defaultCPUUsed = -12
	defaultFPS     = 30.0
)

// VP8Params says how to encode. The zero value is a good 720p30 call. It
// implements mediadevices' codec.VideoEncoderBuilder.
type VP8Params struct {
	BitRate   int     // bit/s, 30 000 to 50 000 000; 0: 1 500 000
	FrameRate float64 // pictures a second expected at the start; 0: 30. The real rate is learned from Frame.Time

	// CPUUsed is libvpx's speed, -4 (slow, finer) to -16; 0: -12. Negative means
	// a fixed speed: positive ones let libvpx choose by its own clock.
	CPUUsed int
	// Threads is the number libvpx may use, 1 to 4; 0: 1 on one or two
	// processors, else 2. More shorten the wait for a picture and cost more in all.
	Threads int

	KeyFrameInterval int // pictures; 0: a keyframe only at the start and when asked for (PLI)
	NoiseSensitivity int // 0 (off) to 6: libvpx's temporal denoiser
	StaticThreshold  int // blocks that differ by less are skipped; 0: 1, which skips only identical ones
}

// withDefaults fills what was left zero in and refuses what libvpx would not take.
func (p VP8Params) withDefaults() (VP8Params, error) {
	if p.BitRate == 0 {
		p.BitRate = defaultBitRate
	}
	if p.FrameRate == 0 {
		p.FrameRate = defaultFPS
	}
	if p.CPUUsed == 0 {
		p.CPUUsed = defaultCPUUsed
	}
	if p.Threads == 0 {
		p.Threads = 1
		if runtime.NumCPU() > 2 {
			p.Threads = 2
		}
	}
	if p.StaticThreshold == 0 {
		p.StaticThreshold = 1
	}
	if err := checkBitRate(p.BitRate); err != nil {
		return p, err
	}
	for _, c := range []struct {
		name      string
		v, lo, hi float64
	}{
		{"frame rate", p.FrameRate, 1, 120},
		{"CPUUsed", float64(p.CPUUsed), -16, -4},
		{"thread count", float64(p.Threads), 1, 4},
		{"keyframe interval", float64(p.KeyFrameInterval), 0, 1e6},
		{"noise sensitivity", float64(p.NoiseSensitivity), 0, 6},
		{"static threshold", float64(p.StaticThreshold), 0, 1e6},
	} {
		if !(c.v >= c.lo && c.v <= c.hi) { // written so that NaN is refused
			return p, fmt.Errorf("cannot use a VP8 %s of %v: it must be %v to %v", c.name, c.v, c.lo, c.hi)
		}
	}
	return p, nil
}

func checkFrameRate(fps float64) error {
	if !(fps >= 1 && fps <= 120) { // written so that NaN is refused
		return fmt.Errorf("cannot use a frame rate of %v: it must be 1 to 120", fps)
	}
	return nil
}

func checkBitRate(bps int) error {
	if bps < minBitRate || bps > maxBitRate {
		return fmt.Errorf("cannot use a video bit rate of %d bit/s: it must be %d to %d", bps, minBitRate, maxBitRate)
	}
	return nil
}

// VP8 encodes one stream of pictures. Encode is for one goroutine at a time;
// SetBitRate, SetFrameRate and ForceKeyFrame may be called from any and never
// wait, Close waits for at most the picture being encoded.
type VP8 struct {
	params    VP8Params
	bitRate   atomic.Int64  // bit/s wanted
	frameRate atomic.Uint64 // millihertz wanted, 0: nothing new
	forceKey  atomic.Bool

	mu     sync.Mutex // held while libvpx works, never while anybody waits for a picture
	enc    *vpxEncoder
	kbps   int // what enc was told
	purse  purse
	pacer  *pacer
	buf    []byte
	closed bool
}

// NewVP8 checks the parameters. libvpx itself is opened by the first picture,
// whose size it takes.
func NewVP8(p VP8Params) (*VP8, error) {
	p, err := p.withDefaults()
	if err != nil {
		return nil, err
	}
	v := &VP8{params: p, pacer: newPacer(p.FrameRate), purse: newPurse()}
	v.bitRate.Store(int64(p.BitRate))
	return v, nil
}

// Encode compresses one frame, whose Time gives its place in time. The bytes,
// one VP8 frame (RFC 6386) ready for RFC 7741's payloader, are valid until the
// next Encode. key tells whether it is a keyframe: the first is, the one after
// ForceKeyFrame and the one after a change of size. The frame is only read,
// and not kept.
func (v *VP8) Encode(frame *capture.Frame) (data []byte, key bool, err error) {
	if frame == nil {
		return nil, false, errors.New("cannot encode a picture that is nil")
	}
	return v.encode(&frame.YCbCr, frame.Time)
}

func (v *VP8) encode(img *image.YCbCr, at time.Time) ([]byte, bool, error) {
	if err := checkPicture(img); err != nil {
		return nil, false, err
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.closed {
		return nil, false, ErrClosed
	}
	if mhz := v.frameRate.Swap(0); mhz != 0 {
		v.pacer.reset(ticksPerSecond * 1000 / float64(mhz))
	}
	pts, dur := v.pacer.step(at)
	if err := v.prepare(img.Rect.Dx(), img.Rect.Dy(), dur); err != nil {
		return nil, false, err
	}
	force := v.forceKey.Swap(false)
	data, key, err := v.enc.encode(img, pts, dur, force)
	if err == nil && len(data) == 0 {
		err = errors.New("cannot encode a picture as VP8: libvpx gave nothing back")
	}
	if err != nil {
		// What state libvpx is in is unknown: start anew, with a keyframe.
		v.enc.close()
		v.enc = nil
		return nil, false, err
	}
	v.purse.spend(float64(8 * len(data)))
	v.buf = append(v.buf[:0], data...)
	return v.buf, key, nil
}

// prepare brings libvpx in line with the picture's size and what was asked for
// since the last picture. Another size always gets a new encoder: it happens
// when a camera is swapped, costs a few milliseconds, and needs a keyframe
// anyhow; libvpx's way of changing size in place only shrinks and has been a
// source of memory faults (CVE-2023-5217).
func (v *VP8) prepare(w, h int, dur int64) error {
	target := float64(v.bitRate.Load())
	kbps := int(v.purse.earn(target, float64(dur)/ticksPerSecond)+500) / 1000
	if v.enc != nil && v.enc.w == w && v.enc.h == h {
		// libvpx's own account is right but for what it saves up over a second and
		// more; telling it of each little change would cost more than it brings.
		if diff := kbps - v.kbps; diff <= v.kbps/32 && -diff <= v.kbps/32 {
			return nil
		}
		v.kbps = kbps
		return v.enc.setBitRate(kbps)
	}
	if v.enc != nil {
		v.enc.close()
		v.enc = nil
	}
	enc, err := openVPX(w, h, kbps, v.params)
	if err != nil {
		return err
	}
	v.enc, v.kbps = enc, kbps
	return nil
}

// checkPicture refuses what would make libvpx read outside the planes.
func checkPicture(img *image.YCbCr) error {
	r := img.Rect
	w, h := r.Dx(), r.Dy()
	switch {
	case img.SubsampleRatio != image.YCbCrSubsampleRatio420:
		return fmt.Errorf("cannot encode a %v picture: only 4:2:0 can be", img.SubsampleRatio)
	case w < 16 || h < 16 || w > maxSide || h > maxSide:
		return fmt.Errorf("cannot encode a %dx%d picture: sides must be 16 to %d pixels", w, h, maxSide)
	case r.Min.X&1 != 0 || r.Min.Y&1 != 0:
		return fmt.Errorf("cannot encode a picture that starts at the odd point %v", r.Min)
	}
	cw, ch := (w+1)/2, (h+1)/2
	y, c := img.YOffset(r.Min.X, r.Min.Y), img.COffset(r.Min.X, r.Min.Y)
	if img.YStride < w || img.CStride < cw || y < 0 || c < 0 ||
		len(img.Y)-y < (h-1)*img.YStride+w ||
		len(img.Cb)-c < (ch-1)*img.CStride+cw || len(img.Cr)-c < (ch-1)*img.CStride+cw {
		return fmt.Errorf("cannot encode a %dx%d picture: its planes are too short", w, h)
	}
	return nil
}

// SetBitRate aims at bps bit/s from the next picture on.
func (v *VP8) SetBitRate(bps int) error {
	if err := checkBitRate(bps); err != nil {
		return err
	}
	v.bitRate.Store(int64(bps))
	return nil
}

// SetFrameRate tells that the source changes to fps pictures a second, 1 to
// 120. Without it the encoder learns that by itself within a few pictures.
func (v *VP8) SetFrameRate(fps float64) error {
	if err := checkFrameRate(fps); err != nil {
		return err
	}
	v.frameRate.Store(uint64(fps * 1000))
	return nil
}

// ForceKeyFrame makes the next picture a keyframe. It never fails; the error is
// for mediadevices' codec.KeyFrameController.
func (v *VP8) ForceKeyFrame() error {
	v.forceKey.Store(true)
	return nil
}

// Close frees libvpx's memory. A second Close does nothing.
func (v *VP8) Close() error {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.closed = true
	if v.enc != nil {
		v.enc.close()
		v.enc = nil
	}
	return nil
}
