package call

import (
	"slices"
	"time"

	"kioskd/daemon/api/apitype"
)

// Statistics are the figures of the running call with the names of W3C
// webrtc-stats. Counters reach back to the daemon's start.
func (c *Call) Statistics() *apitype.Statistics {
	out := &apitype.Statistics{Timestamp: time.Now().UTC(), Outbound: c.outbound(), Participants: []apitype.ParticipantStatistics{}}
	if c.opts.CameraFigures != nil {
		out.VideoSource = c.opts.CameraFigures()
	}
	c.peers.mu.Lock()
	defer c.peers.mu.Unlock()
	for id, p := range c.peers.byID {
		if p.gone.Load() {
			continue
		}
		out.Participants = append(out.Participants, apitype.ParticipantStatistics{
			ID: id, Path: p.way(), Remote: p.path.told(), Inbound: []apitype.InboundRTP{p.audio.told("audio"), p.video.told("video")},
		})
	}
	slices.SortFunc(out.Participants, func(a, b apitype.ParticipantStatistics) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return out
}

// outbound is what the encoders made. Where two codecs are in work the counters are
// those of both, and stand with the first.
func (c *Call) outbound() []apitype.OutboundRTP {
	v := &c.video.stats
	v.mu.Lock()
	mimes, reason := slices.Clone(v.codecs), v.reason
	v.mu.Unlock()
	out := []apitype.OutboundRTP{{
		Kind: "audio", MimeType: mimeOpus, PacketsSent: c.audio.packets.Load(), BytesSent: c.audio.bytes.Load(),
	}}
	for i, mime := range mimes {
		o := apitype.OutboundRTP{Kind: "video", MimeType: mime, TargetBitrate: float64(c.video.bitRate()), QualityLimitationReason: reason}
		if i == 0 {
			o.PacketsSent, o.BytesSent = v.packets.Load(), v.bytes.Load()
			o.FramesEncoded, o.KeyFrames, o.KeyFramesAsked = v.frames.Load(), v.keyframes.Load(), v.asked.Load()
			o.FrameWidth, o.FrameHeight = int(v.width.Load()), int(v.height.Load())
			o.FramesPerSecond = float64(v.rate.Load()) / 1000
			o.TotalEncodeTime = time.Duration(v.encode.Load()).Seconds()
			o.FramesDropped, o.FramesSkipped = c.video.box.Drops(), v.skipped.Load()
			o.CaptureToSend = time.Duration(v.delay.Load()).Seconds()
		}
		out = append(out, o)
	}
	return out
}

// told is what the participant reported lately about what it gets.
func (p *path) told() []apitype.RemoteInboundRTP {
	out := []apitype.RemoteInboundRTP{}
	for _, r := range []*report{p.audio.Load(), p.video.Load()} {
		if r != nil && time.Since(r.at) < reportedWithin {
			out = append(out, apitype.RemoteInboundRTP{Kind: r.Kind, RoundTripTime: r.RTT.Seconds(), FractionLost: r.Lost})
		}
	}
	return out
}

// way is what is known of the path to the participant; nil before there is one.
func (p *participant) way() *apitype.PathStatistics {
	f := p.flow.Load()
	if f == nil {
		return nil
	}
	s := f.Stats()
	return &apitype.PathStatistics{
		AvailableOutgoingBitrate: float64(s.Available), AcknowledgedBitrate: float64(s.Acked), CurrentRoundTripTime: s.RTT.Seconds(),
		NackCount: s.NACKs, RetransmittedPacketsSent: s.Resends, RetransmittedBytesSent: s.ResentBytes,
		TotalPacketSendDelay: s.SendDelay.Seconds(), ProbeBytesSent: s.Padding, PacketsDiscardedOnSend: s.Dropped,
	}
}
