package apitype

import "time"

// Statistics are figures of the running call, part of Session. Names, meanings and
// units are those of W3C webrtc-stats (https://www.w3.org/TR/webrtc-stats/)
// wherever it has one, so its camelCase stands here to the letter; times are in
// seconds, counters reach back to the start of the session's media. What W3C has no
// name for says so.
type Statistics struct {
	Timestamp time.Time `json:"timestamp"`
	// VideoSource is the camera in use (RTCVideoSourceStats); nil: none.
	VideoSource *VideoSource `json:"videoSource,omitempty"`
	// Outbound has one entry for each encoder that runs (RTCOutboundRtpStreamStats): what is sent to
	// several counts once.
	Outbound []OutboundRTP `json:"outbound"`
	// Participants have what is sent to and received from each of them.
	Participants []ParticipantStatistics `json:"participants"`
}

// VideoSource is RTCVideoSourceStats and what the way from the driver to the encoder costs.
type VideoSource struct {
	Width           int     `json:"width"`
	Height          int     `json:"height"`
	Frames          uint64  `json:"frames"`
	FramesPerSecond float64 `json:"framesPerSecond"` // as the driver promised; 0: it does not say
	// Not in W3C: the V4L2 pixel format, pictures that were unusable, and
	// seconds spent in making I420 of them, all together.
	PixelFormat     string  `json:"pixelFormat,omitempty"`
	FramesCorrupted uint64  `json:"framesCorrupted"`
	TotalConvert    float64 `json:"totalConvertTime"`
}

// OutboundRTP is RTCOutboundRtpStreamStats, and the codec's own name.
type OutboundRTP struct {
	Kind            string  `json:"kind" enum:"audio,video"`
	MimeType        string  `json:"mimeType"` // of RTCCodecStats: "video/VP8"
	PacketsSent     uint64  `json:"packetsSent"`
	BytesSent       uint64  `json:"bytesSent"`
	TargetBitrate   float64 `json:"targetBitrate"` // bit/s
	FramesEncoded   uint64  `json:"framesEncoded,omitempty"`
	KeyFrames       uint64  `json:"keyFramesEncoded,omitempty"`
	FrameWidth      int     `json:"frameWidth,omitempty"`
	FrameHeight     int     `json:"frameHeight,omitempty"`
	FramesPerSecond float64 `json:"framesPerSecond,omitempty"`
	TotalEncodeTime float64 `json:"totalEncodeTime,omitempty"`
	// Not in W3C: keyframes that receivers or the kiosk itself asked for.
	KeyFramesAsked uint64 `json:"keyFramesAsked,omitempty"`
	// QualityLimitationReason says why less is sent than was configured.
	QualityLimitationReason string `json:"qualityLimitationReason,omitempty" enum:"none,cpu,bandwidth,other"`
	// Not in W3C: frames that were displaced before the encoder took them, and those
	// that a processor limit left out.
	FramesDropped uint64 `json:"framesDropped,omitempty"`
	FramesSkipped uint64 `json:"framesSkipped,omitempty"`
	// Not in W3C: seconds from capture to the last packet, smoothed over half a second.
	CaptureToSend float64 `json:"captureToSendDelay,omitempty"`
}

// ParticipantStatistics are those of one other participant.
type ParticipantStatistics struct {
	ID string `json:"id"`
	// Path is the way to it; nil before there is one.
	Path *PathStatistics `json:"path,omitempty"`
	// Remote is what it reports about what it gets (RTCRemoteInboundRtpStreamStats).
	Remote []RemoteInboundRTP `json:"remoteInbound"`
	// Inbound is what comes from it (RTCInboundRtpStreamStats).
	Inbound []InboundRTP `json:"inbound"`
}

// PathStatistics has what RTCIceCandidatePairStats and RTCOutboundRtpStreamStats say of
// what leaves for one participant.
type PathStatistics struct {
	// AvailableOutgoingBitrate is what the path carries by our estimate, in bit/s with
	// the headers of IP and UDP; 0: the participant gives no feedback to tell it from.
	AvailableOutgoingBitrate float64 `json:"availableOutgoingBitrate"`
	CurrentRoundTripTime     float64 `json:"currentRoundTripTime"` // seconds
	NackCount                uint64  `json:"nackCount"`
	RetransmittedPacketsSent uint64  `json:"retransmittedPacketsSent"`
	RetransmittedBytesSent   uint64  `json:"retransmittedBytesSent"`
	TotalPacketSendDelay     float64 `json:"totalPacketSendDelay"` // seconds that packets waited for their turn
	PacketsDiscardedOnSend   uint64  `json:"packetsDiscardedOnSend"`
	// Not in W3C: what was acknowledged in the last half second, in bit/s, and bytes that
	// were sent only to find out what the path carries.
	AcknowledgedBitrate float64 `json:"acknowledgedBitrate"`
	ProbeBytesSent      uint64  `json:"probeBytesSent"`
}

// RemoteInboundRTP is RTCRemoteInboundRtpStreamStats.
type RemoteInboundRTP struct {
	Kind          string  `json:"kind" enum:"audio,video"`
	RoundTripTime float64 `json:"roundTripTime"` // seconds
	FractionLost  float64 `json:"fractionLost"`  // 0 to 1
}

// InboundRTP is RTCInboundRtpStreamStats as far as one can tell who passes it on without decoding.
type InboundRTP struct {
	Kind            string `json:"kind" enum:"audio,video"`
	MimeType        string `json:"mimeType,omitempty"`
	PacketsReceived uint64 `json:"packetsReceived"`
	BytesReceived   uint64 `json:"bytesReceived"`
	PacketsLost     int64  `json:"packetsLost"`
	// Jitter in seconds (RFC 3550, section 6.4.1).
	Jitter float64 `json:"jitter"`
	// FramesReceived counts the frames whose last packet came.
	FramesReceived uint64 `json:"framesReceived,omitempty"`
}
