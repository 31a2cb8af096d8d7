package direct

import (
	"sync/atomic"
	"time"

	"github.com/pion/rtcp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
)

// measureEvery bounds what a far side that reports without end can cost.
const measureEvery = 500 * time.Millisecond

// readRTCP passes on what the receiver of our track says: that it wants a
// keyframe, and how much arrives.
func (r *directRoom) readRTCP(rem *remote, pc *webrtc.PeerConnection, sender *webrtc.RTPSender, signs *life) {
	kind := sender.Track().Kind().String()
	ssrc := webrtc.SSRC(0)
	if e := sender.GetParameters().Encodings; len(e) > 0 {
		ssrc = e[0].SSRC
	}
	var asked atomic.Bool // a request is on its way to run: the next ones say nothing new
	var measured time.Time
	var newest uint32 // number of ours that the far side got
	for {
		packets, _, err := sender.ReadRTCP()
		if err != nil {
			return
		}
		for _, p := range packets {
			switch p := p.(type) {
			case *rtcp.PictureLossIndication, *rtcp.FullIntraRequest:
				if asked.CompareAndSwap(false, true) {
					r.post(func() { asked.Store(false); r.params.Events(room.KeyframeWanted{}) })
				}
			case *rtcp.ReceiverReport:
				newest = signs.taken(p.Reports, ssrc, newest)
				measured = r.measure(rem, pc, kind, ssrc, p.Reports, measured)
			case *rtcp.SenderReport:
				newest = signs.taken(p.Reports, ssrc, newest)
				measured = r.measure(rem, pc, kind, ssrc, p.Reports, measured)
			}
		}
	}
}

// drainRTCP reads what the sender of a track says, until the receiver stops.
func drainRTCP(receiver *webrtc.RTPReceiver) {
	for {
		if _, _, err := receiver.ReadRTCP(); err != nil {
			return
		}
	}
}

// measure reports the reception of our stream ssrc, unless it did so lately. It
// returns when it last did.
func (r *directRoom) measure(
	rem *remote, pc *webrtc.PeerConnection, kind string, ssrc webrtc.SSRC, reports []rtcp.ReceptionReport, last time.Time,
) time.Time {
	now := time.Now()
	for _, rep := range reports {
		if rep.SSRC != uint32(ssrc) || now.Sub(last) < measureEvery {
			continue
		}
		last = now
		e := room.PathMeasured{
			ID: rem.who.ID, Kind: kind, RTT: roundTrip(now, rep.LastSenderReport, rep.Delay), Lost: float64(rep.FractionLost) / 256,
		}
		r.mine(rem, pc, func() { r.params.Events(e) })
	}
	return last
}

// roundTripMost is more than a call can bear; what is above is a mistake or a lie.
const roundTripMost = 30 * time.Second

// roundTrip computes the time there and back from a reception report (RFC 3550,
// section 6.4.1): lsr is the middle of the NTP time of our last sender report, 0
// where none arrived, delay how long the far side had it, both in 1/65536 s. It
// is 0 where it cannot be known.
func roundTrip(now time.Time, lsr, delay uint32) time.Duration {
	if lsr == 0 {
		return 0
	}
	took := time.Duration(ntpMiddle(now)-lsr-delay) * time.Second / 65536
	if took > roundTripMost {
		return 0
	}
	return took
}

// ntpMiddle is the middle 32 bits of the NTP timestamp of t (RFC 3550, section 4).
func ntpMiddle(t time.Time) uint32 {
	const since1900 = 2208988800 // seconds from the NTP era's start to Unix time 0
	seconds := uint32(uint64(t.Unix()) + since1900)
	return seconds<<16 | uint32(uint64(t.Nanosecond())<<16/uint64(time.Second))
}
