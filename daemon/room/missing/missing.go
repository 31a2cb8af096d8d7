// Package missing asks a far side for the packets of its pictures that were lost on the
// way: generic NACKs (RFC 4585, section 6.2.1), answered by RTX (RFC 4588).
//
// It is not pion's nack.GeneratorInterceptor, because that does not see what comes as
// RTX: it asked for each lost packet every 100 ms until 512 others had come, and a
// browser sent it as often. After a second without a network that was all it sent for
// five more (TestStorm).
//
// An Asker owns one goroutine, from BindRTCPWriter to Close. Imported by
// daemon/room/peer.
package missing

import (
	"encoding/binary"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const rtxMime = "video/rtx"

// Asker is a pion interceptor for one connection. It implements interceptor.Factory
// too, for a registry that serves one connection.
type Asker struct {
	interceptor.NoOp
	rtt  func() time.Duration
	ssrc uint32 // ours, of the sender of feedback

	mu      sync.Mutex
	streams map[uint32]*stream // by SSRC, those of resends too
	latest  *stream
	closed  bool

	wake chan struct{}
	done chan struct{}
	wg   sync.WaitGroup
}

// stream is one of pictures, with its resends.
type stream struct {
	ssrc  uint32
	holes holes
	asked time.Time // for a keyframe
}

// New makes the Asker of a connection that is to be made. rtt says how long the way
// there and back takes, 0 where that is not known; it is called from one goroutine.
func New(rtt func() time.Duration) *Asker {
	return &Asker{
		rtt: rtt, ssrc: rand.Uint32(), //nolint:gosec // a number to be told apart by
		streams: map[uint32]*stream{}, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// NewInterceptor gives the Asker itself.
func (a *Asker) NewInterceptor(string) (interceptor.Interceptor, error) { return a, nil }

// BindRTCPWriter implements interceptor.Interceptor.
func (a *Asker) BindRTCPWriter(out interceptor.RTCPWriter) interceptor.RTCPWriter {
	a.mu.Lock()
	defer a.mu.Unlock()
	if !a.closed {
		a.wg.Go(func() { a.run(out) })
	}
	return out
}

// BindRemoteStream implements interceptor.Interceptor. Pion binds a stream's resends
// right after the stream, and tells no more of whose they are.
func (a *Asker) BindRemoteStream(info *interceptor.StreamInfo, in interceptor.RTPReader) interceptor.RTPReader {
	a.mu.Lock()
	defer a.mu.Unlock()
	resends := strings.EqualFold(info.MimeType, rtxMime)
	s := a.latest
	switch {
	case resends && s != nil:
	case !resends && slices.Contains(info.RTCPFeedback, interceptor.RTCPFeedback{Type: "nack"}):
		s = &stream{ssrc: info.SSRC}
		a.latest = s
	default:
		return in
	}
	a.streams[info.SSRC] = s
	return interceptor.RTPReaderFunc(func(b []byte, at interceptor.Attributes) (int, interceptor.Attributes, error) {
		n, at, err := in.Read(b, at)
		if err != nil {
			return n, at, err
		}
		if at == nil {
			at = interceptor.Attributes{}
		}
		if h, err := at.GetRTPHeader(b[:n]); err == nil { // else it is nothing that pion passes on
			a.came(s, h, b[:n], resends)
		}
		return n, at, nil
	})
}

// UnbindRemoteStream implements interceptor.Interceptor.
func (a *Asker) UnbindRemoteStream(info *interceptor.StreamInfo) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.latest == a.streams[info.SSRC] {
		a.latest = nil
	}
	delete(a.streams, info.SSRC)
}

// Close implements interceptor.Interceptor.
func (a *Asker) Close() error {
	a.mu.Lock()
	if !a.closed {
		a.closed = true
		close(a.done)
	}
	a.mu.Unlock()
	a.wg.Wait()
	return nil
}

// came notes a packet.
func (a *Asker) came(s *stream, h *rtp.Header, b []byte, resent bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if resent {
		if seq, ok := original(h, b); ok {
			s.holes.repaired(seq)
		}
		return
	}
	if s.holes.arrived(h.SequenceNumber, time.Now()) {
		select {
		case a.wake <- struct{}{}:
		default:
		}
	}
}

// original gives the number that a resent packet had (RFC 4588, section 4); false: it
// is a probe, with nothing in it.
func original(h *rtp.Header, b []byte) (uint16, bool) {
	size := h.MarshalSize()
	end := len(b)
	if h.Padding && end > size {
		end -= int(b[end-1])
	}
	if end < size+2 {
		return 0, false
	}
	return binary.BigEndian.Uint16(b[size:]), true
}

// run asks, until Close.
func (a *Asker) run(out interceptor.RTCPWriter) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		say, next := a.look(time.Now())
		if len(say) > 0 {
			// A connection that is closed loses nothing.
			_, _ = out.Write(say, interceptor.Attributes{})
		}
		wait := time.Hour
		if !next.IsZero() {
			wait = max(time.Until(next), reorder/2) // a bound for what a hostile far side costs
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-a.wake:
			// What is new is asked for after reorder; the look says when.
		case <-a.done:
			return
		}
	}
}

// look gives what is to be said now, and when to look again; zero: nothing is missing.
func (a *Asker) look(now time.Time) (say []rtcp.Packet, next time.Time) {
	rtt := a.rtt()
	a.mu.Lock()
	defer a.mu.Unlock()
	for ssrc, s := range a.streams {
		if ssrc != s.ssrc {
			continue // its resends
		}
		ask, at := s.holes.due(now, rtt)
		if len(ask) > 0 {
			say = append(say, &rtcp.TransportLayerNack{SenderSSRC: a.ssrc, MediaSSRC: ssrc, Nacks: rtcp.NackPairsFromSequenceNumbers(ask)})
		}
		// What was given up is in no later picture but through a keyframe.
		if since, ok := s.holes.lost(); ok && !s.asked.After(since) {
			s.asked = now
			say = append(say, &rtcp.PictureLossIndication{SenderSSRC: a.ssrc, MediaSSRC: ssrc})
		}
		if !at.IsZero() && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	return say, next
}
