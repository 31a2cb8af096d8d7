package paced

import (
	"encoding/binary"
	"testing"
	"testing/synctest"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
)

// frame is a picture as an encoder gives it.
func frame(size int, head ...byte) []byte { return append(head, make([]byte, size)...) }

func annexB(units ...[]byte) (out []byte) {
	for _, u := range units {
		out = append(append(out, 0, 0, 0, 1), u...)
	}
	return out
}

// The first packet of a keyframe is known, and no other, in what the payloaders make of
// pictures.
func TestKeyframeBegins(t *testing.T) {
	sps, pps := []byte{0x67, 0x42, 0xe0, 0x1f, 1, 2}, []byte{0x68, 1, 2}
	for _, c := range []struct {
		name, mime string
		p          rtp.Payloader
		picture    []byte
		key        bool
	}{
		{"VP8 key", "video/VP8", &codecs.VP8Payloader{}, frame(3000, 0x10), true},
		{"VP8 key, numbered", "video/VP8", &codecs.VP8Payloader{EnablePictureID: true}, frame(3000, 0x10), true},
		{"VP8", "video/VP8", &codecs.VP8Payloader{EnablePictureID: true}, frame(3000, 0x11), false},
		{"H.264 IDR in pieces", "video/H264", &codecs.H264Payloader{}, annexB(sps, pps, frame(3000, 0x65)), true},
		{"H.264 IDR in one", "video/H264", &codecs.H264Payloader{}, annexB(frame(300, 0x65)), true},
		{"H.264 in pieces", "video/H264", &codecs.H264Payloader{}, annexB(frame(3000, 0x61)), false},
		{"H.264", "video/h264", &codecs.H264Payloader{}, annexB(frame(300, 0x41)), false},
		{"another codec", "video/AV1", &codecs.VP8Payloader{}, frame(3000, 0x10), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			var k keyframe
			h := rtp.Header{SequenceNumber: 65534, Timestamp: 1}
			for i, b := range c.p.Payload(1200, c.picture) {
				if got := k.note(c.mime, &h, b); got != (c.key && i == 0) {
					t.Errorf("packet %d, % x: %v", i, b[:min(len(b), 5)], got)
				}
				h.SequenceNumber++
			}
			if k.covers(65533) != c.key || k.covers(65534) || k.covers(3) {
				t.Errorf("covers 65533 %v, 65534 %v, 3 %v", k.covers(65533), k.covers(65534), k.covers(3))
			}
		})
	}
}

// What was lost before a keyframe is not sent again: a narrow path has better use.
func TestNothingOfBeforeAKeyframe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, _, _ := newFar(t, 10_000_000)
		video := f.flow.BindLocalStream(&interceptor.StreamInfo{
			SSRC: videoSSRC, SSRCRetransmission: rtxSSRC, PayloadTypeRetransmission: 97, ClockRate: 90000, MimeType: "video/VP8",
			RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: twccURI, ID: twccID}},
		}, f)
		for seq := range uint16(6) {
			h := &rtp.Header{Version: 2, SSRC: videoSSRC, PayloadType: 96, SequenceNumber: 100 + seq, Timestamp: uint32(seq)}
			_, _ = video.Write(h, []byte{0x10, 1, byte(seq)}, nil)
		}
		ask := func(numbers ...uint16) (resent []uint16) {
			before := len(f.came)
			f.flow.hear([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: videoSSRC, Nacks: rtcp.NackPairsFromSequenceNumbers(numbers)}})
			synctest.Wait()
			for _, c := range f.came[before:] {
				resent = append(resent, binary.BigEndian.Uint16(c.payload))
			}
			return resent
		}
		if got := ask(101); len(got) != 1 || got[0] != 101 {
			t.Errorf("without a keyframe %v were resent", got)
		}
		_, _ = video.Write(&rtp.Header{Version: 2, SSRC: videoSSRC, PayloadType: 96, SequenceNumber: 106, Timestamp: 6}, []byte{0x10, 0, 6}, nil)
		if got := ask(103, 104, 106); len(got) != 1 || got[0] != 106 {
			t.Errorf("after a keyframe at 106 %v were resent", got)
		}
		end(t, f.flow)
	})
}

// FuzzBegins: no payload is too short or too odd.
func FuzzBegins(f *testing.F) {
	f.Add([]byte{0x90, 0x80, 0x81, 0x22, 0x10})
	f.Add([]byte{0x78, 0, 6, 0x67, 1})
	f.Fuzz(func(_ *testing.T, b []byte) {
		begins("video/VP8", b)
		begins("video/H264", b)
	})
}
