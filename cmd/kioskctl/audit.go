package main

import (
	"errors"
	"time"
)

// errAudit makes kioskctl audit fail where the journal was tampered with, so
// that a script notices.
var errAudit = errors.New("cannot trust the journal: it was changed by something else than kioskd: keep a copy of the state directory and ask who did it")

// auditCmd prints the journal.
type auditCmd struct {
	Limit int  `default:"100" help:"How many of the newest entries, 1 to 1000."`
	JSON  bool `name:"json" help:"Print as JSON."`
}

// Run does it.
func (c *auditCmd) Run(e *env) error {
	a, err := e.kiosk.Audit(e.ctx, c.Limit)
	if err != nil {
		return err
	}
	if c.JSON {
		err = e.json(a)
	} else {
		for _, entry := range a.Entries {
			if err = e.say("%d  %s  %-6s  %s", entry.Number, entry.At.Local().Format(time.DateTime), entry.Kind, printable(entry.Text)); err != nil {
				break
			}
		}
		if err == nil {
			err = e.say("%s", either(a.Intact, "The journal is whole.", "The journal was changed by something else than kioskd."))
		}
	}
	if err == nil && !a.Intact {
		return errAudit
	}
	return err
}
