package paced

import (
	"math/rand/v2"
	"time"

	"github.com/pion/rtp"
)

// ringSize packets of a stream are kept for NACKs: some seconds of video.
const ringSize = 512

// stored is a packet that went out, or waits to.
type stored struct {
	stream  *stream
	header  rtp.Header
	payload []byte
	at      time.Time // when it came
	sent    bool
	valid   bool
	resent  time.Time // the last time
	resends int
}

// ring keeps the newest packets of a stream.
type ring struct {
	slots  []stored
	newest uint16
}

// put keeps a copy of a packet. Its memory is that of the packet ringSize before.
func (r *ring) put(s *stream, h *rtp.Header, payload []byte, at time.Time) *stored {
	if r.slots == nil {
		r.slots = make([]stored, ringSize)
	}
	p := &r.slots[h.SequenceNumber%ringSize]
	*p = stored{stream: s, header: h.Clone(), payload: append(p.payload[:0], payload...), at: at, valid: true}
	r.newest = h.SequenceNumber
	return p
}

// get is the packet of a number, nil where it is not kept any more.
func (r *ring) get(seq uint16) *stored {
	if r.slots == nil {
		return nil
	}
	p := &r.slots[seq%ringSize]
	if !p.valid || p.header.SequenceNumber != seq {
		return nil
	}
	return p
}

func firstNumber() uint16 { return uint16(rand.Uint32()) } //nolint:gosec // random, not secret

// meter is how much goes by, smoothed over meterSpan.
type meter struct {
	bytes float64
	at    time.Time
}

func (m *meter) take(now time.Time, size int) {
	m.fade(now)
	m.bytes += float64(size)
}

func (m *meter) fade(now time.Time) {
	if !m.at.IsZero() {
		m.bytes *= max(0, 1-float64(now.Sub(m.at))/float64(meterSpan))
	}
	m.at = now
}

// rate is in bit/s.
func (m *meter) rate(now time.Time) float64 {
	m.fade(now)
	return 8 * m.bytes / meterSpan.Seconds()
}
