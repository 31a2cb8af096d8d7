package call

import (
	"context"
	"fmt"
	"image"
	"log/slog"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/io/video"
	"github.com/pion/mediadevices/pkg/prop"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/capture"
	"kioskd/daemon/room/peer"
)

// payloadBound is the largest RTP payload in bytes: with IP, UDP, SRTP and RTP
// headers a packet stays below 1280 bytes, which every IPv6 path carries (RFC
// 8200, section 5).
const payloadBound = 1160

// keyframeEvery bounds what a receiver that keeps asking can cost.
const keyframeEvery = 500 * time.Millisecond

// videoSender turns frames into RTP: one encode, however many connections carry
// the track. Its loop is the only user of the encoder.
type videoSender struct {
	track *webrtc.TrackLocalStaticRTP
	box   *capture.Mailbox
	log   *slog.Logger
	// out belongs to the loop. It outlives an encoder: a connection that goes on
	// must not see its numbers used again (RFC 3711, section 9.1).
	out packetizer

	wantKey atomic.Bool
	scene   atomic.Bool // see newScene
	// private is set while no picture of the patient may go out.
	private atomic.Bool
	stats   videoStats
}

// videoStats are written by the loop and read by anybody.
type videoStats struct {
	frames, keyframes, bytes, packets, errors atomic.Uint64
	encode                                    atomic.Int64 // nanoseconds in the encoder, all frames
	width, height                             atomic.Int64
}

func newVideoSender(log *slog.Logger) (*videoSender, error) {
	t, err := webrtc.NewTrackLocalStaticRTP(peer.VideoCodec(), "video", "kiosk")
	if err != nil {
		return nil, fmt.Errorf("cannot make the video track: %w", err)
	}
	return &videoSender{track: t, box: capture.NewMailbox(), log: log, out: newPacketizer(90000)}, nil
}

// keyframe asks for one; it comes with a following frame, at most one every keyframeEvery.
func (v *videoSender) keyframe() { v.wantKey.Store(true) }

// newScene asks for a keyframe with the next frame, whenever the last one was:
// it is the kiosk that asks, not a receiver.
func (v *videoSender) newScene() { v.scene.Store(true) }

// due tells whether the next frame should be a keyframe, where the last forced
// one was at the instant last.
func (v *videoSender) due(last time.Time) bool {
	if v.scene.Swap(false) {
		v.wantKey.Store(false)
		return true
	}
	if !v.wantKey.Load() || time.Since(last) < keyframeEvery {
		return false
	}
	v.wantKey.Store(false)
	return true
}

// run encodes what the mailbox holds until ctx ends or the mailbox closes. The
// encoder is fed only when a frame is there, so it never waits for a camera.
func (v *videoSender) run(ctx context.Context, build codec.VideoEncoderBuilder, media prop.Media) error {
	var current *capture.Frame
	feed := video.ReaderFunc(func() (image.Image, func(), error) { return current, func() {}, nil })
	enc, err := build.BuildVideoEncoder(feed, media)
	if err != nil {
		return fmt.Errorf("cannot start the video encoder: %w", err)
	}
	defer func() {
		if err := enc.Close(); err != nil {
			v.log.Error("cannot close the video encoder", "error", err)
		}
	}()
	payloader := build.RTPCodec().Payloader
	v.keyframe() // the track's receivers know nothing of this encoder yet
	var lastKey time.Time
	for {
		frame, err := v.box.Get(ctx)
		if err != nil {
			return nil //nolint:nilerr // ctx ended or the mailbox closed: the normal end
		}
		if frame.Patient && v.private.Load() {
			frame.Release()
			continue
		}
		current = frame
		if v.due(lastKey) {
			lastKey = time.Now()
			v.force(enc)
		}
		started := time.Now()
		data, release, err := enc.Read()
		v.stats.encode.Add(int64(time.Since(started)))
		at, size, patient := frame.Time, frame.Rect, frame.Patient
		frame.Release()
		if err != nil {
			v.stats.errors.Add(1)
			v.log.Error("cannot encode a frame", "error", err)
			continue
		}
		if patient && v.private.Load() { // switched off while it was encoded
			v.keyframe() // what follows must not lean on it
		} else {
			v.send(payloader, data, at)
			v.count(data, size)
		}
		release()
	}
}

func (v *videoSender) force(enc codec.ReadCloser) {
	c, ok := enc.Controller().(codec.KeyFrameController)
	if !ok {
		return
	}
	if err := c.ForceKeyFrame(); err != nil {
		v.log.Error("cannot force a keyframe", "error", err)
	}
	v.stats.keyframes.Add(1)
}

func (v *videoSender) count(data []byte, size image.Rectangle) {
	v.stats.frames.Add(1)
	v.stats.bytes.Add(uint64(len(data)))
	v.stats.width.Store(int64(size.Dx()))
	v.stats.height.Store(int64(size.Dy()))
}

// send packs one encoded frame into packets that share its timestamp; the last
// one has the marker (RFC 7741, section 4.1).
func (v *videoSender) send(payloader rtp.Payloader, data []byte, at time.Time) {
	if len(data) == 0 {
		return // the encoder dropped the frame
	}
	ts := v.out.stamp(at)
	payloads := payloader.Payload(payloadBound, data)
	for i, p := range payloads {
		pkt := v.out.packet(p, ts, i == len(payloads)-1)
		// An error is that of a connection that is closing: it does not count here.
		_ = v.track.WriteRTP(&pkt)
	}
	v.stats.packets.Add(uint64(len(payloads)))
}

// packetizer numbers packets and turns capture times into RTP timestamps.
type packetizer struct {
	seq   uint16
	ts    uint32 // the timestamp of start
	rate  uint32 // clock rate in Hz
	start time.Time
	last  uint64 // units since start of the last frame
}

// newPacketizer starts at random numbers, as RFC 3550 section 5.1 wants them.
func newPacketizer(rate uint32) packetizer {
	return packetizer{seq: uint16(rand.Uint32()), ts: rand.Uint32(), rate: rate} //nolint:gosec // random, not secret
}

// stamp returns the RTP timestamp of an instant, later than all before it.
func (p *packetizer) stamp(at time.Time) uint32 {
	if p.start.IsZero() {
		p.start = at
		return p.ts
	}
	p.last = max(units(at.Sub(p.start), p.rate), p.last+1)
	return p.ts + uint32(p.last) // wraps, as RTP timestamps do
}

// units is a duration counted by a clock of rate Hz; a negative one is 0. In two
// parts, so that weeks of uptime do not overflow.
func units(d time.Duration, rate uint32) uint64 {
	d = max(d, 0)
	whole, rest := uint64(d/time.Second), uint64(d%time.Second)
	return whole*uint64(rate) + rest*uint64(rate)/uint64(time.Second)
}

func (p *packetizer) packet(payload []byte, ts uint32, marker bool) rtp.Packet {
	p.seq++
	return rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: marker, SequenceNumber: p.seq, Timestamp: ts},
		Payload: payload,
	}
}
