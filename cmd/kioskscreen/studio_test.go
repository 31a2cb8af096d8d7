package main

import (
	"context"
	"errors"
	"image"
	"image/color"
	"math"
	"sync"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"

	"kioskd/capture"
	"kioskd/capture/encode"
	"kioskd/daemon/room/peer"
)

const (
	studioWidth, studioHeight = 640, 360
	studioFPS                 = 15
	studioTone                = 440 // Hz
)

// studio sends a moving picture and a tone to every view, as the daemon does:
// real VP8 and Opus over real WebRTC on loopback.
type studio struct {
	video, audio *webrtc.TrackLocalStaticSample
	encoder      *encode.VP8

	mu       sync.Mutex
	pcs      []*webrtc.PeerConnection
	noVideo  bool
	noSound  bool
	finished chan struct{}
}

// newStudio runs until the test ends.
func newStudio(t *testing.T) *studio {
	t.Helper()
	s := &studio{finished: make(chan struct{})}
	var err error
	if s.video, err = webrtc.NewTrackLocalStaticSample(peer.VideoCodec(), "video", "studio"); err != nil {
		t.Fatal(err)
	}
	opus := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2}
	if s.audio, err = webrtc.NewTrackLocalStaticSample(opus, "audio", "studio"); err != nil {
		t.Fatal(err)
	}
	if s.encoder, err = encode.NewVP8(encode.VP8Params{BitRate: 800_000, FrameRate: studioFPS, KeyFrameInterval: 4 * studioFPS}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		defer close(s.finished)
		var wg sync.WaitGroup
		wg.Go(func() { s.show(ctx, t) })
		wg.Go(func() { s.play(ctx, t) })
		wg.Wait()
	}()
	t.Cleanup(func() {
		cancel()
		<-s.finished
		s.hangUp()
	})
	return s
}

// mute stops the picture, the sound, or both, as a far side that went away.
func (s *studio) mute(video, sound bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.noVideo, s.noSound = video, sound
}

// hangUp cuts every view, as a daemon that was killed.
func (s *studio) hangUp() {
	s.mu.Lock()
	pcs := s.pcs
	s.pcs = nil
	s.mu.Unlock()
	for _, pc := range pcs {
		_ = pc.GracefulClose()
	}
}

func (s *studio) answer(ctx context.Context, offer string) (string, error) {
	pc, err := peer.New(peer.Options{LoopbackOnly: true})
	if err != nil {
		return "", err
	}
	s.mu.Lock()
	s.pcs = append(s.pcs, pc)
	s.mu.Unlock()
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", err
	}
	pc.OnConnectionStateChange(func(state webrtc.PeerConnectionState) {
		if state == webrtc.PeerConnectionStateConnected {
			_ = s.encoder.ForceKeyFrame() // never fails
		}
	})
	for _, tr := range pc.GetTransceivers() {
		track := s.video
		if tr.Kind() == webrtc.RTPCodecTypeAudio {
			track = s.audio
		}
		if _, err := pc.AddTrack(track); err != nil {
			return "", err
		}
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	a, err := pc.CreateAnswer(nil)
	if err == nil {
		err = pc.SetLocalDescription(a)
	}
	if err != nil {
		return "", err
	}
	select {
	case <-gathered:
		return pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", errors.New("cannot gather in time")
	}
}

func (s *studio) show(ctx context.Context, t *testing.T) {
	enc := s.encoder
	defer enc.Close()
	tick := time.NewTicker(time.Second / studioFPS)
	defer tick.Stop()
	frame := &capture.Frame{YCbCr: *image.NewYCbCr(image.Rect(0, 0, studioWidth, studioHeight), image.YCbCrSubsampleRatio420)}
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			draw(&frame.YCbCr, n)
			frame.Seq, frame.Time = uint64(n), now
			data, _, err := enc.Encode(frame)
			s.mu.Lock()
			quiet := s.noVideo
			s.mu.Unlock()
			if err == nil && !quiet && len(data) > 0 {
				err = s.video.WriteSample(media.Sample{Data: data, Duration: time.Second / studioFPS})
			}
			if err != nil {
				t.Error(err)
				return
			}
		}
	}
}

func (s *studio) play(ctx context.Context, t *testing.T) {
	enc, err := encode.NewOpus(encode.OpusParams{})
	if err != nil {
		t.Error(err)
		return
	}
	defer enc.Close()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	pcm := make([]int16, encode.OpusSamples)
	for at := 0; ; at += len(pcm) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		for i := range pcm {
			pcm[i] = int16(8000 * math.Sin(2*math.Pi*studioTone*float64(at+i)/encode.OpusRate))
		}
		data, err := enc.Encode(pcm)
		s.mu.Lock()
		quiet := s.noSound
		s.mu.Unlock()
		if err == nil && !quiet {
			err = s.audio.WriteSample(media.Sample{Data: data, Duration: 20 * time.Millisecond})
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}

// draw paints somebody in front of a wall, who sways a little: enough to judge
// the page by, and never the same picture twice.
func draw(img *image.YCbCr, n int) {
	sway := 12 * math.Sin(float64(n)/9)
	for y := range studioHeight {
		for x := range studioWidth {
			c := paint(float64(x)-sway, float64(y), float64(x))
			yy, cb, cr := color.RGBToYCbCr(c.R, c.G, c.B)
			img.Y[img.YOffset(x, y)] = yy
			if x%2 == 0 && y%2 == 0 {
				o := img.COffset(x, y)
				img.Cb[o], img.Cr[o] = cb, cr
			}
		}
	}
}

func paint(x, y, wall float64) color.RGBA {
	in := func(cx, cy, rx, ry float64) bool { return math.Hypot((x-cx)/rx, (y-cy)/ry) < 1 }
	switch {
	case in(320, 128, 62, 30) && y < 128, in(320, 118, 60, 44) && y < 112:
		return color.RGBA{58, 42, 34, 255} // hair
	case in(320, 150, 54, 68):
		return color.RGBA{222, 178, 150, 255} // face
	case math.Abs(x-320) < 22 && y > 200 && y < 245:
		return color.RGBA{206, 162, 134, 255} // neck
	case math.Abs(x-320) < 16 && y > 235 && y < 320:
		return color.RGBA{70, 120, 160, 255} // shirt
	case in(320, 370, 165, 140):
		return color.RGBA{240, 244, 246, 255} // coat
	}
	shade := 150 + 40*wall/studioWidth - 30*y/studioHeight
	return color.RGBA{uint8(shade - 14), uint8(shade + 6), uint8(shade + 14), 255}
}
