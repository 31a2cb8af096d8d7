package main

import (
	"time"

	"kioskd/daemon/api/apitype"
)

// reportsCmd lists the issue reports that wait, or prints one.
type reportsCmd struct {
	ID   string `arg:"" optional:"" help:"Print this report's bundle; it has the patient's words in it."`
	JSON bool   `name:"json" help:"Print as JSON."`
}

// Run does it.
func (c *reportsCmd) Run(e *env) error {
	if c.ID != "" {
		bundle, err := e.kiosk.Report(e.ctx, c.ID)
		if err != nil {
			return err
		}
		return e.raw(c.JSON, bundle)
	}
	list, err := e.kiosk.Reports(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(apitype.Reports{Reports: list})
	}
	if len(list) == 0 {
		return e.say("No report waits to be sent.")
	}
	for _, r := range list {
		if err := e.say("%s  %s  %d bytes", r.At.Local().Format(time.DateTime), r.ID, r.Bytes); err != nil {
			return err
		}
	}
	return nil
}
