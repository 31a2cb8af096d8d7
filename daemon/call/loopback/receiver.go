package loopback

import (
	"encoding/binary"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/capture/encode"
)

// maxLatencies bounds what is remembered of single pictures: a minute's at 60 a second.
const maxLatencies = 3600

// Figures are what a Receiver has got.
type Figures struct {
	// Frames are the pictures that came whole, Bytes their payload; First and Last
	// are when the first and the last of them was whole.
	Frames, Bytes int
	First, Last   time.Time
	// Packets of picture and sound that came, and that are missing by their numbers.
	Packets, Lost int
	// Sound counts packets of sound; RMS and Peak are their level, 0 to 1.
	Sound     int
	RMS, Peak float64
	// Latencies are from capture to the first packet of each picture, ascending.
	Latencies []time.Duration
	// Video is the picture's MIME type.
	Video string
}

// Receiver counts what arrives. The zero value is ready.
type Receiver struct {
	mu      sync.Mutex
	f       Figures
	squares float64
	samples int
}

// Figures gives what came so far.
func (r *Receiver) Figures() Figures {
	r.mu.Lock()
	defer r.mu.Unlock()
	out := r.f
	out.Latencies = slices.Clone(r.f.Latencies)
	slices.Sort(out.Latencies)
	if r.samples > 0 {
		out.RMS = math.Sqrt(r.squares / float64(r.samples))
	}
	return out
}

// receive reads one track to its end.
func (r *Receiver) receive(t *webrtc.TrackRemote, capture uint8) {
	take := r.picture(capture)
	if t.Kind() == webrtc.RTPCodecTypeAudio {
		take = r.sound()
	} else {
		r.mu.Lock()
		r.f.Video = t.Codec().MimeType
		r.mu.Unlock()
	}
	for {
		p, _, err := t.ReadRTP()
		if err != nil {
			return // the connection was closed
		}
		take(p, time.Now())
	}
}

// gaps counts numbers that are missing. Loopback keeps the order, so one that comes
// late counts as lost and found nowhere.
type gaps struct {
	begun bool
	next  uint16
}

// after gives how many numbers lie between the packet before and this one.
func (g *gaps) after(number uint16) int {
	missing := 0
	if step := number - g.next; g.begun && step < 1<<15 {
		missing = int(step)
	}
	g.begun, g.next = true, number+1
	return missing
}

// picture gives the function that takes a video track's packets: pictures are packets
// of one timestamp, and the last of them has the marker.
func (r *Receiver) picture(capture uint8) func(*rtp.Packet, time.Time) {
	var g gaps
	bytes, whole := 0, true
	return func(p *rtp.Packet, now time.Time) {
		missing := g.after(p.SequenceNumber)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.f.Packets++
		r.f.Lost += missing
		whole = whole && missing == 0
		bytes += len(p.Payload)
		if at, ok := captured(p, capture); ok && len(r.f.Latencies) < maxLatencies {
			r.f.Latencies = append(r.f.Latencies, now.Sub(at))
		}
		if !p.Marker {
			return
		}
		if whole {
			if r.f.Frames == 0 {
				r.f.First = now
			}
			r.f.Frames++
			r.f.Bytes += bytes
			r.f.Last = now
		}
		bytes, whole = 0, true
	}
}

// sound gives the function that takes an audio track's packets.
func (r *Receiver) sound() func(*rtp.Packet, time.Time) {
	var g gaps
	dec, err := encode.NewOpusDecoder()
	return func(p *rtp.Packet, _ time.Time) {
		missing := g.after(p.SequenceNumber)
		r.mu.Lock()
		defer r.mu.Unlock()
		r.f.Packets++
		r.f.Lost += missing
		if err != nil {
			return // no decoder: no sound was heard
		}
		pcm, err := dec.Decode(p.Payload)
		if err != nil {
			return // it does not count as sound
		}
		r.f.Sound++
		for _, s := range pcm {
			v := float64(s) / 32768
			r.squares += v * v
			r.f.Peak = max(r.f.Peak, math.Abs(v))
		}
		r.samples += len(pcm)
	}
}

// captured reads the instant of capture: 64 bits of NTP time (RFC 5905, section 6).
func captured(p *rtp.Packet, id uint8) (time.Time, bool) {
	const since1900 = 2208988800 // seconds from the NTP era's start to Unix time 0
	b := p.GetExtension(id)
	if id == 0 || len(b) < 8 {
		return time.Time{}, false
	}
	seconds, fraction := binary.BigEndian.Uint32(b), uint64(binary.BigEndian.Uint32(b[4:]))
	return time.Unix(int64(seconds)-since1900, int64(fraction*uint64(time.Second)>>32)), true
}
