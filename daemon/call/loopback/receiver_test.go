package loopback

import (
	"testing"
	"time"

	"github.com/pion/rtp"
)

// Packets that are missing are counted once, over the end of their numbers, and a
// picture with a gap is none.
func TestGaps(t *testing.T) {
	var r Receiver
	take := r.picture(0)
	now := time.Now()
	for _, p := range []struct {
		number uint16
		marker bool
	}{
		{65533, false}, {65534, true}, // whole
		{65535, false}, {1, true}, // 0 is missing
		{2, true}, {3, true}, // whole
		{10, false}, {11, true}, // 4 to 9 are missing: who knows whose
		{11, true}, // again: nothing is missing
	} {
		take(&rtp.Packet{Header: rtp.Header{SequenceNumber: p.number, Marker: p.marker}, Payload: []byte{1}}, now)
	}
	f := r.Figures()
	if f.Frames != 4 || f.Lost != 7 || f.Packets != 9 {
		t.Errorf("%d whole pictures, %d packets, %d lost", f.Frames, f.Packets, f.Lost)
	}
}

// What is no sound counts as none, and the instant of capture is only taken whole.
func TestStrangePackets(t *testing.T) {
	var r Receiver
	r.sound()(&rtp.Packet{Payload: []byte{0xff, 0xff, 0xff}}, time.Now())
	if f := r.Figures(); f.Sound != 0 || f.Packets != 1 || f.RMS != 0 {
		t.Errorf("noise: %+v", f)
	}
	p := &rtp.Packet{}
	if err := p.SetExtension(3, []byte{1, 2, 3}); err != nil {
		t.Fatal(err)
	}
	for _, id := range []uint8{0, 3, 4} {
		if at, ok := captured(p, id); ok {
			t.Errorf("extension %d is %v", id, at)
		}
	}
	if err := p.SetExtension(4, []byte{0x83, 0xaa, 0x7e, 0x80, 0x80, 0, 0, 0}); err != nil {
		t.Fatal(err)
	}
	if at, ok := captured(p, 4); !ok || !at.Equal(time.Unix(0, int64(time.Second/2))) {
		t.Errorf("half a second past 1970 is %v", at)
	}
}
