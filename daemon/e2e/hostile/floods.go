package hostile

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"fmt"
	mrand "math/rand/v2"
	"reflect"
	"time"
	"unsafe"

	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/direct/signal"
)

// Flood is one way to do harm. Send sends once; it is called in a loop.
type Flood struct {
	Name string
	Send func(p *Peer, n uint32)
	// Ends: the kiosk is meant to part from who does it.
	Ends bool
	// Pause between two Sends, where less than the line's rate is the attack.
	Pause time.Duration
}

// Floods are the twelve of the promise.
func Floods() []Flood {
	return []Flood{
		{Name: "STUN", Send: stun},
		{Name: "DTLS junk", Send: dtlsJunk},
		{Name: "RTP of unknown SSRC", Send: unknownSSRC},
		{Name: "RTCP PLI, NACK, REMB", Send: feedback},
		{Name: "20,000 data channels", Send: channels, Ends: true},
		{Name: "one-byte SCTP fragments", Send: fragments, Pause: time.Millisecond},
		{Name: "giant messages", Send: giant, Pause: time.Millisecond},
		{Name: "endless renegotiation", Send: renegotiate, Pause: time.Millisecond},
		{Name: "10,000 candidates", Send: candidate, Pause: 100 * time.Microsecond},
		{Name: "zero length", Send: zeroLength},
		{Name: "padding tricks", Send: padding},
		{Name: "replay", Send: replay},
	}
}

// Speak sends one packet of sound, so that the call has media.
func (p *Peer) Speak(seq uint16) {
	p.track.mu.Lock()
	defer p.track.mu.Unlock()
	p.track.write(rtp.Header{Version: 2, SSRC: p.track.ssrc, PayloadType: p.track.pt, SequenceNumber: seq, Timestamp: uint32(seq) * 960}, []byte{0xf8, 0xff, 0xfe})
}

// Run floods until ctx ends and gives the number of sends.
func (p *Peer) Run(ctx context.Context, f Flood) uint32 {
	n := uint32(0)
	for ; ctx.Err() == nil; n++ {
		f.Send(p, n)
		if f.Pause > 0 {
			t := time.NewTimer(f.Pause)
			select {
			case <-t.C:
			case <-ctx.Done():
			}
			t.Stop()
		}
	}
	return n
}

// stun are binding requests for another user, with a tag that is wrong (RFC 8489).
func stun(p *Peer, n uint32) {
	b := make([]byte, 20+16+24)
	binary.BigEndian.PutUint16(b, 1)
	binary.BigEndian.PutUint16(b[2:], 40)
	binary.BigEndian.PutUint32(b[4:], 0x2112A442)
	binary.BigEndian.PutUint32(b[8:], n)
	binary.BigEndian.PutUint32(b[20:], 0x0006_000b)
	copy(b[24:], "mall:mallor")
	binary.BigEndian.PutUint32(b[36:], 0x0008_0014)
	p.wire.inject(b)
}

// dtlsJunk are records of every type with nonsense in them (RFC 6347, section 4.1).
func dtlsJunk(p *Peer, n uint32) {
	b := make([]byte, 13+64+n%1100)
	_, _ = rand.Read(b[13:])
	b[0], b[1], b[2] = byte(20+n%6), 0xfe, 0xfd
	binary.BigEndian.PutUint64(b[3:], uint64(n))
	binary.BigEndian.PutUint16(b[3:], uint16(n%3))
	binary.BigEndian.PutUint16(b[11:], uint16(len(b)-13))
	p.wire.inject(b)
}

func unknownSSRC(p *Peer, n uint32) {
	p.track.write(rtp.Header{Version: 2, SSRC: mrand.Uint32(), PayloadType: 96 + uint8(n%32), SequenceNumber: uint16(n)}, make([]byte, 1000)) //nolint:gosec // an attack
}

func feedback(p *Peer, n uint32) {
	var all []rtcp.NackPair
	for i := range uint16(200) {
		all = append(all, rtcp.NackPair{PacketID: uint16(n) + 17*i, LostPackets: 0xffff})
	}
	var media uint32
	for _, r := range p.pc.GetReceivers() {
		if t := r.Track(); t != nil && t.Kind() == webrtc.RTPCodecTypeVideo {
			media = uint32(t.SSRC())
		}
	}
	_ = p.pc.WriteRTCP([]rtcp.Packet{ // what does not go out is one less
		&rtcp.PictureLossIndication{MediaSSRC: media},
		&rtcp.FullIntraRequest{MediaSSRC: media, FIR: []rtcp.FIREntry{{SSRC: media, SequenceNumber: uint8(n)}}},
		&rtcp.TransportLayerNack{MediaSSRC: media, Nacks: all},
		&rtcp.ReceiverEstimatedMaximumBitrate{Bitrate: float32(n), SSRCs: []uint32{media}},
	})
}

func channels(p *Peer, n uint32) {
	if n < 20_000 {
		_, _ = p.pc.CreateDataChannel(fmt.Sprintf("c%d", n), nil) // refused once the kiosk has parted
	}
}

func (p *Peer) say(b []byte) {
	p.mu.Lock()
	d := p.chat
	p.mu.Unlock()
	if d == nil || d.BufferedAmount() > 16<<20 {
		return
	}
	_ = d.Send(b) // closed by the kiosk, perhaps
}

// fragments are long messages in chunks of one byte each (RFC 9260, section 6.9).
func fragments(p *Peer, n uint32) {
	if n == 0 && !shred(p.pc.SCTP()) {
		return // then nothing is said, and the flood fails
	}
	p.say(make([]byte, 60<<10))
}

// shred has a transport cut what it sends into single bytes. Pion lets nobody choose that,
// so its own field is set: sctp.Association.maxPayloadSize of pion/sctp v1.12. Pion reads
// it meanwhile, which harms no attacker.
//
//go:norace
func shred(t *webrtc.SCTPTransport) bool {
	field, ok := reflect.TypeFor[webrtc.SCTPTransport]().FieldByName("sctpAssociation")
	if !ok || field.Type.Kind() != reflect.Pointer {
		return false
	}
	most, ok := field.Type.Elem().FieldByName("maxPayloadSize")
	if !ok || most.Type.Kind() != reflect.Uint32 {
		return false
	}
	a := *(*unsafe.Pointer)(unsafe.Add(unsafe.Pointer(t), field.Offset))
	if a == nil {
		return false
	}
	*(*uint32)(unsafe.Add(a, most.Offset)) = 1
	return true
}

func giant(p *Peer, n uint32) { p.say(make([]byte, 60<<10+n%1000)) }

// renegotiate sends answers that nobody asked for, each from another far end, and comes
// and goes.
func renegotiate(p *Peer, n uint32) {
	p.mu.Lock()
	sdp, kiosk := p.answer, p.kiosk
	p.mu.Unlock()
	m := signal.Message{Type: signal.Answer, To: kiosk, SDP: sdp}
	if n%2 == 1 {
		m = signal.Message{Type: signal.Offer, To: kiosk, SDP: sdp, Restart: n%4 == 1}
	}
	_ = p.Say(m) // the room may have had enough
}

func candidate(p *Peer, n uint32) {
	if n >= 10_000 {
		return
	}
	p.mu.Lock()
	kiosk := p.kiosk
	p.mu.Unlock()
	mid := "0"
	_ = p.Say(signal.Message{Type: signal.Trickle, To: kiosk, Candidate: &signal.Candidate{ // as above
		Candidate: fmt.Sprintf("candidate:%d 1 udp 2130706431 127.%d.%d.2 %d typ host", n, n>>8&0x3f, n&0xff, 1024+n%60000), SDPMid: &mid,
	}})
}

func zeroLength(p *Peer, n uint32) {
	if n%2 == 0 {
		p.wire.inject(nil)
		return
	}
	p.track.write(rtp.Header{Version: 2, SSRC: p.track.ssrc, PayloadType: p.track.pt, SequenceNumber: uint16(n), Timestamp: n * 960}, nil)
}

// padding has packets whose padding is longer than they are, that are all padding, or
// whose extension has no end (RFC 3550, section 5.1; RFC 8285).
func padding(p *Peer, n uint32) {
	h := rtp.Header{Version: 2, SSRC: p.track.ssrc, PayloadType: p.track.pt, SequenceNumber: uint16(n), Timestamp: n * 960}
	b := make([]byte, 1+n%200)
	switch n % 3 {
	case 0:
		h.Padding, b[len(b)-1] = true, 255
	case 1:
		h.Padding, b[len(b)-1] = true, 0
	default:
		h.Extension, h.ExtensionProfile = true, 0xBEDE
	}
	p.track.write(h, b)
}

// replay sends what went out before, once more.
func replay(p *Peer, n uint32) {
	p.wire.mu.Lock()
	var b []byte
	if len(p.wire.sent) > 0 {
		b = p.wire.sent[int(n)%len(p.wire.sent)]
	}
	p.wire.mu.Unlock()
	p.wire.inject(b)
}
