package main

import (
	"errors"

	"kioskd/daemon/api/apitype"
)

// roleCmd binds a device to a role.
type roleCmd struct {
	Role   string `arg:"" enum:"face,document,exam,microphone,speaker" help:"face, document, exam, microphone or speaker."`
	Device string `arg:"" optional:"" help:"The device that takes the role: its id, or a part of its id or name; without it the role's holder is printed."`
	None   bool   `help:"Take the role away; nobody has it then."`
	JSON   bool   `name:"json" help:"Print the devices as JSON."`
}

// Validate refuses two wishes at once.
func (c *roleCmd) Validate() error {
	if c.None && c.Device != "" {
		return errors.New("either a device or --none")
	}
	return nil
}

// Run does it.
func (c *roleCmd) Run(e *env) error {
	list, err := e.kiosk.Devices(e.ctx)
	if err != nil {
		return err
	}
	if c.None || c.Device != "" {
		id := ""
		if c.Device != "" {
			d, err := find(list, roleKind(c.Role), c.Device)
			if err != nil {
				return err
			}
			id = d.ID
		}
		before := list
		if list, err = e.kiosk.SetRole(e.ctx, c.Role, id); err != nil {
			return err
		}
		if was, ok := holder(before, c.Role); ok && was.ID != id && !c.JSON {
			if err := e.say("Before: %s (%s).", deviceName(was), printable(was.ID)); err != nil {
				return err
			}
		}
	}
	if c.JSON {
		return e.json(apitype.Devices{Devices: list})
	}
	if _, ok := holder(list, c.Role); ok && c.None {
		if err := e.say("Nothing is bound to %s any more. What the kiosk chooses by itself:", c.Role); err != nil {
			return err
		}
	}
	return e.say("%s", holderWords(list, c.Role))
}

// holder gives the device that has a role.
func holder(list []apitype.Device, role string) (apitype.Device, bool) {
	for _, d := range list {
		if d.Role == role {
			return d, true
		}
	}
	return apitype.Device{}, false
}

// holderWords says who has a role, and how it is.
func holderWords(list []apitype.Device, role string) string {
	d, ok := holder(list, role)
	if !ok {
		return nobodyWords(role)
	}
	words := role + " is " + deviceName(d) + " (" + printable(d.ID) + ")"
	if d.Where != "" {
		words += ", " + printable(d.Where)
	}
	return words + ", " + deviceWords(d) + "."
}

// nobodyWords says that a role is free, and what a call uses then.
func nobodyWords(role string) string {
	words := "No device has the role " + role
	switch role {
	case apitype.RoleFace:
		words += ": the first camera that works is used"
	case apitype.RoleMicrophone:
		words += ": calls use the one in the settings"
	}
	return words + "."
}
