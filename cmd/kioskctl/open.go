package main

// openCmd opens an appointment.
type openCmd struct {
	ID   string `arg:"" help:"The appointment's id."`
	JSON bool   `name:"json" help:"Print the answer as JSON."`
}

// Run does it.
func (c *openCmd) Run(e *env) error {
	a, err := e.kiosk.Open(e.ctx, c.ID)
	if err != nil {
		return err
	}
	return e.answer(c.JSON, a, stateWords)
}
