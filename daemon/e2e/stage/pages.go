package stage

import (
	"context"
	_ "embed"
	"fmt"
	"math"
	"slices"
	"strings"

	"kioskd/cmd/clinicsim/assets"
)

//go:embed watch.js
var watchJS string

// Seen is what a page's video element has presented since Watch.
type Seen struct {
	Frames  int     `json:"frames"`  // presented
	Coded   int     `json:"coded"`   // of those, with a readable block code
	Counter int64   `json:"counter"` // of the last coded one, -1 before
	Latency float64 `json:"latency"` // ms from making to presenting, of the last coded one
	FirstAt float64 `json:"firstAt"` // unix ms of the first presented frame
	Hz      float64 `json:"hz"`      // the strongest frequency heard, 0 when there is none
	RMS     float64 `json:"rms"`     // of the last 8192 samples, 1 is full scale
}

// InstallWatch puts the measuring script into a page.
func (b *Browser) InstallWatch(ctx context.Context) error {
	// As a plain script: the page's policy forbids loading anything else.
	blocks := strings.ReplaceAll(assets.Blocks(), "export ", "")
	_, err := Eval[bool](ctx, b, "(() => {"+blocks+"\n"+watchJS+"\nreturn true })()")
	return err
}

// Watch starts measuring the video element that selector names, as soon as it plays a stream.
func (b *Browser) Watch(ctx context.Context, selector string) error {
	return b.Until(ctx, fmt.Sprintf("window.__stage.watch(%q)", selector))
}

// Read returns what has been seen since Watch. A page that has replaced the
// element's stream meanwhile is followed to the new one, whose count starts anew.
func (b *Browser) Read(ctx context.Context, selector string) (Seen, error) {
	return Eval[Seen](ctx, b, fmt.Sprintf("(window.__stage.watch(%[1]q), window.__stage.read(%[1]q))", selector))
}

// StopWatch ends all measuring, which costs a page a good part of a core.
func (b *Browser) StopWatch(ctx context.Context) error {
	_, err := Eval[bool](ctx, b, "window.__stage.stop()")
	return err
}

// Clinician is what the clinician's page says about itself (window.sim).
type Clinician struct {
	State     string    `json:"state"`
	Frames    int       `json:"frames"`
	Lost      int       `json:"lost"`
	Latencies []float64 `json:"latencies"`
	PeakHz    float64   `json:"peakHz"`
	RMS       float64   `json:"rms"`
}

// Clinician reads the clinician's page.
func (b *Browser) Clinician(ctx context.Context) (Clinician, error) {
	return Eval[Clinician](ctx, b, `({
		state: sim.state, frames: sim.frames, lost: sim.lost, latencies: sim.latencies,
		peakHz: sim.audio.peakHz, rms: sim.audio.rms,
	})`)
}

// Percentile is the value that a share q (0..1) of v does not exceed; 0 for an empty v.
func Percentile(v []float64, q float64) float64 {
	if len(v) == 0 {
		return 0
	}
	s := slices.Sorted(slices.Values(v))
	return s[max(0, int(math.Ceil(q*float64(len(s))))-1)]
}
