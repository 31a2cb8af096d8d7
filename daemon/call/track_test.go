package call

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room/peer"
)

// connected stands for a connection that negotiated these codecs (MIME types in its
// order), with resending or without.
type connected struct {
	id         string
	codecs     []string
	resends    bool
	capture    int
	mu         sync.Mutex
	got        []rtp.Header
	bodies     [][]byte
	unreadable error
}

func (c *connected) CodecParameters() []webrtc.RTPCodecParameters {
	var out []webrtc.RTPCodecParameters
	for i, m := range c.codecs {
		p := webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(100 + 2*i)}
		p.MimeType = m
		if m == webrtc.MimeTypeH264 {
			p.SDPFmtpLine = peer.H264Codec().SDPFmtpLine
		}
		out = append(out, p)
		if c.resends {
			r := webrtc.RTPCodecParameters{PayloadType: webrtc.PayloadType(101 + 2*i)}
			r.MimeType = webrtc.MimeTypeRTX
			out = append(out, r)
		}
	}
	return out
}

func (c *connected) HeaderExtensions() []webrtc.RTPHeaderExtensionParameter {
	if c.capture == 0 {
		return nil
	}
	return []webrtc.RTPHeaderExtensionParameter{{URI: peer.CaptureTime, ID: c.capture}}
}
func (c *connected) SSRC() webrtc.SSRC                       { return 7 }
func (c *connected) SSRCRetransmission() webrtc.SSRC         { return 8 }
func (c *connected) SSRCForwardErrorCorrection() webrtc.SSRC { return 0 }
func (c *connected) WriteStream() webrtc.TrackLocalWriter    { return c }
func (c *connected) ID() string                              { return c.id }
func (c *connected) RTCPReader() interceptor.RTCPReader      { return nil }
func (c *connected) Write([]byte) (int, error)               { return 0, nil }
func (c *connected) WriteRTP(h *rtp.Header, payload []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.got, c.bodies = append(c.got, *h), append(c.bodies, slices.Clone(payload))
	return 0, c.unreadable
}

const (
	vp8  = "video/vp8"
	h264 = "video/h264"
)

func TestTrackFindsTheFewestCodecs(t *testing.T) {
	both, only8, only264 := []string{webrtc.MimeTypeH264, webrtc.MimeTypeVP8}, []string{webrtc.MimeTypeVP8}, []string{webrtc.MimeTypeH264}
	for _, c := range []struct {
		name  string
		bound []*connected
		want  []string
	}{
		{"nobody", nil, nil},
		{"a page", []*connected{{id: "page", codecs: both}}, []string{h264}},
		{"a page and a room that has both", []*connected{{id: "page", codecs: both}, {id: "room", codecs: both, resends: true}}, []string{h264}},
		{"the page follows a room without H.264", []*connected{{id: "page", codecs: both}, {id: "room", codecs: only8, resends: true}}, []string{vp8}},
		{"two rooms that have nothing in common", []*connected{
			{id: "a", codecs: only8, resends: true}, {id: "b", codecs: only264, resends: true}, {id: "page", codecs: both},
		}, []string{vp8, h264}},
		{"a room keeps what it put first", []*connected{{id: "a", codecs: []string{webrtc.MimeTypeVP8, webrtc.MimeTypeH264}, resends: true}}, []string{vp8}},
		{"a page with one codec", []*connected{{id: "page", codecs: only8}, {id: "room", codecs: both, resends: true}}, []string{h264, vp8}},
	} {
		tr := newTrack(webrtc.RTPCodecTypeVideo, "video", "kiosk")
		joined := 0
		tr.joined = func() { joined++ }
		for _, b := range c.bound {
			if _, err := tr.Bind(b); err != nil {
				t.Fatal(err)
			}
		}
		work := tr.wanted([]string{h264, vp8}, nil)
		if !slices.Equal(work, c.want) || joined != len(c.bound) {
			t.Errorf("%s: %v, want %v; %d joined", c.name, work, c.want, joined)
		}
		// Each gets every picture once, in a codec that it knows.
		for range 3 {
			for _, m := range work {
				tr.send(inPacket{mime: m, work: work}, &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: 9}})
			}
		}
		for _, b := range c.bound {
			if len(b.got) != 3 {
				t.Errorf("%s: %s got %d packets", c.name, b.id, len(b.got))
			}
			for i, h := range b.got {
				if h.SSRC != 7 || int(h.PayloadType) < 100 || int(h.PayloadType) >= 100+2*len(b.codecs) || h.SequenceNumber != b.got[0].SequenceNumber+uint16(i) {
					t.Errorf("%s: %s got %+v", c.name, b.id, h)
				}
			}
			if err := tr.Unbind(b); err != nil {
				t.Error(err)
			}
		}
		if len(tr.wanted([]string{h264, vp8}, nil)) != 0 {
			t.Errorf("%s: somebody is left", c.name)
		}
	}
}

// A page that changes its codec goes on with its numbers: it is one stream.
func TestTrackChangesTheCodecOfAPage(t *testing.T) {
	tr := newTrack(webrtc.RTPCodecTypeVideo, "video", "kiosk")
	page := &connected{id: "page", codecs: []string{webrtc.MimeTypeH264, webrtc.MimeTypeVP8}}
	room := &connected{id: "room", codecs: []string{webrtc.MimeTypeVP8}, resends: true}
	show := func(n int) {
		work := tr.wanted([]string{h264, vp8}, nil)
		for range n {
			for _, m := range work {
				tr.send(inPacket{mime: m, work: work}, &rtp.Packet{Header: rtp.Header{Version: 2}})
			}
		}
	}
	if _, err := tr.Bind(page); err != nil {
		t.Fatal(err)
	}
	show(2)
	if _, err := tr.Bind(room); err != nil {
		t.Fatal(err)
	}
	show(2)
	var types []uint8
	for i, h := range page.got {
		types = append(types, h.PayloadType)
		if h.SequenceNumber != page.got[0].SequenceNumber+uint16(i) {
			t.Errorf("packet %d has number %d", i, h.SequenceNumber)
		}
	}
	if !slices.Equal(types, []uint8{100, 100, 102, 102}) {
		t.Errorf("payload types %v", types)
	}
}

func TestTrackRefusesAndBoundIsBound(t *testing.T) {
	tr := newTrack(webrtc.RTPCodecTypeVideo, "video", "kiosk")
	if _, err := tr.Bind(&connected{id: "x", codecs: []string{webrtc.MimeTypeAV1}}); err == nil {
		t.Error("AV1 was bound")
	}
	if err := tr.Unbind(&connected{id: "nobody"}); err == nil {
		t.Error("nobody was unbound")
	}
	closing := &connected{id: "a", codecs: []string{webrtc.MimeTypeVP8}, unreadable: webrtc.ErrConnectionClosed}
	well := &connected{id: "b", codecs: []string{webrtc.MimeTypeVP8}, capture: 3}
	for _, c := range []*connected{closing, well} {
		if _, err := tr.Bind(c); err != nil {
			t.Fatal(err)
		}
	}
	at := time.Unix(1_700_000_000, 500_000_000)
	tr.send(inPacket{mime: vp8, work: []string{vp8}, captured: at}, &rtp.Packet{Header: rtp.Header{Version: 2}})
	if len(well.got) != 1 {
		t.Fatal("a closing connection kept a packet from another")
	}
	// abs-capture-time: 1 700 000 000 s + 2 208 988 800 s since 1900, and a half.
	want := []byte{0xe8, 0xfe, 0x6f, 0x80, 0x80, 0, 0, 0}
	if got := well.got[0].GetExtension(3); !slices.Equal(got, want) {
		t.Errorf("abs-capture-time is % x, want % x", got, want)
	}
	tr.relay(vp8, &rtp.Packet{Header: rtp.Header{Version: 2, SequenceNumber: 77}})
	tr.relay(h264, &rtp.Packet{})
	if n := len(well.got); n != 2 || well.got[1].SequenceNumber != 77 || well.got[1].GetExtension(3) != nil {
		t.Errorf("%d packets, %+v", n, well.got)
	}
}

func TestReception(t *testing.T) {
	var r reception
	now := time.Now()
	if r.lost() != 0 {
		t.Error("lost before the first")
	}
	for i := range 100 {
		if i%10 == 5 {
			continue // lost
		}
		at := now.Add(time.Duration(i) * 33 * time.Millisecond)
		if i%2 == 1 {
			at = at.Add(10 * time.Millisecond)
		}
		r.note(&rtp.Packet{Header: rtp.Header{SequenceNumber: 65500 + uint16(i), Timestamp: uint32(i) * 2970, Marker: true}}, 90000, at)
	}
	if r.lost() != 10 || r.got != 90 || r.frames != 90 {
		t.Errorf("%d lost, %d got, %d frames", r.lost(), r.got, r.frames)
	}
	if ms := r.jitter / 90; ms < 5 || ms > 11 {
		t.Errorf("jitter of %.1f ms where half of the packets are 10 ms late", ms)
	}
}

// In a long call the timestamps wrap, which is no jitter.
func TestReceptionOfManyHours(t *testing.T) {
	var r reception
	now, worst := time.Now(), 0.0
	for i := range 14 * 3600 {
		at := now.Add(time.Duration(i) * time.Second)
		r.note(&rtp.Packet{Header: rtp.Header{SequenceNumber: uint16(i), Timestamp: 7 + uint32(i)*90000}}, 90000, at)
		worst = max(worst, r.jitter)
	}
	if worst > 1 {
		t.Errorf("jitter of %.1f s where every packet is in time", worst/90000)
	}
}

// The page goes without what nothing refers to, and its numbers have no gap there: a
// gap would be a loss that it asks to be mended.
func TestThePageGoesWithoutSparePictures(t *testing.T) {
	tr := newTrack(webrtc.RTPCodecTypeVideo, "video", "kiosk")
	page, far := &connected{id: "page", codecs: []string{webrtc.MimeTypeH264}}, &connected{id: "room", codecs: []string{webrtc.MimeTypeH264}, resends: true}
	for _, bind := range []error{second(pageTrack{tr}.Bind(page)), second(tr.Bind(far))} {
		if bind != nil {
			t.Fatal(bind)
		}
	}
	for n := range 10 {
		p := &rtp.Packet{Header: rtp.Header{Version: 2, Timestamp: uint32(n)}}
		tr.send(inPacket{mime: h264, work: []string{h264}, spare: n%2 == 1}, p)
	}
	if len(far.got) != 10 || len(page.got) != 5 {
		t.Fatalf("the room got %d, the page %d, want 10 and 5", len(far.got), len(page.got))
	}
	for i, h := range page.got {
		if h.Timestamp != uint32(2*i) || h.SequenceNumber != page.got[0].SequenceNumber+uint16(i) {
			t.Errorf("packet %d of the page: %+v", i, h)
		}
	}
	if err := (pageTrack{tr}).Unbind(page); err != nil {
		t.Error(err)
	}
}

func second[T any](_ T, err error) error { return err }
