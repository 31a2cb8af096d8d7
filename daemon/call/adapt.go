package call

import (
	"math"
	"time"

	"kioskd/daemon/room/paced"
)

const (
	// leastVideo is the least, in bit/s, that a shared encode goes down to for one
	// receiver. Who cannot take even that gets sound and what pictures get through,
	// and does not spoil the others' picture.
	leastVideo = 90_000
	// Sizes follow the rate with patience, because each change is a keyframe: a queue that
	// is given room to empty is over soon. Down to less than half they go at once.
	sizeDown  = 0.85
	sizeLow   = 800 * time.Millisecond
	sizeHalf  = 0.5
	sizeUp    = 1.2
	sizeAfter = 1500 * time.Millisecond
	// holdAfter is how old the oldest waiting picture may be before new ones are left
	// out: the path became narrower than what was made for it.
	holdAfter = 200 * time.Millisecond
	// rateNoise is a change of the rate that is not worth telling the encoder.
	rateNoise = 0.02
	// bandwidthFrom of what was configured counts as limited by the path.
	bandwidthFrom = 0.95
)

// limitBandwidth is RTCQualityLimitationReason's.
const limitBandwidth = "bandwidth"

// adapt makes the encoders follow the slowest path that matters, and reports whether
// this picture should be left out.
func (v *videoSender) adapt(now time.Time) (hold bool) {
	v.paths = v.flows(v.paths[:0])
	want := v.configured()
	target := want
	for _, f := range v.paths {
		f.Want(want)
		if f.Dropped() {
			v.keyframe()
		}
		bps, known := f.Video(v.gov.FPS())
		if !known {
			continue
		}
		target = min(target, max(bps, leastVideo))
		if bps >= leastVideo || len(v.paths) == 1 {
			hold = hold || f.Waiting() > holdAfter
		}
	}
	v.aim(target)
	v.size(target, now)
	return hold
}

// aim tells the encoders the rate.
func (v *videoSender) aim(target int) {
	old := v.bitRate()
	if d := float64(target - old); d < rateNoise*float64(old) && d > -rateNoise*float64(old) && target != v.configured() || target == old {
		return
	}
	v.stats.target.Store(int64(target))
	for _, l := range v.lanes {
		if err := l.enc.SetBitRate(target); err != nil {
			v.log.Error("cannot set the bit rate", "error", err)
		}
	}
	v.tell()
}

// size chooses the rate that pictures are sized for.
func (v *videoSender) size(target int, now time.Time) {
	rate, sized := float64(target), float64(v.sizedFor)
	low := rate < sizeDown*sized
	if !low {
		v.lowSince = time.Time{}
	} else if v.lowSince.IsZero() {
		v.lowSince = now
	}
	switch {
	case v.sizedFor == 0 || rate < sizeHalf*sized || low && now.Sub(v.lowSince) >= sizeLow:
		v.sizedFor, v.sizedAt, v.lowSince = target, now, time.Time{}
	case rate < sizeUp*sized && (target < v.configured() || v.sizedFor == target):
		v.sizedAt = now
	case now.Sub(v.sizedAt) >= sizeAfter:
		v.sizedFor, v.sizedAt = target, now
	}
}

// reason tells why less is sent than was configured.
func (v *videoSender) reason() string {
	if float64(v.bitRate()) < bandwidthFrom*float64(v.configured()) {
		return limitBandwidth
	}
	return v.gov.Reason()
}

// room is what the path leaves for pictures, in bit/s, as far as it is known to be narrow.
func (v *videoSender) room() int {
	if b := v.bitRate(); float64(b) < bandwidthFrom*float64(v.configured()) {
		return b
	}
	return math.MaxInt
}

// flows lists the ways to those who are there.
func (p *participants) flows(into []*paced.Flow) []*paced.Flow {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, who := range p.byID {
		if f := who.flow.Load(); f != nil && !who.gone.Load() && !who.lost.Load() {
			into = append(into, f)
		}
	}
	return into
}

// Loss that the sound is to live with: it rises with a report and sinks slowly, for
// loss comes in bursts. A browser reports of sound each 5 s, but of pictures, which go
// the same way, each second.
const (
	soundLossMost = 30
	soundLossFade = 0.85 // a report of sound
	videoLossFade = 0.8  // a report of pictures
)

// lossSeen is what share of our packets a participant lost, smoothed, by kind.
type lossSeen struct{ sound, video float64 }

func (l *lossSeen) note(kind string, lost float64) {
	if kind == "audio" {
		l.sound = max(lost, l.sound*soundLossFade)
	} else {
		l.video = max(lost, l.video*videoLossFade)
	}
}

// soundLoss notes what share of our packets of a kind a participant lost, and gives the
// percent that Opus should expect for all who are there.
func (p *participants) soundLoss(id, kind string, lost float64) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	worst := 0.0
	for i, who := range p.byID {
		if i == id {
			who.loss.note(kind, lost)
		}
		if !who.gone.Load() {
			worst = max(worst, who.loss.sound, who.loss.video)
		}
	}
	return min(int(100*worst+0.5), soundLossMost)
}
