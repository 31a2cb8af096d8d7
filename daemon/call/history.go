package call

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"kioskd/daemon/room"
)

// The history reaches two minutes back: what happened before somebody pressed
// "Report issue".
const (
	sampleEvery = time.Second
	historyMost = 120
)

// Sample is the call in one second.
type Sample struct {
	At time.Time `json:"at"`
	// RTTms and Lost are the worst of the participants: there and back in
	// milliseconds (0: not known), and the share of what we send that does not
	// arrive, 0 to 1.
	RTTms float64 `json:"round_trip_ms"`
	Lost  float64 `json:"fraction_lost"`
	// Payload of RTP, in kbit/s. One that is sent to several counts once.
	SentKbps     float64 `json:"sent_kbps"`
	ReceivedKbps float64 `json:"received_kbps"`
	// Frames that were encoded, and dropped before that.
	Frames  uint64 `json:"frames_encoded"`
	Dropped uint64 `json:"frames_dropped"`
}

// history keeps the newest historyMost samples. It belongs to the room's sampler
// and whoever reads it.
type history struct {
	mu   sync.Mutex
	list []Sample // oldest first
	peer string   // the kiosk's identity in the session that they are of
}

// begin starts anew for another session: its report tells nothing of the one before.
func (h *history) begin(peer string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.peer != peer {
		h.list, h.peer = nil, peer
	}
}

func (h *history) add(s Sample) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if len(h.list) >= historyMost {
		h.list = append(h.list[:0], h.list[1:]...)
	}
	h.list = append(h.list, s)
}

// History is the call second by second, oldest first, at most the last two
// minutes in which a room was joined. It ends with the session: with a Leave that
// says bye, or a Join under another identity.
func (c *Call) History() []Sample {
	c.history.mu.Lock()
	defer c.history.mu.Unlock()
	return append([]Sample(nil), c.history.list...)
}

// startSampling fills the history until the part is stopped.
func (c *Call) startSampling() *part {
	p, ctx := newPart()
	p.wg.Go(func() { c.sample(ctx) })
	return p
}

func (c *Call) sample(ctx context.Context) {
	tick := time.NewTicker(sampleEvery)
	defer tick.Stop()
	for before, at := c.Figures(), time.Now(); ; {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		now, then := c.Figures(), at
		at = time.Now()
		c.history.add(between(before, now, at, at.Sub(then)))
		before = now
	}
}

// between is what happened from one set of figures to the next, d later.
func between(before, now map[string]float64, at time.Time, d time.Duration) Sample {
	grown := func(names ...string) (sum float64) {
		for _, n := range names {
			sum += max(now[n]-before[n], 0) // a participant whose place was taken took its figures along
		}
		return sum
	}
	kbps := func(bytes float64) float64 { return bytes * 8 / 1000 / max(d.Seconds(), 1e-3) }
	return Sample{
		At: at, RTTms: now["round_trip_ms"], Lost: now["fraction_lost"],
		SentKbps:     kbps(grown("video_bytes_sent", "audio_bytes_sent")),
		ReceivedKbps: kbps(grown("video_bytes_received", "audio_bytes_received")),
		Frames:       uint64(grown("frames_encoded")), Dropped: uint64(grown("frames_dropped")),
	}
}

// reportedWithin is how long a report counts: receivers report every few seconds
// (RFC 3550, section 6.2).
const reportedWithin = 10 * time.Second

// path is what a participant says about what it gets from us.
type path struct{ audio, video atomic.Pointer[report] }

type report struct {
	room.PathMeasured
	at time.Time
}

func (p *path) note(e room.PathMeasured) {
	r := &report{PathMeasured: e, at: time.Now()}
	if e.Kind == "video" {
		p.video.Store(r)
	} else {
		p.audio.Store(r)
	}
}

// worst is the longer round trip and the greater loss of those that still count.
func (p *path) worst() (rtt time.Duration, lost float64) {
	for _, r := range []*report{p.audio.Load(), p.video.Load()} {
		if r != nil && time.Since(r.at) < reportedWithin {
			rtt, lost = max(rtt, r.RTT), max(lost, r.Lost)
		}
	}
	return rtt, lost
}
