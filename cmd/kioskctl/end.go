package main

// endCmd ends the call.
type endCmd struct {
	JSON bool `name:"json" help:"Print the answer as JSON."`
}

// Run does it.
func (c *endCmd) Run(e *env) error {
	a, err := e.kiosk.EndCall(e.ctx)
	if err != nil {
		return err
	}
	return e.answer(c.JSON, a, stateWords)
}
