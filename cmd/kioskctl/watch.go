package main

import (
	"context"
	"errors"
	"fmt"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
)

// watchCmd follows the events.
type watchCmd struct {
	JSON bool `name:"json" help:"Print each event as one line of JSON; it has the patient's data in it."`
}

// Run prints until Ctrl-C. A daemon that is not there at the start is an
// error; one that goes away later is waited for.
func (c *watchCmd) Run(e *env) error {
	seen, said, shown := false, false, ""
	var notThere error
	follow := func(ev apitype.Event) error {
		seen, said = true, false
		if c.JSON {
			return e.json(ev)
		}
		line, err := eventLine(ev)
		if err != nil || line == "" || (line == shown && ev.Name != apitype.EventOutput) {
			return err // the same state once more is no news
		}
		if ev.Name != apitype.EventOutput {
			shown = line
		}
		return e.say("%s", line)
	}
	ctx, stop := context.WithCancel(e.ctx)
	defer stop()
	err := e.kiosk.Follow(ctx, func(err error) {
		if !seen && errors.Is(err, client.ErrUnreachable) {
			notThere = err
			stop()
			return
		}
		if !said { // once a loss, not once a try
			_, _ = fmt.Fprintln(e.err, "kioskctl: the connection is lost, trying again")
		}
		said = true
	}, follow)
	if notThere != nil {
		return notThere
	}
	return err
}

// eventLine says an event in the contract's words: an output as "audio =
// updated", a change as the session's state.
func eventLine(ev apitype.Event) (string, error) {
	if ev.Name == apitype.EventOutput {
		name, value, err := ev.Output()
		if err != nil {
			return "", err
		}
		return name + " = " + value, nil
	}
	s, err := ev.Status()
	if err != nil {
		return "", err
	}
	line := stateWords(s.Session)
	for _, c := range s.Conditions {
		line += ", " + c.Severity + " = " + c.Code
	}
	return "now: " + line, nil
}
