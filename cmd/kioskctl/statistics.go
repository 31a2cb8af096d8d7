package main

import (
	"fmt"
	"strings"

	"kioskd/daemon/api/apitype"
)

// statisticsLines says the call's figures for somebody who looks for what is slow.
func statisticsLines(line func(label, format string, args ...any) string, s *apitype.Statistics) []string {
	if s == nil {
		return nil
	}
	var out []string
	if v := s.VideoSource; v != nil && v.Frames > 0 {
		out = append(out, line("capture", "%s %dx%d, %.3g frames/s, %.1f ms a frame, %d of %d bad", printable(v.PixelFormat), v.Width, v.Height,
			v.FramesPerSecond, 1000*v.TotalConvert/float64(v.Frames+v.FramesCorrupted), v.FramesCorrupted, v.Frames+v.FramesCorrupted))
	}
	for _, o := range s.Outbound {
		if o.Kind != "video" {
			continue
		}
		if o.FramesEncoded == 0 {
			out = append(out, line("sending", "%s too", codecName(o.MimeType)))
			continue
		}
		out = append(out, line("sending", "%s %dx%d, %.1f frames/s, target %.0f kbit/s, %.1f ms a frame, %.0f ms from camera to network, limited by: %s",
			codecName(o.MimeType), o.FrameWidth, o.FrameHeight, o.FramesPerSecond, o.TargetBitrate/1000,
			1000*o.TotalEncodeTime/float64(o.FramesEncoded), 1000*o.CaptureToSend, orElse(o.QualityLimitationReason, "none")),
			line("", "%d frames, %d keyframes, %d dropped, %d left out", o.FramesEncoded, o.KeyFrames, o.FramesDropped, o.FramesSkipped))
	}
	for i, p := range s.Participants {
		var words []string
		for _, r := range p.Remote {
			words = append(words, fmt.Sprintf("%s: round trip %.0f ms, %.1f %% lost", r.Kind, 1000*r.RoundTripTime, 100*r.FractionLost))
		}
		if len(words) > 0 {
			out = append(out, line(fmt.Sprintf("to %d", i+1), "%s", strings.Join(words, "; ")))
		}
		if w := p.Path; w != nil && w.AvailableOutgoingBitrate > 0 {
			out = append(out, line("", "path carries %.0f kbit/s, %d packets resent, %d given up", w.AvailableOutgoingBitrate/1000,
				w.RetransmittedPacketsSent, w.PacketsDiscardedOnSend))
		}
		words = nil
		for _, in := range p.Inbound {
			if in.PacketsReceived > 0 {
				words = append(words, fmt.Sprintf("%s %s: %d packets, %d lost, jitter %.0f ms", in.Kind, codecName(in.MimeType), in.PacketsReceived, in.PacketsLost, 1000*in.Jitter))
			}
		}
		if len(words) > 0 {
			out = append(out, line(fmt.Sprintf("from %d", i+1), "%s", strings.Join(words, "; ")))
		}
	}
	return out
}

// codecName is what stands behind the slash of a MIME type.
func codecName(mime string) string {
	_, name, _ := strings.Cut(mime, "/")
	return strings.ToUpper(printable(name))
}
