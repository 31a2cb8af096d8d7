package report

import (
	"crypto/rand"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/session"
)

// KindQuality is Record.Kind of how a call went.
const KindQuality = "quality"

// qualityPrefix begins the ids of such records, so that they are told from issue
// reports without being opened: they may be dropped where there is no place, reports
// never.
const qualityPrefix = "quality-"

// IsQuality says whether an id is that of a quality record.
func IsQuality(id string) bool { return strings.HasPrefix(id, qualityPrefix) }

// Quality is how an ended call went. It names nobody.
type Quality struct {
	DurationSeconds float64 `json:"duration_seconds"` // from the first `active` to the end
	End             string  `json:"end"`              // the final state, or an error's code
	// MeasuredSeconds is how much of it the figures below are of: a daemon that was
	// started again in the call begins anew.
	MeasuredSeconds float64 `json:"measured_seconds"`
	RoundTripMS     float64 `json:"round_trip_ms"`     // mean of what the far sides report
	RoundTripMaxMS  float64 `json:"round_trip_max_ms"` // the worst second
	Loss            float64 `json:"loss"`              // mean share of our packets that the far sides miss, 0 to 1
	LossMax         float64 `json:"loss_max"`
	ReceivedLoss    float64 `json:"received_loss"` // share of theirs that we miss, 0 to 1
	// FrozenSeconds is how long no frame came of a participant that had sent some, and
	// FrozenShare the same of MeasuredSeconds.
	FrozenSeconds float64 `json:"frozen_seconds"`
	FrozenShare   float64 `json:"frozen_share"`
	Width         int     `json:"width"` // of what was sent at last, in pixels
	Height        int     `json:"height"`
	FPS           float64 `json:"frames_per_second"` // sent, mean
}

// Figures are q flat, as a form has them.
func (q Quality) Figures() map[string]string {
	number := func(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }
	return map[string]string{
		"duration_seconds": number(round(q.DurationSeconds)), "end": q.End, "measured_seconds": number(round(q.MeasuredSeconds)),
		"round_trip_ms": number(round(q.RoundTripMS)), "round_trip_max_ms": number(round(q.RoundTripMaxMS)),
		"loss": number(round(q.Loss)), "loss_max": number(round(q.LossMax)), "received_loss": number(round(q.ReceivedLoss)),
		"frozen_seconds": number(round(q.FrozenSeconds)), "frozen_share": number(round(q.FrozenShare)),
		"width": strconv.Itoa(q.Width), "height": strconv.Itoa(q.Height), "frames_per_second": number(round(q.FPS)),
	}
}

// DecodeQuality reads the Quality of a record of KindQuality.
func DecodeQuality(r Record) (Quality, error) {
	var q Quality
	if err := json.Unmarshal(r.Bundle, &q); err != nil {
		return Quality{}, fmt.Errorf("cannot read how a call went: it is not the JSON of figures (%d bytes)", len(r.Bundle))
	}
	return q, nil
}

// round keeps three places behind the point.
func round(v float64) float64 { return float64(int64(v*1000+0.5)) / 1000 }

// Meter looks at a call once a second and sums up how it goes. It is safe for use by
// several goroutines.
type Meter struct {
	mu sync.Mutex
	sum
}

// sum is what a Meter knows of one session.
type sum struct {
	peer         string // the session's identity; empty: none was seen
	looks        int    // seconds
	rtt, rttMax  float64
	loss, worst  float64
	reports      int // what far sides reported; rtt and loss are sums of so many
	encodedFirst uint64
	encodedLast  uint64
	inFirst      inbound
	inLast       inbound
	frames       map[string]uint64 // by participant, at the last look
	frozen       int               // seconds
	width        int
	height       int
}

// inbound are counters of what came.
type inbound struct{ received, lost float64 }

// Look takes the figures of a second of a session; another session begins anew. Only
// seconds of a call count: from the first `active` to the end.
func (t *Meter) Look(m session.Model, s apitype.Statistics) {
	if m.ActiveSince.IsZero() || !m.Running() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.peer != m.Peer {
		t.sum = sum{peer: m.Peer, encodedFirst: encoded(s), inFirst: came(s), frames: map[string]uint64{}}
	} else {
		t.looks++ // a second has passed since the last look
	}
	t.freezes(s)
	t.encodedLast, t.inLast = max(t.encodedLast, encoded(s)), came(s)
	for _, o := range s.Outbound {
		if o.Kind == "video" && o.FrameWidth > 0 {
			t.width, t.height = o.FrameWidth, o.FrameHeight
		}
	}
	for _, p := range s.Participants {
		for _, r := range p.Remote {
			t.reports++
			t.rtt, t.rttMax = t.rtt+r.RoundTripTime*1000, max(t.rttMax, r.RoundTripTime*1000)
			t.loss, t.worst = t.loss+r.FractionLost, max(t.worst, r.FractionLost)
		}
	}
}

// freezes counts a second in which no frame came of somebody who had sent some.
func (t *sum) freezes(s apitype.Statistics) {
	still, now := false, map[string]uint64{}
	for _, p := range s.Participants {
		for _, in := range p.Inbound {
			if in.Kind == "video" && in.FramesReceived > 0 {
				before, known := t.frames[p.ID]
				still = still || known && before == in.FramesReceived
				now[p.ID] = in.FramesReceived
			}
		}
	}
	if still {
		t.frozen++
	}
	t.frames = now
}

// Quality is how the session of this peer went; end is how it ended.
func (t *Meter) Quality(peer string, duration time.Duration, end string) Quality {
	t.mu.Lock()
	defer t.mu.Unlock()
	q := Quality{DurationSeconds: duration.Seconds(), End: end}
	if t.peer != peer || t.looks == 0 {
		return q // over before there was anything to measure
	}
	share := func(part, whole float64) float64 { return min(max(part/max(whole, 1), 0), 1) }
	q.MeasuredSeconds = float64(t.looks)
	q.RoundTripMS, q.RoundTripMaxMS = t.rtt/float64(max(t.reports, 1)), t.rttMax
	q.Loss, q.LossMax = t.loss/float64(max(t.reports, 1)), t.worst
	lost := t.inLast.lost - t.inFirst.lost
	q.ReceivedLoss = share(lost, lost+t.inLast.received-t.inFirst.received)
	q.FrozenSeconds, q.FrozenShare = float64(t.frozen), share(float64(t.frozen), float64(t.looks))
	q.Width, q.Height = t.width, t.height
	q.FPS = float64(t.encodedLast-t.encodedFirst) / float64(t.looks)
	return q
}

// encoded is how many frames the encoders made.
func encoded(s apitype.Statistics) (n uint64) {
	for _, o := range s.Outbound {
		n += o.FramesEncoded
	}
	return n
}

// came sums up what came of all participants.
func came(s apitype.Statistics) (in inbound) {
	for _, p := range s.Participants {
		for _, i := range p.Inbound {
			in.received, in.lost = in.received+float64(i.PacketsReceived), in.lost+float64(i.PacketsLost)
		}
	}
	return in
}

// NewQuality makes a record to keep until the backend has it, and its id.
func NewQuality(appointment session.PatientText, q Quality) (id string, record []byte, err error) {
	raw, err := json.Marshal(q)
	if err == nil {
		record, err = json.Marshal(Record{Kind: KindQuality, Appointment: appointment, Bundle: raw})
	}
	if err != nil {
		return "", nil, fmt.Errorf("cannot keep how the call went: %w", err)
	}
	return qualityPrefix + rand.Text(), record, nil
}
