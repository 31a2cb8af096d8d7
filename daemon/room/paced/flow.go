// Package paced is what leaves for one participant: a pion interceptor that numbers
// packets for transport-wide feedback, paces the video by what the path carries
// (package congestion), lets the sound go first and at once, answers NACKs with RTX
// (RFC 4588) and sends probes.
//
// It does pion's responder's work as well, because who paces has to have the
// packets, and because each packet of RTX gets a number when it goes out: SRTP
// forbids a number twice (RFC 3711, section 3.3.2).
//
// Each Flow owns one goroutine, from its first stream to Close. Imported by
// daemon/room/peer, and by daemon/call, which asks it what it carries.
package paced

import (
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"

	"kioskd/daemon/room/congestion"
)

const (
	// perPacket is what IPv4, UDP and SRTP's tag add to a packet of RTP.
	perPacket = 20 + 8 + 14
	// leastRate carries the sound; with less there is no call.
	leastRate = 60_000

	// A picture leaves at once while nothing is wrong with the path. On one that is
	// full it is spread, so that the next packet of sound does not wait behind it.
	paceEasy, burstEasy = 3.0, 12_000
	paceFull, burstFull = 1.4, 1_300

	queueMost   = 384 // packets that wait: less than a ring holds
	waitMost    = time.Second
	idleLook    = 200 * time.Millisecond // probes and silence are looked for so often
	resendsMost = 128
	meterSpan   = time.Second
)

// Config says where the estimate begins and how far it can go, in bit/s.
type Config struct{ Start, Max int }

// Flow is the way to one participant. It implements interceptor.Factory too, for a
// registry that serves one connection.
type Flow struct {
	interceptor.NoOp

	mu       sync.Mutex
	est      *congestion.Estimator
	streams  map[uint32]*stream
	queue    []*stored // pictures that wait, oldest first
	resends  []*stored
	credit   float64 // bytes that may go out
	filledAt time.Time
	number   uint16 // of the next packet, for the feedback
	clock    feedbackClock
	budget   budget
	others   meter // sound and resends
	closed   bool
	started  bool

	wake chan struct{}
	done chan struct{}
	wg   sync.WaitGroup

	rtxSSRCs sync.Map    // the SSRCs of resends
	heard    atomic.Bool // the far end gives feedback
	dropped  atomic.Bool
	stats    counters
}

// New makes the flow of one connection that is to be made.
func New(c Config) *Flow {
	return &Flow{
		est:     congestion.New(congestion.Config{Start: c.Start, Min: leastRate, Max: c.Max}),
		streams: map[uint32]*stream{}, wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
}

// NewInterceptor gives the flow itself.
func (f *Flow) NewInterceptor(string) (interceptor.Interceptor, error) { return f, nil }

// stream is one that we send.
type stream struct {
	out        interceptor.RTPWriter
	twcc       uint8 // id of the feedback's header extension; 0: not agreed
	video      bool
	rtxSSRC    uint32
	rtxPayload uint8
	rtxSeq     uint16
	ring       ring
	mime       string
	key        keyframe
}

const twccURI = "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"

// BindLocalStream implements interceptor.Interceptor.
func (f *Flow) BindLocalStream(info *interceptor.StreamInfo, out interceptor.RTPWriter) interceptor.RTPWriter {
	s := &stream{out: out, video: info.ClockRate == 90000, rtxSSRC: info.SSRCRetransmission, rtxPayload: info.PayloadTypeRetransmission, mime: info.MimeType}
	for _, e := range info.RTPHeaderExtensions {
		if e.URI == twccURI && e.ID > 0 && e.ID < 256 {
			s.twcc = uint8(e.ID)
		}
	}
	s.rtxSeq = firstNumber()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return out
	}
	f.streams[info.SSRC] = s
	f.rtxSSRCs.Store(s.rtxSSRC, true)
	if !f.started {
		f.started = true
		f.wg.Go(f.run)
	}
	if !s.video {
		return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
			return f.sound(s, h, payload)
		})
	}
	return interceptor.RTPWriterFunc(func(h *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
		return f.picture(s, h, payload)
	})
}

// UnbindLocalStream implements interceptor.Interceptor.
func (f *Flow) UnbindLocalStream(info *interceptor.StreamInfo) {
	f.mu.Lock()
	defer f.mu.Unlock()
	s := f.streams[info.SSRC]
	if s == nil {
		return
	}
	delete(f.streams, info.SSRC)
	f.queue, f.resends = without(f.queue, s), without(f.resends, s)
}

// Close implements interceptor.Interceptor; it waits for the flow's goroutine.
func (f *Flow) Close() error {
	f.mu.Lock()
	if !f.closed {
		f.closed = true
		close(f.done)
		f.queue, f.resends = nil, nil
	}
	f.mu.Unlock()
	f.wg.Wait()
	return nil
}

// sound goes out at once, whatever waits; what it takes, the pictures do not get.
func (f *Flow) sound(s *stream, h *rtp.Header, payload []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	size, n, err := f.write(s, h, payload, now)
	f.others.take(now, size)
	return n, err
}

// picture keeps a packet for NACKs, and sends it as soon as the path takes it.
func (f *Flow) picture(s *stream, h *rtp.Header, payload []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.closed {
		return 0, nil
	}
	now := time.Now()
	p := s.ring.put(s, h, payload, now)
	if s.key.note(s.mime, h, payload) {
		f.resends = slices.DeleteFunc(f.resends, func(r *stored) bool { return r.stream == s && s.key.covers(r.header.SequenceNumber) })
	}
	f.refill(now)
	if len(f.queue) == 0 && (!f.limited() || f.credit > 0) {
		return len(payload), f.first(p, now)
	}
	f.queue = append(f.queue, p)
	if len(f.queue) >= queueMost || now.Sub(f.queue[0].at) > waitMost {
		f.drop()
	}
	f.poke()
	return len(payload), nil
}

// drop gives up the pictures that wait: they would come too late, and what follows
// them is of no use without them. The owner of the encoder learns it by Dropped.
func (f *Flow) drop() {
	for _, p := range f.queue {
		p.valid = false
	}
	f.stats.dropped.Add(uint64(len(f.queue)))
	f.queue = f.queue[:0]
	f.dropped.Store(true)
}

// first sends a packet for the first time.
func (f *Flow) first(p *stored, now time.Time) error {
	f.stats.delay.Add(int64(now.Sub(p.at)))
	p.sent = true
	_, _, err := f.write(p.stream, &p.header, p.payload, now)
	return err
}

// write numbers a packet and gives it to the transport. It gives the size on the wire.
func (f *Flow) write(s *stream, h *rtp.Header, payload []byte, now time.Time) (size, n int, err error) {
	seq := f.number
	if s.twcc != 0 {
		// It fails only for an id above 14 with one-byte headers, which the far side chose.
		if h.SetExtension(s.twcc, []byte{byte(seq >> 8), byte(seq)}) == nil {
			f.number++
		}
	}
	size = h.MarshalSize() + len(payload) + perPacket
	f.credit -= float64(size)
	if f.number != seq {
		f.est.Sent(seq, size, now)
	}
	n, err = s.out.Write(h, payload, nil)
	return size, n, err
}

func (f *Flow) poke() {
	select {
	case f.wake <- struct{}{}:
	default:
	}
}

// run sends what waits.
func (f *Flow) run() {
	timer := time.NewTimer(idleLook)
	defer timer.Stop()
	for {
		select {
		case <-f.done:
			return
		case <-f.wake:
		case <-timer.C:
		}
		f.mu.Lock()
		wait := f.drain(time.Now())
		f.mu.Unlock()
		timer.Reset(wait)
	}
}

// limited says whether the pictures are held back at all: without feedback nobody
// knows what the path carries.
func (f *Flow) limited() bool { return f.heard.Load() }

// pace is the rate, in bit/s, at which packets leave now, how many bytes may leave at
// a time, and whether it is a probe's, which goes on with nothing to send.
func (f *Flow) pace(now time.Time) (bps, burst float64, probe bool) {
	if p, _, ok := f.est.Probe(now); ok {
		return float64(p), burstFull, true
	}
	rate := float64(f.est.Send())
	if f.est.Strained(now) {
		return paceFull * rate, burstFull, false
	}
	return paceEasy * rate, burstEasy, false
}

func (f *Flow) refill(now time.Time) {
	bps, burst, _ := f.pace(now)
	if !f.filledAt.IsZero() {
		f.credit += bps / 8 * min(now.Sub(f.filledAt), time.Second).Seconds()
	}
	f.filledAt = now
	f.credit = min(max(f.credit, -bps/8*0.2), max(burst, bps/8*0.005)) // sound never takes more than 200 ms of it
}

// drain sends what may go out now and says when to look again.
func (f *Flow) drain(now time.Time) time.Duration {
	f.est.Tick(now)
	f.refill(now)
	bps, _, probe := f.pace(now)
	for f.credit > 0 || !f.limited() {
		switch {
		case len(f.resends) > 0:
			p := f.resends[0]
			f.resends = f.resends[1:]
			f.others.take(now, f.resend(p, now))
		case len(f.queue) > 0:
			p := f.queue[0]
			f.queue = f.queue[1:]
			_ = f.first(p, now) // an error is that of a connection that is closing
		case probe && f.pad(now):
		default:
			if probe {
				return 5 * time.Millisecond
			}
			return idleLook
		}
	}
	return max(time.Duration(-f.credit*8/bps*float64(time.Second)), time.Millisecond)
}

func without(list []*stored, s *stream) []*stored {
	var out []*stored
	for _, p := range list {
		if p.stream != s {
			out = append(out, p)
		}
	}
	return out
}
