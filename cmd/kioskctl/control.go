package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"kioskd/daemon/api/apitype"
)

// controlCmd lists, shows and sets a camera's controls.
type controlCmd struct {
	Camera string   `arg:"" help:"The camera: its id, or a part of its id or name, or its role."`
	Words  []string `arg:"" optional:"" name:"name[=value]" help:"Show a control, or set it: brightness=140, focus_automatic_continuous=off, power_line_frequency='50 Hz'. The value default brings the driver's own back, and nothing is kept. All are set, or none."`
	JSON   bool     `name:"json" help:"Print the controls as JSON."`
}

// Validate refuses what names no control.
func (c *controlCmd) Validate() error {
	for _, w := range c.Words {
		if name, value, set := strings.Cut(w, "="); name == "" || (set && value == "") {
			return fmt.Errorf("%q is neither NAME nor NAME=VALUE", w)
		}
	}
	return nil
}

// Run does it.
func (c *controlCmd) Run(e *env) error {
	d, err := e.device(apitype.KindCamera, c.Camera)
	if err != nil {
		return err
	}
	shown, values, err := c.wish(d.Controls)
	if err != nil {
		return err
	}
	all := d.Controls
	if len(values) > 0 {
		if all, err = e.kiosk.SetControls(e.ctx, d.ID, values); err != nil {
			return err
		}
	}
	if c.JSON {
		return e.json(apitype.DeviceControls{Controls: pickControls(all, shown)})
	}
	if len(all) == 0 {
		return e.say("%s has no controls that can be set.", deviceName(d))
	}
	return e.lines(controlLines(pickControls(all, shown), ""))
}

// wish reads the words: the names of what is to be shown, and the values to set.
func (c *controlCmd) wish(all []apitype.DeviceControl) (shown map[string]bool, values map[string]int32, err error) {
	shown, values = map[string]bool{}, map[string]int32{}
	for _, w := range c.Words {
		name, text, set := strings.Cut(w, "=")
		control, ok := controlNamed(all, name)
		if !ok {
			return nil, nil, unknownControl(all, name)
		}
		shown[name] = true
		if !set {
			continue
		}
		if _, twice := values[name]; twice {
			return nil, nil, fmt.Errorf("cannot set %s twice", name)
		}
		if values[name], err = controlValue(control, text); err != nil {
			return nil, nil, fmt.Errorf("cannot set %s: %w", name, err)
		}
	}
	return shown, values, nil
}

func controlNamed(all []apitype.DeviceControl, name string) (apitype.DeviceControl, bool) {
	for _, c := range all {
		if c.Name == name {
			return c, true
		}
	}
	return apitype.DeviceControl{}, false
}

// unknownControl names the controls that could have been meant, else all.
func unknownControl(all []apitype.DeviceControl, name string) error {
	var like, names []string
	for _, c := range all {
		names = append(names, printable(c.Name))
		if strings.Contains(c.Name, strings.ToLower(name)) {
			like = append(like, printable(c.Name))
		}
	}
	if len(like) > 0 {
		names = like
	}
	if len(names) == 0 {
		return fmt.Errorf("cannot find control %q: this camera has none that can be set", name)
	}
	return fmt.Errorf("cannot find control %q. This camera has: %s", name, strings.Join(names, ", "))
}

// controlValue reads a value: a number, on or off, a choice's name or a part of
// it that no other has, or default. Range and step are the daemon's to check.
func controlValue(c apitype.DeviceControl, text string) (int32, error) {
	if strings.EqualFold(text, "default") {
		return c.Default, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err == nil && c.Type == "menu" && !offered(c, n) {
		if v, err := menuValue(c, text); err == nil { // 60 means "60 Hz"
			return v, nil
		}
	}
	if err == nil {
		if n < math.MinInt32 || n > math.MaxInt32 {
			return 0, fmt.Errorf("%s is too far from zero", text)
		}
		return int32(n), nil
	}
	switch c.Type {
	case "boolean":
		switch strings.ToLower(text) {
		case "on", "yes", "true":
			return 1, nil
		case "off", "no", "false":
			return 0, nil
		}
		return 0, fmt.Errorf("%q is neither on nor off", text)
	case "menu":
		return menuValue(c, text)
	}
	return 0, fmt.Errorf("%q is not a whole number, and it wants %s", text, printable(rangeWords(c)))
}

func offered(c apitype.DeviceControl, n int64) bool {
	return slices.ContainsFunc(c.Menu, func(m apitype.MenuEntry) bool { return int64(m.Value) == n })
}

// menuValue finds a choice by its name.
func menuValue(c apitype.DeviceControl, text string) (int32, error) {
	var fits []apitype.MenuEntry
	for _, m := range c.Menu {
		if strings.EqualFold(m.Name, text) {
			return m.Value, nil
		}
		if strings.Contains(strings.ToLower(m.Name), strings.ToLower(text)) {
			fits = append(fits, m)
		}
	}
	if len(fits) == 1 {
		return fits[0].Value, nil
	}
	return 0, fmt.Errorf("%q is not one of its choices: %s", text, menuWords(c))
}

// pickControls gives the named ones; where none is named, all.
func pickControls(all []apitype.DeviceControl, names map[string]bool) []apitype.DeviceControl {
	if len(names) == 0 && all != nil {
		return all
	}
	out := []apitype.DeviceControl{}
	for _, c := range all {
		if names[c.Name] {
			out = append(out, c)
		}
	}
	return out
}

// controlLines has two lines a control: its name and value, then what it can be.
func controlLines(list []apitype.DeviceControl, indent string) []string {
	var lines []string
	for _, c := range list {
		line := indent + printable(c.Name) + " = " + valueWords(c, c.Value) + either(c.Kept, ", kept", "")
		if !c.Enabled {
			line += ", not now" + ruledOutBy(c, list)
		}
		lines = append(lines, line, indent+"  "+rangeWords(c)+"; default "+valueWords(c, c.Default))
	}
	return lines
}

// valueWords says a value of a control.
func valueWords(c apitype.DeviceControl, v int32) string {
	switch c.Type {
	case "boolean":
		return either(v != 0, "on", "off")
	case "menu":
		for _, m := range c.Menu {
			if m.Value == v {
				return fmt.Sprintf("%d (%s)", v, printable(m.Name))
			}
		}
	}
	return strconv.Itoa(int(v))
}

// rangeWords says what a control can be.
func rangeWords(c apitype.DeviceControl) string {
	switch c.Type {
	case "boolean":
		return "on or off"
	case "menu":
		return menuWords(c)
	}
	return fmt.Sprintf("%d to %d, step %d", c.Min, c.Max, c.Step)
}

func menuWords(c apitype.DeviceControl) string {
	var words []string
	for _, m := range c.Menu {
		words = append(words, fmt.Sprintf("%d (%s)", m.Value, printable(m.Name)))
	}
	return strings.Join(words, ", ")
}

// rulers names for a control those that rule it out while they are automatic, as
// the kernel's uvcvideo driver has them; the second of two is the name that it
// had before Linux 5.19 or so.
func rulers(name string) []string {
	switch name {
	case "exposure_time_absolute", "exposure_absolute":
		return []string{"auto_exposure", "exposure_auto"}
	case "focus_absolute":
		return []string{"focus_automatic_continuous", "focus_auto"}
	case "white_balance_temperature", "red_balance", "blue_balance":
		return []string{"white_balance_automatic", "white_balance_temperature_auto"}
	case "gain":
		return []string{"gain_automatic", "autogain"}
	case "hue":
		return []string{"hue_automatic", "hue_auto"}
	case "brightness":
		return []string{"brightness_automatic", "autobrightness"}
	}
	return nil
}

// ruledOutBy says which control rules this one out, where that is known.
func ruledOutBy(c apitype.DeviceControl, list []apitype.DeviceControl) string {
	for _, name := range rulers(c.Name) {
		if by, ok := controlNamed(list, name); ok {
			return ": " + name + " is " + valueWords(by, by.Value)
		}
	}
	return ""
}
