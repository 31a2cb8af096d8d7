package main

import (
	"errors"
	"fmt"

	"kioskd/daemon/api/apitype"
)

// callCmd is about calls without anybody.
type callCmd struct {
	Test callTestCmd `cmd:"" help:"Call nobody: camera and microphone through the encoders and over loopback to a receiver that counts."`
}

// callTestCmd runs the loopback call.
type callTestCmd struct {
	Seconds int  `default:"5" help:"How long, 1 to 30. Default: 5."`
	JSON    bool `name:"json" help:"Print as JSON."`
}

// Validate refuses what the daemon would.
func (c *callTestCmd) Validate() error {
	if c.Seconds < 1 || c.Seconds > 30 {
		return fmt.Errorf("--seconds is 1 to 30, not %d", c.Seconds)
	}
	return nil
}

// errCallTest ends a test that went wrong, for scripts.
var errCallTest = errors.New("cannot call this a good call: see above")

// Run does it.
func (c *callTestCmd) Run(e *env) error {
	got, err := e.kiosk.Checks(e.ctx, apitype.ChecksRequest{Only: apitype.CheckMedia, Seconds: c.Seconds})
	if err != nil {
		return err
	}
	if len(got.Checks) != 1 {
		return errors.New("cannot understand kioskd's answer, is it another version?")
	}
	check := got.Checks[0]
	if c.JSON {
		err = e.json(check)
	} else {
		err = e.lines(append(callLines(check.Figures), checkLines(check)...))
	}
	if err == nil && check.Result != apitype.CheckPass {
		return errCallTest
	}
	return err
}

// callLines says the figures.
func callLines(f map[string]float64) []string {
	if f == nil {
		return nil
	}
	return []string{
		fmt.Sprintf("pictures    %.0f in %.1f s, %.1f a second, %.0f kbit/s", f["frames"], f["seconds"], f["frames_per_second"], f["video_kbps"]),
		fmt.Sprintf("packets     %.0f, %.0f lost", f["packets"], f["packets_lost"]),
		fmt.Sprintf("latency     %.0f ms, 95 %% within %.0f ms, from the camera to the receiver", f["latency_p50_ms"], f["latency_p95_ms"]),
		fmt.Sprintf("sound       %.0f packets, %s", f["audio_packets"], soundWords(f["audio_rms"], f["audio_peak"])),
	}
}

func soundWords(rms, peak float64) string {
	if peak == 0 {
		return "nothing but silence"
	}
	return fmt.Sprintf("%.1f dBFS, peak %.1f", decibels(rms), decibels(peak))
}
