package call_test

import (
	"sync"
	"testing"
	"time"

	"github.com/hraban/opus"
	"github.com/pion/rtp"
	"github.com/pion/rtp/codecs"
	"github.com/pion/webrtc/v4"

	"kioskd/capture/encode"
	"kioskd/cmd/fakecam/blocks"
)

// eye decodes what arrives: pictures, their codes, and the loudness of sound.
type eye struct {
	t  *testing.T
	mu sync.Mutex

	depay   codecs.VP8Packet
	frame   []byte
	decoder *encode.VP8Decoder
	opus    *opus.Decoder

	counters []uint32
	uncoded  int
	peaks    []int16
	changed  chan struct{}
}

func newEye(t *testing.T) *eye {
	t.Helper()
	d, err := encode.NewVP8Decoder()
	if err != nil {
		t.Fatal(err)
	}
	o, err := opus.NewDecoder(48000, 1)
	if err != nil {
		t.Fatal(err)
	}
	e := &eye{t: t, decoder: d, opus: o, changed: make(chan struct{}, 1)}
	t.Cleanup(func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if err := d.Close(); err != nil {
			t.Error(err)
		}
		e.decoder = nil
	})
	return e
}

func (e *eye) packet(kind webrtc.RTPCodecType, p *rtp.Packet) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if kind == webrtc.RTPCodecTypeAudio {
		e.sound(p)
	} else {
		e.picture(p)
	}
	select {
	case e.changed <- struct{}{}:
	default:
	}
}

func (e *eye) sound(p *rtp.Packet) {
	pcm := make([]int16, 5760)
	n, err := e.opus.Decode(p.Payload, pcm)
	if err != nil {
		return // padding
	}
	var peak int16
	for _, v := range pcm[:n] {
		peak = max(peak, v, -v)
	}
	e.peaks = append(e.peaks, peak)
}

func (e *eye) picture(p *rtp.Packet) {
	b, err := e.depay.Unmarshal(p.Payload)
	if err != nil {
		return
	}
	if e.depay.S == 1 && e.depay.PID == 0 {
		e.frame = e.frame[:0]
	}
	e.frame = append(e.frame, b...)
	if !p.Marker || e.decoder == nil {
		return
	}
	img, err := e.decoder.Decode(e.frame)
	if err != nil || img == nil {
		return // before the first keyframe
	}
	code, err := blocks.Read(img.Y, img.YStride, img.Rect.Dx(), img.Rect.Dy())
	if err != nil {
		e.uncoded++
		return
	}
	e.counters = append(e.counters, code.Counter)
}

// until waits for a condition on what has been seen.
func (e *eye) until(what string, ok func() bool) {
	e.t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		e.mu.Lock()
		done := ok()
		e.mu.Unlock()
		if done {
			return
		}
		select {
		case <-e.changed:
		case <-deadline:
			e.mu.Lock()
			defer e.mu.Unlock()
			e.t.Fatalf("never saw %s: %d coded frames, %d others, %d packets of sound", what, len(e.counters), e.uncoded, len(e.peaks))
		}
	}
}

func (e *eye) forget() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.counters, e.uncoded, e.peaks = nil, 0, nil
}

// loud and silent judge the last ten packets, 200 ms.
func (e *eye) loud() bool { return e.lastPeaks(func(p int16) bool { return p > 4000 }) }

func (e *eye) silent() bool { return e.lastPeaks(func(p int16) bool { return p <= 2 }) }

func (e *eye) lastPeaks(ok func(int16) bool) bool {
	if len(e.peaks) < 10 {
		return false
	}
	for _, p := range e.peaks[len(e.peaks)-10:] {
		if !ok(p) {
			return false
		}
	}
	return true
}
