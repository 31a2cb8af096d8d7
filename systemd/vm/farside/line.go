package farside

import (
	"context"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/hraban/opus"
	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"
	"github.com/pion/webrtc/v4/pkg/media"
	"github.com/pion/webrtc/v4/pkg/media/samplebuilder"

	"kioskd/capture/encode"
	"kioskd/daemon/room/peer"
)

// A slow machine may not answer for as long as a call would wait.
const (
	disconnectedAfter = 15 * time.Second
	failedAfter       = 60 * time.Second
	keepalive         = time.Second
	gatherWithin      = 5 * time.Second

	maxLate   = 64 // packets that a frame may lie apart
	packet    = 20 * time.Millisecond
	humHz     = 660
	maxPacket = 5760 // samples: 120 ms (RFC 6716, section 2.1.4)
)

// line is one connection to the kiosk.
type line struct {
	seen *Seen
	pc   *webrtc.PeerConnection
	stop context.CancelFunc
	wg   sync.WaitGroup // the hum
}

// newLine makes the connection: VP8 and Opus only, on loopback only.
func (s *Side) newLine() (*line, error) {
	m := &webrtc.MediaEngine{}
	video := webrtc.RTPCodecParameters{RTPCodecCapability: peer.VideoCodec(), PayloadType: peer.PayloadVP8}
	audio := webrtc.RTPCodecParameters{RTPCodecCapability: peer.AudioCodec(), PayloadType: peer.PayloadOpus}
	registry := &interceptor.Registry{}
	err := errors.Join(m.RegisterCodec(video, webrtc.RTPCodecTypeVideo), m.RegisterCodec(audio, webrtc.RTPCodecTypeAudio),
		webrtc.ConfigureNack(m, registry), webrtc.ConfigureRTCPReports(registry), webrtc.ConfigureTWCCSender(m, registry))
	if err != nil {
		return nil, fmt.Errorf("cannot set up the far side's codecs: %w", err)
	}
	var e webrtc.SettingEngine
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.SetIncludeLoopbackCandidate(true)
	e.SetInterfaceFilter(func(name string) bool {
		i, err := net.InterfaceByName(name)
		return err == nil && i.Flags&net.FlagLoopback != 0
	})
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	e.SetICETimeouts(disconnectedAfter, failedAfter, keepalive)
	pc, err := webrtc.NewAPI(webrtc.WithMediaEngine(m), webrtc.WithInterceptorRegistry(registry), webrtc.WithSettingEngine(e)).
		NewPeerConnection(webrtc.Configuration{})
	if err != nil {
		return nil, fmt.Errorf("cannot make the far side's connection: %w", err)
	}
	ctx, stop := context.WithCancel(s.life)
	l := &line{seen: &s.Seen, pc: pc, stop: stop}
	// Pion runs it on a goroutine that ends with the connection.
	pc.OnTrack(func(t *webrtc.TrackRemote, _ *webrtc.RTPReceiver) {
		if t.Kind() == webrtc.RTPCodecTypeVideo {
			l.watch(t)
		} else {
			l.listen(t)
		}
	})
	track, err := webrtc.NewTrackLocalStaticSample(peer.AudioCodec(), "audio", "clinician")
	if err == nil {
		_, err = pc.AddTrack(track)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("cannot add the far side's sound: %w", err), l.close())
	}
	l.wg.Go(func() { hum(ctx, track) })
	return l, nil
}

// close ends the connection and waits for its goroutines.
func (l *line) close() error {
	l.stop()
	err := l.pc.GracefulClose()
	l.wg.Wait()
	if err != nil {
		return fmt.Errorf("cannot close the far side's connection: %w", err)
	}
	return nil
}

// answer takes an offer and gives the answer with all its candidates.
func (l *line) answer(ctx context.Context, offer string) (string, error) {
	if err := l.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		return "", fmt.Errorf("cannot take the kiosk's offer: %w", err)
	}
	a, err := l.pc.CreateAnswer(nil)
	if err != nil {
		return "", fmt.Errorf("cannot answer the kiosk's offer: %w", err)
	}
	gathered := webrtc.GatheringCompletePromise(l.pc)
	if err := l.pc.SetLocalDescription(a); err != nil {
		return "", fmt.Errorf("cannot answer the kiosk's offer: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, gatherWithin)
	defer cancel()
	select {
	case <-gathered:
		return l.pc.LocalDescription().SDP, nil
	case <-ctx.Done():
		return "", fmt.Errorf("cannot answer the kiosk's offer: no candidates: %w", ctx.Err())
	}
}

// watch judges each picture that can be decoded, and asks for a keyframe after one
// that cannot.
func (l *line) watch(t *webrtc.TrackRemote) {
	d, err := encode.NewVP8Decoder()
	if err != nil {
		return // then no picture is seen, and the rows say so
	}
	defer d.Close() //nolint:errcheck // it never fails
	frames := samplebuilder.New(maxLate, &codecs.VP8Packet{}, t.Codec().ClockRate)
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		frames.Push(p)
		for f := frames.Pop(); f != nil; f = frames.Pop() {
			picture, err := d.Decode(f.Data)
			if err != nil || f.PrevDroppedPackets > 0 {
				_ = l.pc.WriteRTCP([]rtcp.Packet{&rtcp.PictureLossIndication{MediaSSRC: uint32(t.SSRC())}}) // the next one follows
			}
			if err == nil {
				l.seen.add(time.Now(), judgePicture(picture))
			}
		}
	}
}

// listen judges each packet of sound.
func (l *line) listen(t *webrtc.TrackRemote) {
	d, err := opus.NewDecoder(toneRate, 1)
	if err != nil {
		return // as in watch
	}
	pcm := make([]int16, maxPacket)
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return
		}
		if n, err := d.Decode(p.Payload, pcm); err == nil {
			l.seen.add(time.Now(), judgeSound(pcm[:n]))
		}
	}
}

// hum sends a tone until ctx ends: the clinician's side of the call.
func hum(ctx context.Context, track *webrtc.TrackLocalStaticSample) {
	enc, err := encode.NewOpus(encode.OpusParams{BitRate: 16000})
	if err != nil {
		return // then the call does not become active, and the rows say so
	}
	defer enc.Close() //nolint:errcheck // it never fails
	tick := time.NewTicker(packet)
	defer tick.Stop()
	pcm := make([]int16, toneRate*int(packet/time.Millisecond)/1000)
	for n := 0; ; n += len(pcm) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		sine(pcm, humHz, n)
		if data, err := enc.Encode(pcm); err == nil {
			_ = track.WriteSample(media.Sample{Data: data, Duration: packet}) // no path yet, or no more
		}
	}
}
