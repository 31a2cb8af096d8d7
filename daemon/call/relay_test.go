package call

import (
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"
)

// packet is a packet as a far side would send it, with extensions of its own.
func packet(seq uint16, ts uint32) *rtp.Packet {
	return &rtp.Packet{
		Header: rtp.Header{
			Version: 2, SequenceNumber: seq, Timestamp: ts, Extension: true, ExtensionProfile: 0xbede,
			Extensions: []rtp.Extension{{}}, CSRC: []uint32{7},
		},
		Payload: []byte{1, 2, 3},
	}
}

func TestRelayContinuesAcrossSources(t *testing.T) {
	r := newRelay(webrtc.RTPCodecTypeVideo, "p")
	start := time.Now()
	r.attach("first", nil)
	for i := range 3 {
		p := packet(65534+uint16(i), 1000+uint32(i)*3000) // wraps
		if !r.forward("first", "video/vp8", p, start.Add(time.Duration(i)*33*time.Millisecond)) {
			t.Fatal("the present source's packet did not pass")
		}
		if want := 65534 + uint16(i); p.SequenceNumber != want {
			t.Errorf("packet %d left as %d, the first source is not shifted", want, p.SequenceNumber)
		}
		if p.Extension || p.Extensions != nil || p.CSRC != nil {
			t.Error("the far side's extensions went on to the page")
		}
	}
	last := start.Add(66 * time.Millisecond)

	r.attach("second", nil)
	if r.forward("first", "video/vp8", packet(1, 10000), last) {
		t.Error("a packet of the old source passed")
	}
	p := packet(500, 77)
	r.forward("second", "video/vp8", p, last.Add(2*time.Second))
	if p.SequenceNumber != 1 {
		t.Errorf("the new source's first packet is number %d, not the one after 0", p.SequenceNumber)
	}
	if want := uint32(7000 + 2*90000); p.Timestamp != want {
		t.Errorf("timestamp %d after a gap of 2 s, want %d", p.Timestamp, want)
	}
	q := packet(502, 77+3000) // one lost
	r.forward("second", "video/vp8", q, last.Add(2*time.Second+33*time.Millisecond))
	if q.SequenceNumber != 3 || q.Timestamp != p.Timestamp+3000 {
		t.Errorf("then %d at %d: a loss must stay one", q.SequenceNumber, q.Timestamp)
	}
}

func TestRelayReorderedPacketDoesNotMoveTheEnd(t *testing.T) {
	r := newRelay(webrtc.RTPCodecTypeAudio, "p")
	now := time.Now()
	r.attach("a", nil)
	for _, seq := range []uint16{10, 12, 11} {
		r.forward("a", "video/vp8", packet(seq, uint32(seq)*960), now)
	}
	r.attach("b", nil)
	p := packet(900, 5)
	r.forward("b", "video/vp8", p, now)
	if p.SequenceNumber != 13 {
		t.Errorf("the new source starts at %d, want 13", p.SequenceNumber)
	}
	if packets, bytes := r.counts(); packets != 4 || bytes != 12 {
		t.Errorf("counted %d packets, %d bytes", packets, bytes)
	}
}

// A number goes to the page once: SRTP would be given the same index twice.
func TestRelayNeverRepeatsANumber(t *testing.T) {
	r := newRelay(webrtc.RTPCodecTypeVideo, "p")
	now := time.Now()
	r.attach("a", nil)
	passed := func(source any, seq uint16) bool { return r.forward(source, "video/vp8", packet(seq, 1), now) }
	for _, c := range []struct {
		seq  uint16
		want bool
		why  string
	}{
		{100, true, "the first"},
		{100, false, "a repetition of the first"},
		{99, false, "before the first"},
		{103, true, "ahead"},
		{101, true, "late"},
		{101, false, "late, again"},
		{103, false, "the newest, again"},
		{103 + 2000, true, "a great jump"},
		{102, false, "older than the window"},
		{103 + 2000 - 1023, true, "the oldest in the window"},
		{103 + 2000 - 1023, false, "the oldest in the window, again"},
	} {
		if passed("a", c.seq) != c.want {
			t.Errorf("%s (%d): passed is %v", c.why, c.seq, !c.want)
		}
	}
	r.attach("b", nil)
	if !passed("b", 5000) || passed("b", 4999) || passed("b", 5000) || !passed("b", 5001) {
		t.Error("a new source's packets reach back over its start, or repeat")
	}
}

func TestRelayAsksTheRightOneForAKeyframe(t *testing.T) {
	r := newRelay(webrtc.RTPCodecTypeVideo, "p")
	r.requestKeyframe() // nobody is there: nothing to do, nothing to crash on
	asked := ""
	r.attach("a", func() { asked += "a" })
	r.requestKeyframe()
	r.attach("b", func() { asked += "b" })
	r.requestKeyframe()
	if asked != "ab" {
		t.Errorf("asked %q, want ab", asked)
	}
}

func TestPacketizerStamps(t *testing.T) {
	start := time.Now()
	p := packetizer{ts: 4294967000, rate: 90000}
	for _, c := range []struct {
		after time.Duration
		want  uint32 // beyond the first
	}{
		{0, 0},
		{33333 * time.Microsecond, 2999},
		{33333 * time.Microsecond, 3000}, // the same instant again: later all the same
		{20 * time.Millisecond, 3001},    // a clock that stepped back too
		{time.Second, 90000},
		{6 * time.Hour, 90000 * 3600 * 6},
		{12 * time.Hour, 90000 * 3600 * 12},
		{18 * time.Hour, (90000 * 3600 * 18) & 0xffffffff}, // wraps, as RTP timestamps do
	} {
		if got := p.stamp(start.Add(c.after)) - 4294967000; got != c.want {
			t.Errorf("after %v: %d, want %d", c.after, got, c.want)
		}
	}
	if a, b := p.packet(nil, 1, false), p.packet(nil, 1, true); b.SequenceNumber != a.SequenceNumber+1 || !b.Marker {
		t.Errorf("packets %+v and %+v", a.Header, b.Header)
	}
}
