package paced

import (
	"sync/atomic"
	"time"

	"kioskd/daemon/room/congestion"
)

type arrival = congestion.Arrival

// counters are written by the flow and read by anybody.
type counters struct {
	nacks, resends, resentBytes, padding, dropped atomic.Uint64
	delay                                         atomic.Int64
}

// Stats are a flow's figures, by W3C webrtc-stats where it has them.
type Stats struct {
	Available   int           // availableOutgoingBitrate, bit/s with IP and UDP; 0: not known
	Acked       int           // of that, what was acknowledged in the last half second
	RTT         time.Duration // currentRoundTripTime
	NACKs       uint64        // nackCount
	Resends     uint64        // retransmittedPacketsSent
	ResentBytes uint64        // retransmittedBytesSent, payload
	SendDelay   time.Duration // totalPacketSendDelay
	Padding     uint64        // bytes of probes
	Dropped     uint64        // packets that waited too long
}

// Stats gives the figures.
func (f *Flow) Stats() Stats {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := Stats{
		RTT: f.est.RTT(), Acked: f.est.Acked(), NACKs: f.stats.nacks.Load(), Resends: f.stats.resends.Load(), ResentBytes: f.stats.resentBytes.Load(),
		SendDelay: time.Duration(f.stats.delay.Load()), Padding: f.stats.padding.Load(), Dropped: f.stats.dropped.Load(),
	}
	if f.limited() {
		s.Available = f.est.Rate()
	}
	return s
}

// RTT is the time there and back, smoothed; 0 where that is not known.
func (f *Flow) RTT() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.est.RTT()
}

// A picture's packets have so many bytes of headers each, and there is at least one.
const (
	videoHeaders = perPacket + 12 + 20
	videoPayload = 1160
)

// Video is how many bit/s of pictures, without headers, the path carries beside the
// sound at fps pictures a second. ok is false where that is not known.
func (f *Flow) Video(fps float64) (bps int, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if !f.limited() {
		return 0, false
	}
	left := float64(f.est.Send()) - f.others.rate(time.Now())
	left -= fps * videoHeaders * 8 / 2 // the last packet of a picture is half full
	return max(int(left*videoPayload/(videoPayload+videoHeaders)), 0), true
}

// Want tells how many bit/s of pictures, without headers, would be sent at most.
func (f *Flow) Want(video int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	all := float64(video)*(videoPayload+videoHeaders)/videoPayload + f.others.rate(now) + 30*videoHeaders*8/2
	f.est.Want(int(1.05*all), now)
}

// Waiting is how long the oldest picture has waited.
func (f *Flow) Waiting() time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.queue) == 0 {
		return 0
	}
	return time.Since(f.queue[0].at)
}

// Dropped reports once that pictures were given up: the far end needs a keyframe.
func (f *Flow) Dropped() bool { return f.dropped.Swap(false) }
