package main

// videoCmd switches the video.
type videoCmd struct {
	Set  string `arg:"" optional:"" enum:"on,off," default:"" help:"on sends the camera's picture, off does not."`
	JSON bool   `name:"json" help:"Print the answer as JSON."`
}

// Run does it. The API counts the other way round: disabled.
func (c *videoCmd) Run(e *env) error {
	disabled := onOff(c.Set)
	if disabled != nil {
		*disabled = !*disabled
	}
	a, err := e.kiosk.DisableVideo(e.ctx, disabled)
	if err != nil {
		return err
	}
	return e.answer(c.JSON, a, videoWords)
}
