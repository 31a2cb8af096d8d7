package devices

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"kioskd/capture/camera"
	"kioskd/daemon/api/apitype"
	"kioskd/store"
)

// keptControls are the values that are set whenever the camera comes. The caller holds mu.
func (d *Devices) keptControls(id string) map[string]int32 {
	if values, ok := d.kept.Controls[id]; ok {
		return maps.Clone(values)
	}
	return maps.Clone(d.kept.Controls[d.names.Former(id)]) // from before its twin showed up
}

// controls describes a camera's. The caller holds mu.
func (d *Devices) controls(c aCamera) []apitype.DeviceControl {
	var out []apitype.DeviceControl
	kept := d.keptControls(c.id)
	for _, k := range c.Controls {
		dev := apitype.DeviceControl{
			Name: k.Name, Label: k.Label, Type: k.Type, Min: k.Min, Max: k.Max, Step: k.Step,
			Default: k.Default, Value: k.Value, Enabled: k.Enabled,
		}
		for _, e := range k.Menu {
			dev.Menu = append(dev.Menu, apitype.MenuEntry{Value: e.Value, Name: e.Label})
		}
		_, dev.Kept = kept[k.Name]
		out = append(out, dev)
	}
	return out
}

// SetControls sets controls of a camera, all or none, and keeps them for it, for
// whoever by is. A value that is the driver's own is not kept: to set it takes back
// what was. It gives all of the camera's controls as they are then. A camera that
// runs for the call goes on. Errors are *apitype.Problem, or the store's.
func (d *Devices) SetControls(_ context.Context, id string, values map[string]int32, by string) ([]apitype.DeviceControl, error) {
	dev, err := d.find(id, apitype.KindCamera)
	if err != nil {
		return nil, err
	}
	if !dev.Present {
		return nil, missingProblem("set the controls")
	}
	if err := d.roomFor(dev.ID, values); err != nil {
		return nil, err
	}
	if _, err := d.prober.SetControls(dev.Path, values); err != nil {
		return nil, controlProblem(err)
	}
	err = d.change(controlText(dev.ID, values, by), func(b *store.Bindings) error {
		merged := d.keptControls(dev.ID)
		if merged == nil {
			merged = map[string]int32{}
		}
		maps.Copy(merged, values)
		for _, c := range dev.Controls {
			if merged[c.Name] == c.Default {
				delete(merged, c.Name)
			}
		}
		if b.Controls == nil {
			b.Controls = map[string]map[string]int32{}
		}
		delete(b.Controls, d.names.Former(dev.ID))
		delete(b.Controls, dev.ID)
		if len(merged) > 0 {
			b.Controls[dev.ID] = merged
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	if err := d.lookForCameras(true); err != nil {
		d.log.Warn("the controls are shown as they were", "error", err)
	}
	d.o.Shown()
	if dev, err = d.find(dev.ID, apitype.KindCamera); err != nil {
		return nil, err
	}
	return dev.Controls, nil
}

// roomFor refuses what could not be kept.
func (d *Devices) roomFor(id string, values map[string]int32) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	merged := d.keptControls(id)
	if merged == nil && len(d.kept.Controls) >= store.MaxDevices {
		return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeControlValue,
			fmt.Sprintf("cannot keep controls of more than %d cameras", store.MaxDevices), "")
	}
	if merged == nil {
		merged = map[string]int32{}
	}
	maps.Copy(merged, values)
	if len(values) == 0 || len(merged) > store.MaxControls {
		return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeControlValue,
			fmt.Sprintf("cannot keep %d controls of a camera", len(merged)), fmt.Sprintf("name 1 to %d", store.MaxControls))
	}
	return nil
}

// controlText is the audit's line: what was set, in the order of the names.
func controlText(id string, values map[string]int32, by string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "controls done device=%s", id)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		fmt.Fprintf(&b, " %s=%d", identifier(name, ""), values[name])
	}
	return b.String() + " by: " + by
}

// controlProblem says why controls were not set.
func controlProblem(err error) error {
	switch {
	case errors.Is(err, camera.ErrControlUnknown):
		return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeControlUnknown,
			sentence("cannot set the controls", err), "GET "+apitype.RouteDevices+" lists the camera's")
	case errors.Is(err, camera.ErrControlValue):
		return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeControlValue,
			sentence("cannot set the controls", err), "GET "+apitype.RouteDevices+" has range, step and menu of each")
	default:
		return deviceProblem("set the controls", err)
	}
}
