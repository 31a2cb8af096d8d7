package main

import "strings"

// reloadCmd has the settings read anew.
type reloadCmd struct {
	JSON bool `name:"json" help:"Print the answer as JSON."`
}

// Run does it.
func (c *reloadCmd) Run(e *env) error {
	answer, err := e.kiosk.Reload(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(answer)
	}
	if len(answer.Changed)+len(answer.NeedRestart) == 0 {
		return e.say("nothing has changed")
	}
	if len(answer.Changed) > 0 {
		if err := e.say("in force now: %s", strings.Join(answer.Changed, ", ")); err != nil {
			return err
		}
	}
	if len(answer.NeedRestart) > 0 {
		return e.say("after a restart (systemctl restart kioskd): %s", strings.Join(answer.NeedRestart, ", "))
	}
	return nil
}
