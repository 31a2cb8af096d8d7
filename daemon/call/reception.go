package call

import (
	"time"

	"github.com/pion/rtp"
)

// reception counts what arrives of one stream, as RFC 3550 wants it told (section
// 6.4.1, appendix A.3 and A.8).
type reception struct {
	begun   bool
	first   uint64 // extended number of the first packet
	highest uint64 // of the newest
	got     uint64
	frames  uint64
	jitter  float64 // in units of the clock
	transit uint32  // of the last packet, in units of the clock, modulo 2^32
	base    time.Time
	baseTS  uint32
}

// note takes one packet, numbered as the screen sees it.
func (r *reception) note(p *rtp.Packet, rate uint32, now time.Time) {
	r.got++
	if p.Marker {
		r.frames++
	}
	if !r.begun {
		r.begun, r.first, r.highest = true, uint64(p.SequenceNumber), uint64(p.SequenceNumber)
		r.base, r.baseTS = now, p.Timestamp
		return
	}
	if ahead := p.SequenceNumber - uint16(r.highest); int16(ahead) > 0 {
		r.highest += uint64(ahead)
	}
	// Timestamps wrap in a call of some hours: only differences count.
	transit := uint32(units(now.Sub(r.base), rate)) - (p.Timestamp - r.baseTS)
	d := float64(int32(transit - r.transit))
	r.transit = transit
	r.jitter += (max(d, -d) - r.jitter) / 16
}

// lost is how many packets never came, those that may still be on their way included.
func (r *reception) lost() int64 {
	if !r.begun {
		return 0
	}
	return int64(r.highest-r.first) + 1 - int64(r.got)
}
