package call

import (
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/api/apitype"
)

// relay carries one kind of media of one participant to the screen without
// transcoding. It outlives the peer connection that feeds it: after a
// reconnection the packets of the new source go on where the old one's ended, in
// sequence and in time, so that the page's decoder never sees a jump back
// (RFC 3550, section 5.1).
type relay struct {
	track *track
	rate  uint32 // clock rate in Hz

	mu       sync.Mutex
	source   any    // whose packets pass; the packets of any other are old ones
	fresh    bool   // the source has not sent anything yet
	keyframe func() // asks the source for a keyframe, nil when there is none
	seqShift uint16
	tsShift  uint32
	floor    uint16 // no packet of the source goes out below this number
	sent     window
	lastSeq  uint16
	lastTS   uint32
	lastAt   time.Time
	packets  uint64
	bytes    uint64
	codec    string // of the last packet
	reception
}

// windowSize is how far back a late packet may come, about a second of video.
const windowSize = 1024

// window remembers which of the last windowSize numbers were sent. SRTP forbids
// a number twice (RFC 3711, section 3.3.2), and browsers do send packets twice:
// they probe the bandwidth with repetitions.
type window struct{ seen [windowSize]bool }

// advance makes room for the numbers after from, up to and with to.
func (w *window) advance(from, to uint16) {
	for n := min(to-from, windowSize); n > 0; n-- {
		w.seen[(to-n+1)%windowSize] = false
	}
}

// first reports whether seq was not sent before, and notes it.
func (w *window) first(seq uint16) bool {
	was := w.seen[seq%windowSize]
	w.seen[seq%windowSize] = true
	return !was
}

func newRelay(kind webrtc.RTPCodecType, participant string) *relay {
	rate := uint32(videoRate)
	if kind == webrtc.RTPCodecTypeAudio {
		rate = sampleRate
	}
	return &relay{track: newTrack(kind, kind.String(), "remote-"+participant), rate: rate}
}

// attach lets the packets of source through from now on, and of no other.
func (r *relay) attach(source any, keyframe func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.source, r.keyframe, r.fresh = source, keyframe, true
}

// requestKeyframe asks whoever sends to us now; without a source it does nothing.
func (r *relay) requestKeyframe() {
	r.mu.Lock()
	ask := r.keyframe
	r.mu.Unlock()
	if ask != nil {
		ask()
	}
}

// forward sends one packet on, if it comes from the present source, to the views that
// take its codec (a MIME type). The packet is the relay's afterwards.
func (r *relay) forward(source any, codec string, p *rtp.Packet, now time.Time) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.source != source {
		return false
	}
	if r.fresh {
		r.align(p, now)
		r.fresh = false
	}
	p.SequenceNumber += r.seqShift
	p.Timestamp += r.tsShift
	if !r.admit(p.SequenceNumber) {
		return false
	}
	// Extensions and CSRCs were agreed with the far side, they mean nothing to the page.
	p.Extension, p.Extensions, p.ExtensionProfile, p.CSRC = false, nil, 0, nil
	if p.SequenceNumber == r.lastSeq { // the newest, not a reordered one
		r.lastTS, r.lastAt = p.Timestamp, now
	}
	r.packets++
	r.bytes += uint64(len(p.Payload))
	r.codec = codec
	r.note(p, r.rate, now)
	r.track.relay(codec, p)
	return true
}

// admit decides whether a packet of this number, in the page's numbering, may go
// out, and moves the window with the newest.
func (r *relay) admit(seq uint16) bool {
	if ahead := seq - r.lastSeq; int16(ahead) > 0 {
		r.sent.advance(r.lastSeq, seq)
		r.lastSeq = seq
		return r.sent.first(seq)
	}
	if int16(seq-r.floor) < 0 || r.lastSeq-seq >= windowSize {
		return false
	}
	return r.sent.first(seq)
}

// align sets the shifts so that p, the first packet of a source, follows what
// was sent last by one packet and by the time that has passed.
func (r *relay) align(p *rtp.Packet, now time.Time) {
	if r.lastAt.IsZero() {
		r.lastSeq, r.lastTS, r.lastAt, r.floor = p.SequenceNumber-1, p.Timestamp, now, p.SequenceNumber
		return
	}
	r.floor = r.lastSeq + 1
	r.seqShift = r.floor - p.SequenceNumber
	r.tsShift = r.lastTS + max(uint32(units(now.Sub(r.lastAt), r.rate)), 1) - p.Timestamp
}

// told is what arrived, for the statistics.
func (r *relay) told(kind string) apitype.InboundRTP {
	r.mu.Lock()
	defer r.mu.Unlock()
	in := apitype.InboundRTP{
		Kind: kind, MimeType: r.codec, PacketsReceived: r.packets, BytesReceived: r.bytes, PacketsLost: r.lost(),
		Jitter: r.jitter / float64(r.rate),
	}
	if kind == "video" {
		in.FramesReceived = r.frames
	}
	return in
}

// counts returns packets and payload bytes since the relay was made.
func (r *relay) counts() (packets, bytes uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.packets, r.bytes
}
