package main

import (
	"errors"
	"time"
)

// errUnwell makes kioskctl health fail where the kiosk cannot make calls, for
// monitors that go by the exit code.
var errUnwell = errors.New("cannot call the kiosk healthy: see above")

// healthCmd says what is wrong.
type healthCmd struct {
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run does it.
func (c *healthCmd) Run(e *env) error {
	h, err := e.kiosk.Health(e.ctx)
	if err != nil {
		return err
	}
	switch {
	case c.JSON:
		err = e.json(h)
	case len(h.Conditions) == 0:
		err = e.say("Nothing is wrong.")
	}
	for _, v := range h.Conditions {
		if err == nil && !c.JSON {
			err = e.say("%-8s %s since %s: %s %s", v.Severity, v.Code, v.Since.Local().Format(time.DateTime), v.Message, v.Hint)
		}
	}
	if err == nil && !h.OK {
		return errUnwell
	}
	return err
}
