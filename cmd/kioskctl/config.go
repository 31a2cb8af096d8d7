package main

// configCmd prints the settings in force.
type configCmd struct {
	JSON bool `name:"json" help:"Print on one line."`
}

// Run does it.
func (c *configCmd) Run(e *env) error {
	settings, err := e.kiosk.Config(e.ctx)
	if err != nil {
		return err
	}
	return e.raw(c.JSON, settings)
}
