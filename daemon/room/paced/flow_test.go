package paced

import (
	"encoding/binary"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const (
	videoSSRC, rtxSSRC, audioSSRC = 1, 2, 3
	twccID                        = 5
)

// far is a far end behind a path of so many bit/s, that gives feedback every 100 ms.
type far struct {
	t    *testing.T
	flow *Flow

	mu     sync.Mutex
	began  time.Time
	bps    float64
	freeAt time.Time
	came   []came
	base   uint16
	count  uint8
	told   int
}

type came struct {
	h       rtp.Header
	payload []byte
	at      time.Time // when the path delivered it
	sent    time.Time
	twcc    uint16
}

func newFar(t *testing.T, bps float64) (f *far, video, audio interceptor.RTPWriter) {
	t.Helper()
	f = &far{t: t, bps: bps, began: time.Now(), flow: New(Config{Start: 800_000, Max: 2_000_000})}
	info := func(ssrc, rtx, rate uint32) *interceptor.StreamInfo {
		return &interceptor.StreamInfo{
			SSRC: ssrc, SSRCRetransmission: rtx, PayloadTypeRetransmission: 97, ClockRate: rate,
			RTPHeaderExtensions: []interceptor.RTPHeaderExtension{{URI: twccURI, ID: twccID}},
		}
	}
	return f, f.flow.BindLocalStream(info(videoSSRC, rtxSSRC, 90000), f), f.flow.BindLocalStream(info(audioSSRC, 0, 48000), f)
}

// Write is the path.
func (f *far) Write(h *rtp.Header, payload []byte, _ interceptor.Attributes) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	now := time.Now()
	if f.freeAt.Before(now) {
		f.freeAt = now
	}
	f.freeAt = f.freeAt.Add(time.Duration(float64(8*(len(payload)+h.MarshalSize()+perPacket)) / f.bps * float64(time.Second)))
	f.came = append(f.came, came{h.Clone(), append([]byte(nil), payload...), f.freeAt, now, binary.BigEndian.Uint16(h.GetExtension(twccID))})
	return len(payload), nil
}

// report tells of all that has arrived by now.
func (f *far) report() {
	f.mu.Lock()
	now := time.Now()
	m := &rtcp.TransportLayerCC{BaseSequenceNumber: f.base, FbPktCount: f.count, ReferenceTime: uint32(now.Add(-time.Second).Sub(f.began.Add(-time.Hour)) / referenceUnit)}
	last := time.Duration(m.ReferenceTime) * referenceUnit
	for f.told < len(f.came) && !f.came[f.told].at.After(now) && m.PacketStatusCount < 100 {
		at := f.came[f.told].at.Sub(f.began.Add(-time.Hour)).Truncate(250 * time.Microsecond)
		m.PacketChunks = append(m.PacketChunks, &rtcp.RunLengthChunk{PacketStatusSymbol: rtcp.TypeTCCPacketReceivedLargeDelta, RunLength: 1})
		m.RecvDeltas = append(m.RecvDeltas, &rtcp.RecvDelta{Type: rtcp.TypeTCCPacketReceivedLargeDelta, Delta: (at - last).Microseconds()})
		m.PacketStatusCount++
		last = at
		f.told++
	}
	f.base += m.PacketStatusCount
	f.count++
	f.mu.Unlock()
	if m.PacketStatusCount > 0 {
		f.flow.hear([]rtcp.Packet{m})
	}
}

// play sends pictures of the given bytes at 30 a second and sound at 50 for d.
func (f *far) play(d time.Duration, video, audio interceptor.RTPWriter, seq *uint16, size func() int) {
	for end, n := time.Now().Add(d), 0; time.Now().Before(end); n++ {
		if n%4 == 0 {
			_, _ = audio.Write(&rtp.Header{Version: 2, SSRC: audioSSRC, SequenceNumber: uint16(n)}, make([]byte, 80), nil)
		}
		if n%7 == 0 {
			for left := size(); left > 0; left -= 1160 {
				_, _ = video.Write(&rtp.Header{Version: 2, SSRC: videoSSRC, SequenceNumber: *seq}, make([]byte, min(left, 1160)), nil)
				*seq++
			}
		}
		if n%20 == 0 {
			f.report()
		}
		time.Sleep(5 * time.Millisecond)
	}
}

// TestSoundIsNotHeldUp: on a narrow path the pictures wait and the sound does not, and
// behind the pictures that are on the path it waits for little.
func TestSoundIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, video, audio := newFar(t, 400_000)
		var seq uint16
		size := func() int {
			bps, ok := f.flow.Video(30)
			f.flow.Want(1_500_000)
			if !ok {
				bps = 1_500_000
			}
			if f.flow.Waiting() > 200*time.Millisecond {
				return 0
			}
			return bps / 8 / 30
		}
		f.play(5*time.Second, video, audio, &seq, size)
		from := len(f.came)
		f.play(10*time.Second, video, audio, &seq, size)
		worst, bytes := time.Duration(0), 0
		for _, c := range f.came[from:] {
			bytes += len(c.payload) + c.h.MarshalSize() + perPacket
			if c.h.SSRC == audioSSRC {
				worst = max(worst, c.at.Sub(c.sent))
			}
		}
		t.Logf("the sound is on the path for %v at most, %d bit/s of 400000 are used", worst, 8*bytes/10)
		if worst > 250*time.Millisecond {
			t.Errorf("sound was on the path for %v", worst)
		}
		if used := 8 * bytes / 10; used < 280_000 || used > 420_000 {
			t.Errorf("%d bit/s of 400000 were used", used)
		}
		end(t, f.flow)
	})
}

func end(t *testing.T, f *Flow) {
	t.Helper()
	if err := f.Close(); err != nil {
		t.Error(err)
	}
}

// TestResend: what was lost comes as RTX, each time with a number of its own, but not
// before the one before can have arrived, and not what was never sent.
func TestResend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, video, _ := newFar(t, 10_000_000)
		for seq := range uint16(10) {
			_, _ = video.Write(&rtp.Header{Version: 2, SSRC: videoSSRC, PayloadType: 96, SequenceNumber: 100 + seq}, []byte{byte(seq)}, nil)
		}
		ask := func(n uint16) {
			f.flow.hear([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: videoSSRC, Nacks: rtcp.NackPairsFromSequenceNumbers([]uint16{n})}})
			synctest.Wait()
		}
		ask(103)
		ask(103)
		time.Sleep(50 * time.Millisecond)
		ask(103)
		ask(110)
		ask(50)
		var again []came
		for _, c := range f.came {
			if c.h.SSRC == rtxSSRC {
				again = append(again, c)
			}
		}
		if len(again) != 2 {
			t.Fatalf("%d packets were resent, want 2", len(again))
		}
		for _, c := range again {
			if c.h.PayloadType != 97 || len(c.payload) != 3 || binary.BigEndian.Uint16(c.payload) != 103 || c.payload[2] != 3 {
				t.Errorf("resent was %+v %x", c.h, c.payload)
			}
		}
		if again[0].h.SequenceNumber == again[1].h.SequenceNumber {
			t.Errorf("both have the number %d (RFC 3711, section 3.3.2)", again[0].h.SequenceNumber)
		}
		if s := f.flow.Stats(); s.NACKs != 5 || s.Resends != 2 {
			t.Errorf("counted %+v", s)
		}
		end(t, f.flow)
	})
}

// TestNackStorm: whatever is asked for, resends stay below half of what the path carries.
func TestNackStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, video, audio := newFar(t, 10_000_000)
		var seq uint16
		f.play(3*time.Second, video, audio, &seq, func() int { return 6000 })
		before := f.flow.Stats()
		for range 1000 {
			var all []rtcp.NackPair
			for i := range uint16(30) {
				all = append(all, rtcp.NackPair{PacketID: seq - 17*i, LostPackets: 0xffff})
			}
			f.flow.hear([]rtcp.Packet{&rtcp.TransportLayerNack{MediaSSRC: videoSSRC, Nacks: all}})
			time.Sleep(time.Millisecond)
		}
		after := f.flow.Stats()
		if bits := 8 * (after.ResentBytes - before.ResentBytes); bits == 0 || bits > uint64(f.flow.est.Rate()) {
			t.Errorf("%d bits were resent in a second, the path carries %d", bits, f.flow.est.Rate())
		}
		end(t, f.flow)
	})
}

// TestDrops: pictures that would wait too long are given up, and it is told once.
func TestDrops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, video, audio := newFar(t, 100_000)
		var seq uint16
		f.play(5*time.Second, video, audio, &seq, func() int { return 6000 }) // an encoder that does not listen
		if !f.flow.Dropped() || f.flow.Dropped() {
			t.Error("it is not told once that pictures were dropped")
		}
		f.flow.mu.Lock()
		waiting := len(f.flow.queue)
		f.flow.mu.Unlock()
		if waiting >= queueMost {
			t.Errorf("%d packets wait", waiting)
		}
		if f.flow.Stats().Dropped == 0 {
			t.Error("nothing is counted")
		}
		end(t, f.flow)
	})
}

// TestProbesNeedNothingNew: with little to send the path is probed with old packets, on
// the stream of resends, and each number goes out once.
func TestProbesNeedNothingNew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f, video, audio := newFar(t, 10_000_000)
		var seq uint16
		f.flow.Want(1_500_000)
		f.play(5*time.Second, video, audio, &seq, func() int { return 1500 })
		if f.flow.Stats().Padding == 0 {
			t.Error("nothing was probed with")
		}
		if r := f.flow.Stats().Available; r < 1_500_000 {
			t.Errorf("the estimate is %d", r)
		}
		seen := map[[2]uint32]bool{}
		for _, c := range f.came {
			k := [2]uint32{c.h.SSRC, uint32(c.h.SequenceNumber)}
			if c.h.SSRC != audioSSRC && seen[k] {
				t.Fatalf("the number %d of %d went out twice", k[1], k[0])
			}
			seen[k] = true
		}
		end(t, f.flow)
	})
}
