package call

import (
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/peer"
)

// track is one stream that any number of connections carry, each in a codec that was
// agreed with it. Where pion's own local tracks know one codec, a binding of this
// one remembers all that were negotiated, so that who watches on the screen can be
// given what the room already gets. It implements webrtc.TrackLocal.
type track struct {
	kind       webrtc.RTPCodecType
	id, stream string
	// joined is told that a connection was bound: what it sees next must stand alone.
	joined func()

	mu    sync.RWMutex
	bound []*binding
}

// binding is a connection that carries the track.
type binding struct {
	id      string
	ssrc    uint32
	out     webrtc.TrackLocalWriter
	codecs  []boundCodec // in the far side's order
	capture uint8        // id of the header extension abs-capture-time; 0: not agreed
	// resends says that lost packets come again as RTX (RFC 4588), which is bound to the
	// first codec: that one stays.
	resends bool
	// light gets no pictures that may be left out.
	light bool

	red   uint8  // payload type of sound that is sent twice; 0: not agreed
	seq   uint16 // of the next packet, where the track numbers them
	twice redundancy
}

type boundCodec struct {
	mime string
	pt   uint8
}

func newTrack(kind webrtc.RTPCodecType, id, stream string) *track {
	return &track{kind: kind, id: id, stream: stream, joined: func() {}}
}

// pageTrack is a track as the touchscreen's page gets it: without the pictures that
// may be left out.
type pageTrack struct{ *track }

// Bind takes a connection of the page's in.
func (t pageTrack) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	return t.bind(c, true)
}

// Bind takes a connection in.
func (t *track) Bind(c webrtc.TrackLocalContext) (webrtc.RTPCodecParameters, error) {
	return t.bind(c, false)
}

func (t *track) bind(c webrtc.TrackLocalContext, light bool) (webrtc.RTPCodecParameters, error) {
	b := &binding{id: c.ID(), light: light, ssrc: uint32(c.SSRC()), out: c.WriteStream(), seq: uint16(rand.Uint32())} //nolint:gosec // random, not secret
	var first webrtc.RTPCodecParameters
	for _, p := range c.CodecParameters() {
		switch {
		case strings.EqualFold(p.MimeType, webrtc.MimeTypeRTX):
			b.resends = true
		case strings.EqualFold(p.MimeType, mimeRED):
			b.red = uint8(p.PayloadType)
		case ours(p.RTPCodecCapability):
			if len(b.codecs) == 0 {
				first = p
			}
			b.codecs = append(b.codecs, boundCodec{strings.ToLower(p.MimeType), uint8(p.PayloadType)})
		}
	}
	if len(b.codecs) == 0 {
		return first, webrtc.ErrUnsupportedCodec
	}
	for _, e := range c.HeaderExtensions() {
		if e.URI == peer.CaptureTime && e.ID > 0 && e.ID < 256 {
			b.capture = uint8(e.ID)
		}
	}
	t.mu.Lock()
	t.bound = append(t.bound, b)
	t.mu.Unlock()
	t.joined()
	return first, nil
}

// ours says whether it is a codec that we packetise or relay: H.264 only in
// packetization mode 1 (RFC 6184, section 6.3).
func ours(c webrtc.RTPCodecCapability) bool {
	switch strings.ToLower(c.MimeType) {
	case strings.ToLower(webrtc.MimeTypeVP8), strings.ToLower(webrtc.MimeTypeOpus):
		return true
	case strings.ToLower(webrtc.MimeTypeH264):
		return strings.Contains(c.SDPFmtpLine, "packetization-mode=1")
	}
	return false
}

// Unbind lets a connection go.
func (t *track) Unbind(c webrtc.TrackLocalContext) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	i := slices.IndexFunc(t.bound, func(b *binding) bool { return b.id == c.ID() })
	if i < 0 {
		return webrtc.ErrUnbindFailed
	}
	t.bound = slices.Delete(t.bound, i, i+1)
	return nil
}

// ID is the track's, StreamID its stream's, RID that of a simulcast layer: none.
func (t *track) ID() string                { return t.id }
func (t *track) StreamID() string          { return t.stream }
func (t *track) RID() string               { return "" }
func (t *track) Kind() webrtc.RTPCodecType { return t.kind }

// takes says whether the binding agreed on the codec, a MIME type in small letters.
func (b *binding) takes(mime string) (pt uint8, ok bool) {
	for _, c := range b.codecs {
		if c.mime == mime {
			return c.pt, !b.resends || c == b.codecs[0]
		}
	}
	return 0, false
}

// wanted lists the codecs to encode in, MIME types in small letters, by the
// preference: the fewest that reach every binding. Who has resending stays with the
// codec that its far side put first.
func (t *track) wanted(prefer, into []string) []string {
	t.mu.RLock()
	defer t.mu.RUnlock()
	into = into[:0]
	reached := func(b *binding) bool {
		return slices.ContainsFunc(into, func(m string) bool { _, ok := b.takes(m); return ok })
	}
	for _, resends := range []bool{true, false} { // first those that have no choice
		for _, b := range t.bound {
			if b.resends != resends || reached(b) {
				continue
			}
			for _, m := range prefer {
				if _, ok := b.takes(m); ok {
					into = append(into, m)
					break
				}
			}
		}
	}
	return into
}

// chosen is which of the codecs in work a binding gets.
func (b *binding) chosen(work []string) string {
	for _, m := range work {
		if _, ok := b.takes(m); ok {
			return m
		}
	}
	return ""
}

// inPacket says what is in a packet.
type inPacket struct {
	mime     string    // its codec, in small letters
	work     []string  // the codecs in work
	captured time.Time // when what is in it was taken; zero: it is not said
	spare    bool      // nothing refers to it: it may be left out
	again    int       // earlier packets that it should carry as well, see red.go
}

// send writes packets of one codec to every binding that gets this codec of those
// in work. Each binding has numbers of its own, so that none is used twice whichever
// encoder it came from (RFC 3711, section 3.3.2).
func (t *track) send(m inPacket, p *rtp.Packet) {
	t.mu.Lock() // the bindings' numbers
	defer t.mu.Unlock()
	for _, b := range t.bound {
		if b.light && m.spare || b.chosen(m.work) != m.mime {
			continue
		}
		h := p.Header
		h.SequenceNumber = b.seq
		b.seq++
		if !t.sendTwice(b, m, h, p.Payload) {
			b.write(m.mime, h, p.Payload, m.captured)
		}
	}
}

// sendTwice sends sound together with what went before it, where that is wanted and agreed.
func (t *track) sendTwice(b *binding, m inPacket, h rtp.Header, payload []byte) bool {
	if b.red == 0 || t.kind != webrtc.RTPCodecTypeAudio {
		return false
	}
	defer b.twice.keep(h.Timestamp, payload)
	pt, ok := b.takes(m.mime)
	if !ok || m.again == 0 {
		return false
	}
	both := b.twice.wrap(m.again, pt, h.Timestamp, payload)
	if both == nil {
		return false
	}
	b.writeAs(b.red, h, both, m.captured)
	return true
}

// relay writes a packet that is numbered already to every binding that takes its codec.
func (t *track) relay(mime string, p *rtp.Packet) {
	t.mu.RLock()
	defer t.mu.RUnlock()
	for _, b := range t.bound {
		b.write(mime, p.Header, p.Payload, time.Time{})
	}
}

func (b *binding) write(mime string, h rtp.Header, payload []byte, captured time.Time) {
	if pt, ok := b.takes(mime); ok {
		b.writeAs(pt, h, payload, captured)
	}
}

func (b *binding) writeAs(pt uint8, h rtp.Header, payload []byte, captured time.Time) {
	h.SSRC, h.PayloadType = b.ssrc, pt
	if b.capture != 0 && !captured.IsZero() {
		var at [8]byte
		putNTP(at[:], captured)
		// It fails only for an id above 14 with one-byte headers, which the far side chose.
		_ = h.SetExtension(b.capture, at[:])
	}
	// An error is that of a connection that is closing: it does not count here.
	_, _ = b.out.WriteRTP(&h, payload)
}

// putNTP writes an instant as 64 bits of NTP time, seconds and fractions since
// 1900 (RFC 5905, section 6).
func putNTP(b []byte, t time.Time) {
	const since1900 = 2208988800 // seconds from the NTP era's start to Unix time 0
	seconds := uint32(uint64(t.Unix()) + since1900)
	fraction := uint32(uint64(t.Nanosecond()) << 32 / uint64(time.Second))
	for i := range 4 {
		b[i], b[4+i] = byte(seconds>>(24-8*i)), byte(fraction>>(24-8*i))
	}
}
