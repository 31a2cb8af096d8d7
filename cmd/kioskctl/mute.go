package main

// muteCmd mutes and unmutes.
type muteCmd struct {
	Set  string `arg:"" optional:"" enum:"on,off," default:"" help:"on mutes, off unmutes."`
	JSON bool   `name:"json" help:"Print the answer as JSON."`
}

// Run does it.
func (c *muteCmd) Run(e *env) error {
	a, err := e.kiosk.Mute(e.ctx, onOff(c.Set))
	if err != nil {
		return err
	}
	return e.answer(c.JSON, a, microphoneWords)
}
