package main

import (
	"strings"

	"kioskd/daemon/api/apitype"
)

// devicesCmd lists the devices.
type devicesCmd struct {
	JSON bool `name:"json" help:"Print as JSON."`
}

// Run does it.
func (c *devicesCmd) Run(e *env) error {
	list, err := e.kiosk.Devices(e.ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return e.json(apitype.Devices{Devices: list})
	}
	if len(list) == 0 {
		return e.say("There is no camera, no microphone and no speaker.")
	}
	for _, d := range list {
		if err := e.say("%-11s %s  %s, %s%s", d.Kind, printable(d.ID), printable(orElse(d.Name, "without a name")), deviceWords(d), roleWords(d)); err != nil {
			return err
		}
	}
	return nil
}

// deviceWords says how a device is.
func deviceWords(d apitype.Device) string {
	if d.State != "" && d.State != "ok" {
		return strings.ReplaceAll(d.State, "_", " ")
	}
	return either(d.Present, either(d.InUse, "in use", "ready"), "not plugged in")
}

func roleWords(d apitype.Device) string { return either(d.Role != "", ", "+d.Role, "") }
