package call

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"github.com/pion/mediadevices/pkg/codec"
	"github.com/pion/mediadevices/pkg/io/audio"
	"github.com/pion/mediadevices/pkg/prop"
	"github.com/pion/mediadevices/pkg/wave"
	"github.com/pion/webrtc/v4"
)

// Sound as it comes from the microphone: 10 ms of 48 kHz mono.
const (
	sampleRate   = 48000
	chunkSamples = sampleRate / 100
	packetTime   = 20 * time.Millisecond
	// chunkBound is the queue between microphone and encoder, 80 ms: what is
	// older is not worth hearing.
	chunkBound = 8
)

// mimeOpus is the codec of all sound (RFC 7587).
const mimeOpus = "audio/opus"

// errSenderDone ends the encoder's read when the call ends.
var errSenderDone = errors.New("the call has ended")

// audioSender turns 10 ms chunks into Opus over RTP. Its loop is the only user
// of the encoder.
type audioSender struct {
	track  *track
	chunks chan []int16
	free   chan []int16
	muted  atomic.Bool // the patient's choice
	shut   atomic.Bool // the microphone is to be closed
	room   func() int  // what the pictures get, in bit/s; nil: all they want
	log    *slog.Logger

	copies int // earlier packets that each one carries; of the loop

	// Of the loop; they outlive an encoder, see videoSender.out.
	out   packetizer
	ended time.Time // when the last packet before this encoder was sent

	packets, bytes, drops atomic.Uint64
	loss                  atomic.Int32 // percent that Opus should expect; 0: nothing was reported
}

// lossExpecter is an encoder that spends bits on forward error correction by the loss
// that it is told, in percent (RFC 6716, section 2.1.7).
type lossExpecter interface{ SetPacketLoss(percent int) error }

// lossExpected is what Opus expects anyway, in percent.
const lossExpected = 5

// expect tells the loss, in percent.
func (a *audioSender) expect(percent int) { a.loss.Store(int32(percent)) }

// again is how many earlier packets each one should carry, by the loss and by what the
// path has room for: where it is narrow they would be what it loses.
func (a *audioSender) again() int {
	n := 0
	switch lost := a.loss.Load(); {
	case lost >= redTwice:
		n = redMost
	case lost >= redFrom:
		n = 1
	}
	for ; n > 0 && a.room != nil; n-- {
		needs := n * redNeeds
		if a.copies >= n { // they have their place already
			needs = needs * 2 / 3
		}
		if a.room() >= needs {
			break
		}
	}
	a.copies = n
	return n
}

// follow passes a new loss on and gives the one in force.
func (a *audioSender) follow(enc codec.ReadCloser, told int32) int32 {
	now := a.loss.Load()
	if now == told {
		return told
	}
	if c, ok := enc.Controller().(lossExpecter); ok {
		if err := c.SetPacketLoss(max(int(now), lossExpected)); err != nil {
			a.log.Error("cannot tell the audio encoder the loss", "error", err)
		}
	}
	return now
}

func newAudioSender(log *slog.Logger) *audioSender {
	return &audioSender{
		track: newTrack(webrtc.RTPCodecTypeAudio, "audio", "kiosk"), out: newPacketizer(sampleRate),
		chunks: make(chan []int16, chunkBound), free: make(chan []int16, chunkBound+2), log: log,
	}
}

// put takes one chunk; the samples are copied. It never blocks: the oldest
// chunk makes room.
func (a *audioSender) put(pcm []int16, _ time.Time) {
	chunk := a.buffer(len(pcm))
	copy(chunk, pcm)
	for {
		select {
		case a.chunks <- chunk:
			return
		default:
		}
		select {
		case old := <-a.chunks:
			a.drops.Add(1)
			a.recycle(old)
		default: // the encoder took it meanwhile
		}
	}
}

func (a *audioSender) buffer(n int) []int16 {
	select {
	case b := <-a.free:
		if cap(b) >= n {
			return b[:n]
		}
	default:
	}
	return make([]int16, n, max(n, chunkSamples))
}

func (a *audioSender) recycle(b []int16) {
	select {
	case a.free <- b:
	default:
	}
}

// run encodes until ctx ends.
func (a *audioSender) run(ctx context.Context, build codec.AudioEncoderBuilder, media prop.Media) error {
	feed := audio.ReaderFunc(func() (wave.Audio, func(), error) {
		select {
		case pcm := <-a.chunks:
			if a.muted.Load() || a.shut.Load() { // here, behind the queue: what was said before a mute is not sent after it
				clear(pcm)
			}
			w := &wave.Int16Interleaved{
				Data: pcm, Size: wave.ChunkInfo{Len: len(pcm), Channels: 1, SamplingRate: sampleRate},
			}
			return w, func() { a.recycle(pcm) }, nil
		case <-ctx.Done():
			return nil, nil, errSenderDone
		}
	})
	enc, err := build.BuildAudioEncoder(feed, media)
	if err != nil {
		return fmt.Errorf("cannot start the audio encoder: %w", err)
	}
	defer func() {
		if err := enc.Close(); err != nil {
			a.log.Error("cannot close the audio encoder", "error", err)
		}
	}()
	if !a.ended.IsZero() {
		a.out.ts += uint32(units(time.Since(a.ended), sampleRate))
	}
	defer func() { a.ended = time.Now() }()
	const step = uint32(sampleRate * packetTime / time.Second)
	opus := []string{mimeOpus}
	told := int32(0)
	for first := true; ; first = false {
		told = a.follow(enc, told)
		data, release, err := enc.Read()
		switch {
		case errors.Is(err, errSenderDone) || ctx.Err() != nil:
			return nil
		case err != nil:
			return fmt.Errorf("cannot encode sound: %w", err)
		}
		pkt := a.out.packet(data, a.out.ts, first) // the marker starts a talkspurt (RFC 7587, section 4.1)
		a.out.ts += step
		a.track.send(inPacket{mime: mimeOpus, work: opus, again: a.again()}, &pkt)
		a.packets.Add(1)
		a.bytes.Add(uint64(len(data)))
		release()
	}
}
