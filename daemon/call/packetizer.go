package call

import (
	"math/rand/v2"
	"time"

	"github.com/pion/rtp"
)

// packetizer numbers packets and turns capture times into RTP timestamps.
type packetizer struct {
	seq   uint16
	ts    uint32 // the timestamp of start
	rate  uint32 // clock rate in Hz
	start time.Time
	last  uint64 // units since start of the last frame
}

// newPacketizer starts at random numbers, as RFC 3550 section 5.1 wants them.
func newPacketizer(rate uint32) packetizer {
	return packetizer{seq: uint16(rand.Uint32()), ts: rand.Uint32(), rate: rate} //nolint:gosec // random, not secret
}

// stamp returns the RTP timestamp of an instant, later than all before it.
func (p *packetizer) stamp(at time.Time) uint32 {
	if p.start.IsZero() {
		p.start = at
		return p.ts
	}
	p.last = max(units(at.Sub(p.start), p.rate), p.last+1)
	return p.ts + uint32(p.last) // wraps, as RTP timestamps do
}

// units is a duration counted by a clock of rate Hz; a negative one is 0. In two
// parts, so that weeks of uptime do not overflow.
func units(d time.Duration, rate uint32) uint64 {
	d = max(d, 0)
	whole, rest := uint64(d/time.Second), uint64(d%time.Second)
	return whole*uint64(rate) + rest*uint64(rate)/uint64(time.Second)
}

func (p *packetizer) packet(payload []byte, ts uint32, marker bool) rtp.Packet {
	p.seq++
	return rtp.Packet{
		Header:  rtp.Header{Version: 2, Marker: marker, SequenceNumber: p.seq, Timestamp: ts},
		Payload: payload,
	}
}
