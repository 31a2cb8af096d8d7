package paced

import (
	"testing"
	"time"

	"github.com/pion/rtcp"
)

// FuzzRTCP: whatever a far side says, the flow stays within its bounds.
func FuzzRTCP(f *testing.F) {
	for _, p := range []rtcp.Packet{
		&rtcp.TransportLayerNack{MediaSSRC: videoSSRC, Nacks: []rtcp.NackPair{{PacketID: 7, LostPackets: 0xffff}}},
		&rtcp.TransportLayerCC{
			PacketStatusCount: 2, PacketChunks: []rtcp.PacketStatusChunk{&rtcp.RunLengthChunk{PacketStatusSymbol: 1, RunLength: 2}},
			RecvDeltas: []*rtcp.RecvDelta{{Type: 1, Delta: 250}, {Type: 1, Delta: 500}},
		},
	} {
		b, err := p.Marshal()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		far, _, _ := newFar(t, 1_000_000)
		far.flow.number = 3
		for n := range uint16(3) {
			far.flow.est.Sent(n, 1000, time.Now())
		}
		far.flow.RTCP(b)
		if s := far.flow.Stats(); s.Available != 0 && (s.Available < leastRate || s.Available > 2_000_000) {
			t.Errorf("the estimate is %d", s.Available)
		}
		end(t, far.flow)
	})
}
