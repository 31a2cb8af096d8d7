package missing

import (
	"encoding/binary"
	"io"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/pion/interceptor"
	"github.com/pion/rtcp"
	"github.com/pion/rtp"
)

const (
	videoSSRC, resendSSRC, soundSSRC = 1, 2, 3
	rtt                              = 40 * time.Millisecond
)

// far is the far side of a connection: what it sends is read through the Asker, what
// it is asked for is written down.
type far struct {
	t       *testing.T
	asker   *Asker
	readers map[uint32]interceptor.RTPReader
	next    []byte // of the next read
	resent  uint16 // the last number of the resends

	mu        sync.Mutex
	asked     []uint16
	keyframes int
}

func newFar(t *testing.T) *far {
	t.Helper()
	f := &far{t: t, asker: New(func() time.Duration { return rtt }), readers: map[uint32]interceptor.RTPReader{}}
	f.asker.BindRTCPWriter(interceptor.RTCPWriterFunc(f.told))
	read := interceptor.RTPReaderFunc(func(b []byte, a interceptor.Attributes) (int, interceptor.Attributes, error) {
		if f.next == nil {
			return 0, nil, io.EOF
		}
		return copy(b, f.next), a, nil
	})
	for _, s := range []interceptor.StreamInfo{
		{SSRC: soundSSRC, MimeType: "audio/opus"},
		{SSRC: videoSSRC, MimeType: "video/VP8", RTCPFeedback: []interceptor.RTCPFeedback{{Type: "nack"}, {Type: "nack", Parameter: "pli"}}},
		{SSRC: resendSSRC, MimeType: "video/rtx"},
	} {
		f.readers[s.SSRC] = f.asker.BindRemoteStream(&s, read)
	}
	return f
}

func (f *far) told(packets []rtcp.Packet, _ interceptor.Attributes) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, p := range packets {
		switch p := p.(type) {
		case *rtcp.TransportLayerNack:
			if p.MediaSSRC != videoSSRC {
				f.t.Errorf("asked for packets of %d", p.MediaSSRC)
			}
			for _, pair := range p.Nacks {
				f.asked = append(f.asked, pair.PacketList()...)
			}
		case *rtcp.PictureLossIndication:
			f.keyframes++
		}
	}
	return 0, nil
}

// wants gives what it was asked for since it was asked last.
func (f *far) wants() (asked []uint16, keyframes int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	asked, keyframes = f.asked, f.keyframes
	f.asked, f.keyframes = nil, 0
	return asked, keyframes
}

func (f *far) packet(ssrc uint32, seq uint16, padding byte, payload ...byte) {
	f.t.Helper()
	p := rtp.Packet{Header: rtp.Header{Version: 2, SSRC: ssrc, SequenceNumber: seq, PayloadType: 96, Padding: padding > 0}, Payload: payload, PaddingSize: padding}
	b, err := p.Marshal()
	if err != nil {
		f.t.Fatal(err)
	}
	f.next = b
	got := make([]byte, 1500)
	if n, _, err := f.readers[ssrc].Read(got, nil); err != nil || !slices.Equal(got[:n], b) {
		f.t.Fatalf("read %d bytes of %d: %v", n, len(b), err)
	}
}

func (f *far) sends(seq uint16) { f.packet(videoSSRC, seq, 0, 1, 2, 3) }

func (f *far) resends(seq uint16) {
	f.resent++
	f.packet(resendSSRC, f.resent, 0, append(binary.BigEndian.AppendUint16(nil, seq), 1, 2, 3)...)
}

func (f *far) ends() {
	if err := f.asker.Close(); err != nil {
		f.t.Error(err)
	}
}

// after lets time pass, in the bubble.
func after(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

func TestAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(t)
		f.sends(10)
		f.sends(13)
		f.packet(soundSSRC, 5, 0, 1)
		f.packet(soundSSRC, 9, 0, 1) // sound has no resends
		after(reorder / 2)
		if asked, _ := f.wants(); asked != nil {
			t.Errorf("asked for %v while they may be on their way", asked)
		}
		after(reorder)
		if asked, _ := f.wants(); !slices.Equal(asked, []uint16{11, 12}) {
			t.Errorf("asked for %v", asked)
		}
		f.resends(12)
		after(rtt + rtt/4 + reorder/2)
		if asked, _ := f.wants(); !slices.Equal(asked, []uint16{11}) {
			t.Errorf("asked for %v after one had come", asked)
		}
		f.packet(resendSSRC, 50, 200)      // a probe
		f.packet(resendSSRC, 51, 0, 0)     // too short for a number
		f.packet(resendSSRC, 52, 3, 0, 11) // a resend with padding
		after(rtt * 3)
		if asked, keyframes := f.wants(); asked != nil || keyframes != 0 {
			t.Errorf("all is there, and %v are asked for, %d keyframes", asked, keyframes)
		}
		f.next = nil
		if _, _, err := f.readers[videoSSRC].Read(make([]byte, 10), nil); err == nil {
			t.Error("the end of a stream is none")
		}
		f.ends()
		f.ends() // a second time is fine
	})
}

// What nobody sends again is given up, and a keyframe is asked for, once.
func TestGivesUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(t)
		f.sends(10)
		f.sends(12)
		after(3 * time.Second)
		asked, keyframes := f.wants()
		if len(asked) < 5 || len(asked) > asksMost || keyframes != 1 {
			t.Errorf("asked %d times, for %d keyframes", len(asked), keyframes)
		}
		f.asker.UnbindRemoteStream(&interceptor.StreamInfo{SSRC: videoSSRC})
		f.sends(13)
		f.sends(20)
		after(time.Second)
		if asked, _ := f.wants(); asked != nil {
			t.Errorf("asked for %v of a stream that is over", asked)
		}
		f.ends()
	})
}

// TestStorm: a second of a stream is lost, with pictures before and after. A far side
// that sends again all that it is asked for sends little, and never the same for long.
func TestStorm(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := newFar(t)
		seq := uint16(1)
		for range 30 {
			f.sends(seq)
			seq++
			after(10 * time.Millisecond)
		}
		seq += 100
		after(time.Second)
		for range 200 {
			f.sends(seq)
			seq++
			after(10 * time.Millisecond)
			asked, _ := f.wants()
			for _, s := range asked {
				f.resends(s)
			}
		}
		if f.resent > 0 {
			t.Errorf("%d packets were sent again after a second of silence", f.resent)
		}
		seq += 100 // lost while the path lives
		for range 200 {
			f.sends(seq)
			seq++
			after(10 * time.Millisecond)
			asked, _ := f.wants()
			for _, s := range asked {
				f.resends(s)
			}
		}
		if f.resent != 100 {
			t.Errorf("%d packets were sent again for 100 that were lost", f.resent)
		}
		f.ends()
	})
}
