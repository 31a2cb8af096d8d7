// Package peer builds peer connections the one way this project uses them: the
// codecs we encode, the interceptors we need, ICE timeouts short enough for a
// call and a filter on the interfaces that candidates come from.
//
// It owns nothing: the caller closes what it gets. Imported by daemon/call (the
// screen's views) and the room providers.
package peer

import (
	"cmp"
	"crypto/x509"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/missing"
	"kioskd/daemon/room/paced"
)

// Payload types that we offer. A peer may answer with its own numbers; pion
// follows what was negotiated (RFC 3264, section 5.1).
const (
	PayloadVP8     webrtc.PayloadType = 96
	PayloadRTX     webrtc.PayloadType = 97
	PayloadH264    webrtc.PayloadType = 98
	PayloadH264RTX webrtc.PayloadType = 99
	PayloadOpus    webrtc.PayloadType = 111
	PayloadRED     webrtc.PayloadType = 63 // sound with earlier packets of it (RFC 2198)
)

// CaptureTime is the header extension that carries the instant of capture:
// abs-capture-time of the WebRTC project, an NTP timestamp of 64 bits.
const CaptureTime = "http://www.webrtc.org/experiments/rtp-hdrext/abs-capture-time"

// ICE timing. Pion's own (5 s, 25 s, 2 s) are far too slow for a call: two
// seconds without an answer is what a person notices.
const (
	disconnectedAfter = 2 * time.Second
	failedAfter       = 8 * time.Second
	keepalive         = 500 * time.Millisecond
	viewFailedAfter   = 3 * time.Second // with disconnectedAfter: a vanished page is gone after 5 s
)

// Bounds of data channels. Pion's own are 1 MiB waiting to be read and a minute
// between two tries after a blackout.
const (
	MaxDataMessage = 16 << 10 // bytes; said to the far side (RFC 8841, section 6)
	dataBuffer     = 128 << 10
	dataRetryMost  = 2 * time.Second
)

// Options says where a connection gathers its candidates.
type Options struct {
	// LoopbackOnly gathers on lo alone: the touchscreen page's views. Chromium
	// goes deaf when an address vanishes under a candidate of another interface.
	LoopbackOnly bool
	// Loopback also gathers on lo: rooms on the same machine (demo, tests).
	Loopback bool
	// IgnoreInterfaces are names of interfaces whose addresses lead nowhere,
	// such as kiosk0.
	IgnoreInterfaces []string
	// Ports are the first and the last UDP port to use; 0 and 0: any. Ignored for LoopbackOnly.
	Ports      [2]uint16
	ICEServers []webrtc.ICEServer
	// RelayOnly takes no way but one through a TURN server. Ignored for LoopbackOnly.
	RelayOnly bool
	// Roots are the authorities trusted for TURN over TLS; nil: the system's. TURN over
	// DTLS (turns: with transport=udp) knows the system's only.
	Roots *x509.CertPool
	// Timing of ICE; a zero field takes this package's default. Ignored for LoopbackOnly.
	Timing Timing
	// Video are the MIME types of the video codecs, in the order of our preference;
	// empty: H.264, VP8. A far side may take either.
	Video []string
	// VideoRate is how much video is sent at most, in bit/s; 0: 1 500 000.
	VideoRate int
	// Abuse is told that the far side sends what no browser does; nil: nobody cares. It
	// must not wait; where it says false it is told again.
	Abuse func(what string) bool
}

// What an estimate begins with, and how far above the video it can go: sound, headers
// and what is resent need their place too.
const (
	defaultVideoRate = 1_500_000
	startRate        = 800_000
	besides          = 300_000
)

// Timing is when a silent path counts as interrupted, when (counted from then)
// as lost, and the pause between keep-alives.
type Timing struct{ Disconnected, Failed, Keepalive time.Duration }

// VideoCodec is the VP8 capability (RFC 7741) that tracks and connections share.
func VideoCodec() webrtc.RTPCodecCapability { return videoCodec(webrtc.MimeTypeVP8, "") }

// H264Codec is the capability of H.264, Constrained Baseline up to level 3.1 (RFC
// 6184, section 8.1), which every browser with H.264 takes.
func H264Codec() webrtc.RTPCodecCapability {
	return videoCodec(webrtc.MimeTypeH264, "level-asymmetry-allowed=1;packetization-mode=1;profile-level-id=42e01f")
}

func videoCodec(mime, fmtp string) webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{
		MimeType: mime, ClockRate: 90000, SDPFmtpLine: fmtp,
		RTCPFeedback: []webrtc.RTCPFeedback{
			{Type: "nack"}, {Type: "nack", Parameter: "pli"}, {Type: "ccm", Parameter: "fir"},
		},
	}
}

// AudioCodec is the Opus capability (RFC 7587) that tracks and connections share.
func AudioCodec() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeOpus, ClockRate: 48000, Channels: 2,
		SDPFmtpLine: "minptime=10;useinbandfec=1",
	}
}

// New returns a peer connection with an API, media engine and interceptors of
// its own: pion's interceptors must not be shared between connections.
func New(o Options) (*webrtc.PeerConnection, error) {
	pc, _, err := NewPaced(o)
	return pc, err
}

// NewPaced gives the flow of the connection too, which paces what is sent; it is nil
// with LoopbackOnly, where nothing is in short supply.
func NewPaced(o Options) (*webrtc.PeerConnection, *paced.Flow, error) {
	media, err := mediaEngine(o)
	if err != nil {
		return nil, nil, err
	}
	registry := &interceptor.Registry{}
	var flow *paced.Flow
	if !o.LoopbackOnly {
		rate := cmp.Or(o.VideoRate, defaultVideoRate)
		most := rate*5/4 + besides
		flow = paced.New(paced.Config{Start: min(startRate, most), Max: most})
		registry.Add(flow)                  // first: what it holds back has been through all others
		registry.Add(missing.New(flow.RTT)) // asks for what we lost; the flow resends what the far side lost
	}
	// Reports: RTT and lip sync. TWCC feedback: without it the far side's estimate
	// stays at its start value.
	for _, configure := range []func() error{
		func() error { return webrtc.ConfigureRTCPReports(registry) },
		func() error { return webrtc.ConfigureTWCCSender(media, registry) },
	} {
		if err := configure(); err != nil {
			return nil, nil, fmt.Errorf("cannot set up the RTP interceptors: %w", err)
		}
	}
	net, err := newFresh()
	if err != nil {
		return nil, nil, err
	}
	engine, err := settings(o)
	if err != nil {
		return nil, nil, err
	}
	engine.SetNet(net)
	engine.SetICEProxyDialer(newTurnDialer(o.ICEServers, o.Roots))
	if flow != nil {
		engine.BufferFactory = buffers(flow, o.Abuse)
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry),
		webrtc.WithSettingEngine(engine))
	policy := webrtc.ICETransportPolicyAll
	if o.RelayOnly && !o.LoopbackOnly {
		policy = webrtc.ICETransportPolicyRelay
	}
	pc, err := api.NewPeerConnection(webrtc.Configuration{
		ICEServers: o.ICEServers, ICETransportPolicy: policy, BundlePolicy: webrtc.BundlePolicyMaxBundle,
		RTCPMuxPolicy: webrtc.RTCPMuxPolicyRequire,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("cannot make a peer connection: %w", err)
	}
	return pc, flow, nil
}

// mediaEngine registers our codecs. A view has no RTX: nothing is lost on
// loopback, and a binding without RTX may change its codec while it runs: resent
// packets would come back as the first one.
func mediaEngine(o Options) (*webrtc.MediaEngine, error) {
	media := &webrtc.MediaEngine{}
	register := func(kind webrtc.RTPCodecType, pt webrtc.PayloadType, c webrtc.RTPCodecCapability) error {
		if err := media.RegisterCodec(webrtc.RTPCodecParameters{RTPCodecCapability: c, PayloadType: pt}, kind); err != nil {
			return fmt.Errorf("cannot register %s: %w", c.MimeType, err)
		}
		return nil
	}
	video := o.Video
	if len(video) == 0 {
		video = []string{webrtc.MimeTypeH264, webrtc.MimeTypeVP8}
	}
	for _, mime := range video {
		c, pt, rtx := VideoCodec(), PayloadVP8, PayloadRTX
		switch mime {
		case webrtc.MimeTypeVP8:
		case webrtc.MimeTypeH264:
			c, pt, rtx = H264Codec(), PayloadH264, PayloadH264RTX
		default:
			return nil, fmt.Errorf("cannot offer %s: the video codecs are VP8 and H.264", mime)
		}
		if err := register(webrtc.RTPCodecTypeVideo, pt, c); err != nil {
			return nil, err
		}
		if o.LoopbackOnly {
			continue
		}
		resend := webrtc.RTPCodecCapability{MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", pt)}
		if err := register(webrtc.RTPCodecTypeVideo, rtx, resend); err != nil {
			return nil, err
		}
	}
	if err := register(webrtc.RTPCodecTypeAudio, PayloadOpus, AudioCodec()); err != nil {
		return nil, err
	}
	if !o.LoopbackOnly {
		twice := webrtc.RTPCodecCapability{
			MimeType: "audio/red", ClockRate: 48000, Channels: 2, SDPFmtpLine: fmt.Sprintf("%d/%d", PayloadOpus, PayloadOpus),
		}
		if err := register(webrtc.RTPCodecTypeAudio, PayloadRED, twice); err != nil {
			return nil, err
		}
	}
	for _, kind := range []webrtc.RTPCodecType{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecTypeAudio} {
		if err := media.RegisterHeaderExtension(webrtc.RTPHeaderExtensionCapability{URI: CaptureTime}, kind); err != nil {
			return nil, fmt.Errorf("cannot register abs-capture-time: %w", err)
		}
	}
	return media, nil
}

func settings(o Options) (webrtc.SettingEngine, error) {
	var s webrtc.SettingEngine
	s.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	// A browser without camera permission hides its addresses behind mDNS names,
	// so that the first we see of it is its check: a peer-reflexive candidate,
	// which pion would let wait a second for a better one.
	s.SetPrflxAcceptanceMinWait(0)
	s.SetSCTPMaxMessageSize(MaxDataMessage)
	s.SetSCTPMaxReceiveBufferSize(dataBuffer)
	s.SetSCTPRTOMax(dataRetryMost)
	if o.LoopbackOnly {
		s.SetICETimeouts(disconnectedAfter, viewFailedAfter, keepalive)
		s.SetInterfaceFilter(isLoopback)
		s.SetIncludeLoopbackCandidate(true)
		s.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
		return s, nil
	}
	s.SetICETimeouts(cmp.Or(o.Timing.Disconnected, disconnectedAfter), cmp.Or(o.Timing.Failed, failedAfter),
		cmp.Or(o.Timing.Keepalive, keepalive))
	s.SetIncludeLoopbackCandidate(o.Loopback)
	s.SetInterfaceFilter(func(name string) bool { return !slices.Contains(o.IgnoreInterfaces, name) })
	if o.Ports[0] != 0 {
		if err := s.SetEphemeralUDPPortRange(o.Ports[0], o.Ports[1]); err != nil {
			return s, fmt.Errorf("cannot use the UDP ports %d to %d: %w", o.Ports[0], o.Ports[1], err)
		}
	}
	return s, nil
}

// isLoopback asks the kernel: a loopback interface need not be called lo.
func isLoopback(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagLoopback != 0
}
