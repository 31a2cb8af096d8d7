package call

// Figures are counters of the running call by name, for GET /v1/session: what
// was sent and received since the daemon's start. Names follow W3C webrtc-stats
// where it has one (framesEncoded as frames_encoded).
func (c *Call) Figures() map[string]float64 {
	v := &c.video.stats
	f := map[string]float64{
		"frames_encoded":      float64(v.frames.Load()),
		"key_frames_asked":    float64(v.asked.Load()),
		"video_bytes_sent":    float64(v.bytes.Load()),
		"video_packets_sent":  float64(v.packets.Load()),
		"frames_skipped":      float64(v.skipped.Load()),
		"key_frames_encoded":  float64(v.keyframes.Load()),
		"video_encode_errors": float64(v.errors.Load()),
		"frame_width":         float64(v.width.Load()),
		"frame_height":        float64(v.height.Load()),
		"frames_dropped":      float64(c.video.box.Drops()),
		"audio_bytes_sent":    float64(c.audio.bytes.Load()),
		"audio_packets_sent":  float64(c.audio.packets.Load()),
		"audio_chunks_lost":   float64(c.audio.drops.Load()),
		"views":               float64(c.views.count()),
	}
	if n := v.frames.Load(); n > 0 {
		f["encode_ms_per_frame"] = float64(v.encode.Load()) / float64(n) / 1e6
	}
	c.peers.mu.Lock()
	defer c.peers.mu.Unlock()
	for _, p := range c.peers.byID {
		packets, bytes := p.video.counts()
		f["video_packets_received"] += float64(packets)
		f["video_bytes_received"] += float64(bytes)
		packets, bytes = p.audio.counts()
		f["audio_packets_received"] += float64(packets)
		f["audio_bytes_received"] += float64(bytes)
		rtt, lost := p.path.worst()
		f["round_trip_ms"] = max(f["round_trip_ms"], float64(rtt)/1e6)
		f["fraction_lost"] = max(f["fraction_lost"], lost)
	}
	return f
}
