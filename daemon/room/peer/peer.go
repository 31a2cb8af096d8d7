// Package peer builds peer connections the one way this project uses them: the
// codecs we encode, the interceptors we need, ICE timeouts short enough for a
// call and a filter on the interfaces that candidates come from.
//
// It owns nothing: the caller closes what it gets. Imported by daemon/call (the
// screen's views) and the room providers.
package peer

import (
	"cmp"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/interceptor"
	"github.com/pion/webrtc/v4"
)

// Payload types that we offer. A peer may answer with its own numbers; pion
// follows what was negotiated (RFC 3264, section 5.1).
const (
	PayloadVP8  webrtc.PayloadType = 96
	PayloadRTX  webrtc.PayloadType = 97
	PayloadOpus webrtc.PayloadType = 111
)

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
	ICEServers       []webrtc.ICEServer
	// Timing of ICE; a zero field takes this package's default. Ignored for LoopbackOnly.
	Timing Timing
}

// Timing is when a silent path counts as interrupted, when (counted from then)
// as lost, and the pause between keep-alives.
type Timing struct{ Disconnected, Failed, Keepalive time.Duration }

// VideoCodec is the VP8 capability (RFC 7741) that tracks and connections share.
func VideoCodec() webrtc.RTPCodecCapability {
	return webrtc.RTPCodecCapability{
		MimeType: webrtc.MimeTypeVP8, ClockRate: 90000,
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
	media, err := mediaEngine(o.LoopbackOnly)
	if err != nil {
		return nil, err
	}
	registry := &interceptor.Registry{}
	// Nack: resends what the far side lost and asks for what we lost. Reports:
	// RTT and lip sync. TWCC feedback: without it the far side's estimate stays
	// at its start value.
	for _, configure := range []func() error{
		func() error { return webrtc.ConfigureNack(media, registry) },
		func() error { return webrtc.ConfigureRTCPReports(registry) },
		func() error { return webrtc.ConfigureTWCCSender(media, registry) },
	} {
		if err := configure(); err != nil {
			return nil, fmt.Errorf("cannot set up the RTP interceptors: %w", err)
		}
	}
	api := webrtc.NewAPI(webrtc.WithMediaEngine(media), webrtc.WithInterceptorRegistry(registry),
		webrtc.WithSettingEngine(settings(o)))
	pc, err := api.NewPeerConnection(webrtc.Configuration{
		ICEServers: o.ICEServers, BundlePolicy: webrtc.BundlePolicyMaxBundle,
		RTCPMuxPolicy: webrtc.RTCPMuxPolicyRequire,
	})
	if err != nil {
		return nil, fmt.Errorf("cannot make a peer connection: %w", err)
	}
	return pc, nil
}

// mediaEngine registers our codecs. A view has no RTX: nothing is lost on
// loopback, and pion numbers a resent packet when it is stored, so that a second
// resend or a late one would use a number again.
func mediaEngine(view bool) (*webrtc.MediaEngine, error) {
	media := &webrtc.MediaEngine{}
	codecs := []struct {
		kind webrtc.RTPCodecType
		webrtc.RTPCodecParameters
	}{
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{RTPCodecCapability: VideoCodec(), PayloadType: PayloadVP8}},
		{webrtc.RTPCodecTypeVideo, webrtc.RTPCodecParameters{PayloadType: PayloadRTX, RTPCodecCapability: webrtc.RTPCodecCapability{
			MimeType: webrtc.MimeTypeRTX, ClockRate: 90000, SDPFmtpLine: fmt.Sprintf("apt=%d", PayloadVP8),
		}}},
		{webrtc.RTPCodecTypeAudio, webrtc.RTPCodecParameters{RTPCodecCapability: AudioCodec(), PayloadType: PayloadOpus}},
	}
	for _, c := range codecs {
		if view && c.MimeType == webrtc.MimeTypeRTX {
			continue
		}
		if err := media.RegisterCodec(c.RTPCodecParameters, c.kind); err != nil {
			return nil, fmt.Errorf("cannot register %s: %w", c.MimeType, err)
		}
	}
	return media, nil
}

func settings(o Options) webrtc.SettingEngine {
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
		return s
	}
	s.SetICETimeouts(cmp.Or(o.Timing.Disconnected, disconnectedAfter), cmp.Or(o.Timing.Failed, failedAfter),
		cmp.Or(o.Timing.Keepalive, keepalive))
	s.SetIncludeLoopbackCandidate(o.Loopback)
	s.SetInterfaceFilter(func(name string) bool { return !slices.Contains(o.IgnoreInterfaces, name) })
	return s
}

// isLoopback asks the kernel: a loopback interface need not be called lo.
func isLoopback(name string) bool {
	i, err := net.InterfaceByName(name)
	return err == nil && i.Flags&net.FlagLoopback != 0
}
