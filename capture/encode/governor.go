package encode

import (
	"math"
	"time"
)

// Degradation says what gives way first where the processor is too slow, by
// W3C's RTCDegradationPreference (mst-content-hint, section 3).
type Degradation string

// The preferences. Balanced takes turns.
const (
	Balanced           Degradation = "balanced"
	MaintainFramerate  Degradation = "maintain-framerate"
	MaintainResolution Degradation = "maintain-resolution"
)

// Reasons of a limit, by W3C webrtc-stats' RTCQualityLimitationReason.
const (
	LimitNone = "none"
	LimitCPU  = "cpu"
)

const (
	governWindow = 2 * time.Second  // costs are judged over so long
	governCalm   = 10 * time.Second // a step up is tried after so long without trouble, doubled after each that failed
	governMost   = 2 * time.Minute  // and never later
	governRoom   = 0.85             // a step up must be expected to stay below this share of the budget
	leastFPS     = 5.0
)

// sizeSteps are what a side is multiplied with, rateSteps what the rate is.
func sizeSteps() []float64 { return []float64{1, 3.0 / 4, 1.0 / 2, 3.0 / 8, 1.0 / 4} }
func rateSteps() []float64 { return []float64{1, 2.0 / 3, 1.0 / 2, 1.0 / 3, 1.0 / 6} }

// GovernorConfig says how much a Governor may let a picture's way cost.
type GovernorConfig struct {
	// Budget is the share of one core that conversion and encoding of video may
	// take; 0: no limit.
	Budget float64
	Prefer Degradation // "": Balanced
	Width  int         // of the camera's pictures, pixels
	Height int
	FPS    float64 // of the camera
}

// Governor keeps the cost of video within a budget: where pictures cost more than
// that for two seconds it takes one step in size or rate, and goes back when there
// is room again. It has no clock and no goroutine of its own, and is for one
// goroutine at a time.
type Governor struct {
	cfg        GovernorConfig
	size, rate int // steps taken

	since  time.Time // the window's begin
	spent  time.Duration
	due    float64 // pictures owed by the frame pattern, see Take
	calm   time.Time
	wait   time.Duration
	raised bool // the last step went up
}

// NewGovernor makes one that has taken no step.
func NewGovernor(c GovernorConfig) *Governor {
	if c.Prefer == "" {
		c.Prefer = Balanced
	}
	if c.FPS <= 0 {
		c.FPS = defaultFPS
	}
	return &Governor{cfg: c, wait: governCalm, due: 1}
}

// Take says whether the camera's next picture is to be encoded: at a lower rate the
// ones that are left out are spread evenly.
func (g *Governor) Take() bool {
	g.due += rateSteps()[g.rate]
	if g.due < 1-1e-9 {
		return false
	}
	g.due -= math.Floor(g.due + 1e-9)
	return true
}

// Size is what a picture of w x h pixels is to be scaled to, both even.
func (g *Governor) Size(w, h int) (int, int) {
	if g.size == 0 {
		return w, h
	}
	return scaled(w, h, sizeSteps()[g.size])
}

// scaled multiplies both sides, to whole macroblocks across.
func scaled(w, h int, f float64) (int, int) {
	sw := min(max(16*int(math.Round(float64(w)*f/16)), 16), w)
	return sw, max(2*int(math.Round(float64(h)*float64(sw)/float64(w)/2)), 16)
}

// FPS is the rate in force, in pictures a second.
func (g *Governor) FPS() float64 { return g.cfg.FPS * rateSteps()[g.rate] }

// Reason tells why less is sent than the camera gives: LimitNone or LimitCPU.
func (g *Governor) Reason() string {
	if g.size+g.rate > 0 {
		return LimitCPU
	}
	return LimitNone
}

// Spent takes what one picture cost, from its conversion to its last byte, and
// reports whether a step was taken.
func (g *Governor) Spent(at time.Time, d time.Duration) bool {
	if g.cfg.Budget <= 0 {
		return false
	}
	if g.since.IsZero() || at.Sub(g.since) > 2*governWindow { // the first, or after a pause
		g.since, g.spent, g.calm = at, 0, at
	}
	g.spent += d
	past := at.Sub(g.since)
	if past < governWindow {
		return false
	}
	share := g.spent.Seconds() / past.Seconds()
	g.since, g.spent = at, 0
	if g.size+g.rate == 0 && at.Sub(g.calm) >= governMost {
		g.wait, g.raised = governCalm, false // what was is long past
	}
	switch {
	case share > g.cfg.Budget:
		return g.down(at)
	case g.size+g.rate > 0 && at.Sub(g.calm) >= g.wait && share*g.costOfUp() <= g.cfg.Budget*governRoom:
		return g.up(at)
	}
	return false
}

// down takes one step; it reports false at the end of the ladder.
func (g *Governor) down(at time.Time) bool {
	g.calm = at
	if g.raised { // the last step up was one too many: wait longer before the next
		g.wait = min(2*g.wait, governMost)
		g.raised = false
	}
	size, rate := g.canShrink(), g.canSlow()
	switch {
	case size && (!rate || g.cfg.Prefer == MaintainFramerate || g.cfg.Prefer == Balanced && g.size <= g.rate):
		g.size++
	case rate:
		g.rate++
	default:
		return false
	}
	return true
}

func (g *Governor) canShrink() bool {
	if g.size+1 >= len(sizeSteps()) {
		return false
	}
	w, h := scaled(g.cfg.Width, g.cfg.Height, sizeSteps()[g.size+1])
	return w >= leastW && h >= leastH
}

func (g *Governor) canSlow() bool {
	return g.rate+1 < len(rateSteps()) && g.cfg.FPS*rateSteps()[g.rate+1] >= leastFPS-1e-9
}

// up goes the last step back: the one that down would take next from there.
func (g *Governor) up(at time.Time) bool {
	g.calm = at
	if g.upIsSize() {
		g.size--
	} else {
		g.rate--
	}
	g.raised = true
	return true
}

func (g *Governor) upIsSize() bool {
	switch {
	case g.rate == 0:
		return true
	case g.size == 0:
		return false
	case g.cfg.Prefer == MaintainFramerate:
		return false // slowed only when it could shrink no more
	case g.cfg.Prefer == MaintainResolution:
		return true
	}
	return g.size > g.rate
}

// costOfUp is what a picture's way will cost after the next step up, in shares of
// what it costs now: in proportion to pixels and to pictures.
func (g *Governor) costOfUp() float64 {
	if g.upIsSize() {
		f := sizeSteps()[g.size-1] / sizeSteps()[g.size]
		return f * f
	}
	return rateSteps()[g.rate-1] / rateSteps()[g.rate]
}
