package main

import (
	"kioskd/daemon/api/apitype"
)

// toneCmd plays a tone.
type toneCmd struct {
	Speaker string `arg:"" optional:"" help:"The speaker: its id, or a part of its id or name; without it the one bound to speaker, or the only one."`
	Hertz   int    `default:"440" help:"The tone's frequency, 50 to 8000. Default: 440."`
	Seconds int    `default:"2" help:"How long, 1 to 10. Default: 2."`
}

// Run does it.
func (c *toneCmd) Run(e *env) error {
	d, err := e.device(apitype.KindSpeaker, c.Speaker)
	if err != nil {
		return err
	}
	if err := e.say("Playing %d Hz for %d s on %s ...", c.Hertz, c.Seconds, deviceName(d)); err != nil {
		return err
	}
	if err := e.kiosk.Tone(e.ctx, d.ID, apitype.ToneRequest{Hertz: c.Hertz, Seconds: c.Seconds}); err != nil {
		return err
	}
	return e.say("Played. Nothing heard? Look at the speaker's switch, its volume and its cable.")
}
