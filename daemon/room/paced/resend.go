package paced

import (
	"encoding/binary"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
)

const (
	// againAfter is added to the way there and back before a packet is sent another time.
	againAfter = 5 * time.Millisecond
	againMost  = 8 // times
	// asksMost numbers are looked at in budgetSpan, whatever the far side asks for.
	asksMost   = 2000
	budgetSpan = 500 * time.Millisecond
	// resendShare of what the path carries may be resends.
	resendShare = 0.5
)

// budget bounds what NACKs and feedback can cost.
type budget struct {
	since    time.Time
	asks     int
	bytes    int
	feedback int
}

// feedbackMost reports are taken in budgetSpan; a browser sends ten a second.
const feedbackMost = 100

func (b *budget) renew(now time.Time) {
	if now.Sub(b.since) >= budgetSpan {
		*b = budget{since: now}
	}
}

// BindRTCPReader implements interceptor.Interceptor.
func (f *Flow) BindRTCPReader(in interceptor.RTCPReader) interceptor.RTCPReader {
	return interceptor.RTCPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, a, err := in.Read(b, a)
		if err != nil {
			return n, a, err
		}
		if a == nil {
			a = interceptor.Attributes{}
		}
		packets, err := a.GetRTCPPackets(b[:n])
		if err != nil {
			return n, a, nil //nolint:nilerr // not ours to judge: who reads it says so
		}
		f.hear(packets)
		return n, a, nil
	})
}

func (f *Flow) hear(packets []rtcp.Packet) {
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.TransportLayerNack:
			f.nack(p, time.Now())
		case *rtcp.TransportLayerCC:
			f.feedback(p, time.Now())
		}
	}
}

// RTCP takes what the far end says to a stream that nobody reads for.
func (f *Flow) RTCP(b []byte) {
	if packets, err := rtcp.Unmarshal(b); err == nil {
		f.hear(packets)
	}
}

// Resends says whether ssrc is that of a stream of resends. It takes no lock of the
// flow's: SRTP asks while the flow may be waiting for it.
func (f *Flow) Resends(ssrc uint32) bool {
	_, is := f.rtxSSRCs.Load(ssrc)
	return is && ssrc != 0
}

// nack queues what the far end has not got.
func (f *Flow) nack(m *rtcp.TransportLayerNack, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.streams[m.MediaSSRC]
	if s == nil || f.closed {
		return
	}
	f.stats.nacks.Add(1)
	f.budget.renew(now)
	for _, pair := range m.Nacks {
		pair.Range(func(seq uint16) bool {
			f.budget.asks++
			if f.budget.asks > asksMost || len(f.resends) >= resendsMost {
				return false
			}
			f.again(s.ring.get(seq), now)
			return true
		})
	}
	if len(f.resends) > 0 {
		f.poke()
	}
}

// again queues one packet, where it is worth it.
func (f *Flow) again(p *stored, now time.Time) {
	if p == nil || !p.sent || p.stream.rtxSSRC == 0 || p.resends >= againMost {
		return
	}
	if now.Sub(p.resent) < f.est.RTT()+againAfter || p.stream.key.covers(p.header.SequenceNumber) {
		return
	}
	size := len(p.payload) + perPacket
	if f.limited() && float64(8*(f.budget.bytes+size)) > resendShare*float64(f.est.Rate())*budgetSpan.Seconds() {
		return
	}
	f.budget.bytes += size
	p.resent, p.resends = now, p.resends+1
	f.resends = append(f.resends, p)
}

// resend sends a packet as RTX and gives its size on the wire.
func (f *Flow) resend(p *stored, now time.Time) int {
	if !p.valid {
		return 0
	}
	size := f.rtx(p, now)
	f.stats.resends.Add(1)
	f.stats.resentBytes.Add(uint64(len(p.payload)))
	return size
}

// rtx wraps a packet (RFC 4588, section 4). Its number is fresh each time.
func (f *Flow) rtx(p *stored, now time.Time) int {
	s := p.stream
	h := p.header.Clone()
	h.SSRC, h.PayloadType, h.SequenceNumber = s.rtxSSRC, s.rtxPayload, s.rtxSeq
	s.rtxSeq++
	payload := make([]byte, 2+len(p.payload))
	binary.BigEndian.PutUint16(payload, p.header.SequenceNumber)
	copy(payload[2:], p.payload)
	size, _, _ := f.write(s, &h, payload, now) // an error is that of a connection that is closing
	return size
}

// pad sends something that nobody misses: one of the newest packets once more, which
// the far end throws away. It reports false where there is nothing.
func (f *Flow) pad(now time.Time) bool {
	for _, s := range f.streams {
		if !s.video || s.rtxSSRC == 0 || s.twcc == 0 {
			continue
		}
		var best *stored
		for back := range uint16(8) { // the largest of the last: fewer packets do
			if p := s.ring.get(s.ring.newest - back); p != nil && p.sent && (best == nil || len(p.payload) > len(best.payload)) {
				best = p
			}
		}
		if best == nil {
			continue
		}
		f.stats.padding.Add(uint64(f.rtx(best, now)))
		return true
	}
	return false
}

// feedback hands the far end's words to the estimator.
func (f *Flow) feedback(m *rtcp.TransportLayerCC, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.budget.renew(now)
	f.budget.feedback++
	if f.closed || f.number == 0 && !f.heard.Load() && len(f.streams) == 0 || f.budget.feedback > feedbackMost {
		return
	}
	f.est.Feedback(f.clock.arrivals(m), now)
	f.heard.Store(true)
	f.poke()
}

// feedbackClock follows the far end's clock, which its reports give modulo 2^24 times 64 ms.
type feedbackClock struct {
	begun bool
	last  int64 // of the newest report, in 64 ms
}

const (
	referenceUnit = 64 * time.Millisecond
	statusMost    = 2048 // packets in one report: more than a second has
)

// arrivals reads a report (transport-wide-cc-extensions-01, section 3.1).
func (c *feedbackClock) arrivals(m *rtcp.TransportLayerCC) []arrival {
	ref := int64(m.ReferenceTime & 0xffffff)
	if c.begun {
		ref = c.last + int64(int32(uint32(ref-c.last)<<8)>>8)
	}
	c.begun, c.last = true, ref
	at := time.Duration(ref) * referenceUnit
	most := min(int(m.PacketStatusCount), statusMost)
	out := make([]arrival, 0, most)
	delta := 0
	take := func(symbol uint16) {
		if len(out) >= most {
			return
		}
		a := arrival{Seq: m.BaseSequenceNumber + uint16(len(out))}
		if symbol == rtcp.TypeTCCPacketReceivedSmallDelta || symbol == rtcp.TypeTCCPacketReceivedLargeDelta {
			if delta < len(m.RecvDeltas) {
				at += time.Duration(m.RecvDeltas[delta].Delta) * time.Microsecond
				delta++
			}
			a.Received, a.At = true, at
		}
		out = append(out, a)
	}
	for _, chunk := range m.PacketChunks {
		switch c := chunk.(type) {
		case *rtcp.RunLengthChunk:
			for range min(int(c.RunLength), most) {
				take(c.PacketStatusSymbol)
			}
		case *rtcp.StatusVectorChunk:
			for _, s := range c.SymbolList {
				take(s)
			}
		}
		if len(out) >= most {
			break
		}
	}
	return out
}

var _ interceptor.Interceptor = (*Flow)(nil)
