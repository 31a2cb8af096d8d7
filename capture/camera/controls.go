package camera

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"
)

// Control is one setting of a camera.
type Control struct {
	ID uint32 // V4L2_CID_*
	// Name is as v4l2-ctl spells it, such as white_balance_automatic; Label is the driver's.
	Name, Label string
	Type        string // integer, boolean (0 or 1) or menu (one of Menu)
	// Value is what is set now, Min to Max in steps of Step what can be.
	Min, Max, Step, Default, Value int32
	Menu                           []MenuEntry // of a menu only
	// Enabled is false while it cannot be set: an automatic control rules it, or
	// another program holds it.
	Enabled bool
}

// MenuEntry is one value of a menu.
type MenuEntry struct {
	Value int32
	Label string
}

// The types of a Control.
const (
	ControlInteger = "integer"
	ControlBoolean = "boolean"
	ControlMenu    = "menu"
)

const (
	// maxControls and maxEntries bound what a driver can make us ask.
	maxControls = 128
	maxEntries  = 64
)

// readControls lists the controls of an open camera that somebody can set: those
// of the user and the camera class (kernel documentation, "Control Reference").
// Headings, buttons, bit masks, 64-bit values and what is read-only are left out.
func readControls(fd int) []Control {
	var out []Control
	names := map[string]int{}
	id := uint32(0)
	for range maxControls {
		q, err := queryControl(fd, id|ctrlFlagNext)
		if err != nil || q.id <= id {
			break // EINVAL behind the last one
		}
		id = q.id
		if c, ok := controlOf(fd, q); ok {
			// v4l2-ctl would take the first of one name.
			if names[c.Name]++; names[c.Name] > 1 {
				c.Name = fmt.Sprintf("%s_%d", c.Name, names[c.Name])
			}
			out = append(out, c)
		}
	}
	return out
}

// controlOf reads value and menu of what QUERYCTRL told of; false: it is none that
// can be set.
func controlOf(fd int, q v4l2QueryCtrl) (Control, bool) {
	class := q.id & ctrlClassMask
	if class != ctrlClassUser && class != ctrlClassCamera || q.flags&(ctrlFlagDisabled|ctrlFlagReadOnly|ctrlFlagWriteOnly) != 0 {
		return Control{}, false
	}
	c := Control{
		ID: q.id, Label: printable(webcam.CToGoString(q.name[:])), Min: q.minimum, Max: q.maximum, Step: max(q.step, 1),
		Default: q.defaultValue, Enabled: q.flags&(ctrlFlagGrabbed|ctrlFlagInactive) == 0,
	}
	switch q.typ {
	case ctrlTypeInteger:
		c.Type = ControlInteger
	case ctrlTypeBoolean:
		c.Type = ControlBoolean
	case ctrlTypeMenu:
		c.Type = ControlMenu
		c.Menu = readMenu(fd, q)
	default:
		return Control{}, false
	}
	if c.Name = controlName(c.Label); c.Name == "" {
		return Control{}, false
	}
	var err error
	c.Value, err = readControl(fd, c.ID)
	return c, err == nil
}

// readMenu reads a menu's entries; a menu may have holes.
func readMenu(fd int, q v4l2QueryCtrl) []MenuEntry {
	var out []MenuEntry
	for i := int64(max(q.minimum, 0)); i <= int64(q.maximum) && len(out) < maxEntries && i < 1024; i++ {
		if label, err := queryMenu(fd, q.id, uint32(i)); err == nil {
			out = append(out, MenuEntry{Value: int32(i), Label: printable(label)})
		}
	}
	return out
}

// controlName spells a control's name as v4l2-ctl does: lower case, each run of
// other characters than letters and digits one underscore, none at the ends.
func controlName(label string) string {
	return strings.Join(strings.FieldsFunc(strings.ToLower(label), func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9')
	}), "_")
}

// check says whether the control takes the value, and what it takes.
func (c Control) check(v int32) error {
	bad := func(format string, a ...any) error {
		return fmt.Errorf("cannot set %s to %d: use %s: %w", c.Name, v, fmt.Sprintf(format, a...), ErrControlValue)
	}
	switch {
	case c.Type == ControlMenu:
		if slices.ContainsFunc(c.Menu, func(e MenuEntry) bool { return e.Value == v }) {
			return nil
		}
		var all []string
		for _, e := range c.Menu {
			all = append(all, fmt.Sprintf("%d (%s)", e.Value, e.Label))
		}
		return bad("one of %s", strings.Join(all, ", "))
	case v >= c.Min && v <= c.Max && (int64(v)-int64(c.Min))%int64(c.Step) == 0:
		return nil
	case c.Type == ControlBoolean:
		return bad("0 or 1")
	case c.Step != 1:
		return bad("%d to %d in steps of %d", c.Min, c.Max, c.Step)
	}
	return bad("%d to %d", c.Min, c.Max)
}

// setting is a value that is to be set.
type setting struct {
	Control
	value int32
}

// settings finds the controls of the values and checks these, in an order in
// which they can be set: switches and menus before numbers, for whatever is
// automatic is switched by one of those and makes the numbers it rules
// inactive (kernel documentation, "User Controls", V4L2_CTRL_FLAG_INACTIVE).
func settings(all []Control, values map[string]int32) ([]setting, error) {
	var out []setting
	var errs []error
	for name, v := range values {
		i := slices.IndexFunc(all, func(c Control) bool { return c.Name == name })
		if i < 0 {
			errs = append(errs, fmt.Errorf("cannot set %.64q: %w", name, ErrControlUnknown))
			continue
		}
		errs = append(errs, all[i].check(v))
		out = append(out, setting{all[i], v})
	}
	rank := func(c Control) int {
		if c.Type == ControlInteger {
			return 1
		}
		return 0
	}
	slices.SortFunc(out, func(a, b setting) int { return cmp.Or(rank(a.Control)-rank(b.Control), cmp.Compare(a.ID, b.ID)) })
	return out, errors.Join(errs...)
}

// setControls opens the camera and sets all of the values or none.
func setControls(path string, values map[string]int32) ([]Control, error) {
	cam, err := webcam.Open(path)
	if err != nil {
		return nil, classify("open", path, err)
	}
	defer func() { _ = cam.Close() }()
	fd, err := descriptor(cam)
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(fd)
	set, err := settings(readControls(fd), values)
	if err != nil {
		return nil, err
	}
	for i, s := range set {
		if err := setOne(fd, s); err != nil {
			return nil, errors.Join(fmt.Errorf("cannot set up camera %s: %w", path, err), putBack(fd, set[:i]))
		}
	}
	return readControls(fd), nil
}

// setOne sets a control, unless it is ruled by another one as things are now.
func setOne(fd int, s setting) error {
	q, err := queryControl(fd, s.ID)
	switch {
	case err != nil:
		return classifyControl(s, err)
	case q.flags&ctrlFlagInactive != 0:
		return fmt.Errorf("cannot set %s: an automatic control rules it, switch that off first: %w", s.Name, ErrControlValue)
	case q.flags&ctrlFlagGrabbed != 0:
		return classifyControl(s, unix.EBUSY)
	}
	if err := writeControl(fd, s.ID, s.value); err != nil {
		return classifyControl(s, err)
	}
	return nil
}

// classifyControl says why the driver refused: with what it was given, or as for
// any call.
func classifyControl(s setting, err error) error {
	kind := kindOf(err)
	if errors.Is(err, unix.ERANGE) || errors.Is(err, unix.EINVAL) {
		kind = ErrControlValue
	}
	if kind == nil {
		return fmt.Errorf("cannot set %s to %d: %w", s.Name, s.value, err)
	}
	return fmt.Errorf("cannot set %s to %d: %w: %w", s.Name, s.value, err, kind)
}

// putBack sets the old values again, the last one first, so that numbers are back
// before the switch that rules them.
func putBack(fd int, set []setting) error {
	var errs []error
	for _, s := range slices.Backward(set) {
		if err := writeControl(fd, s.ID, s.Value); err != nil {
			errs = append(errs, fmt.Errorf("cannot set %s back to %d: %w", s.Name, s.Value, err))
		}
	}
	return errors.Join(errs...)
}

// applyControls sets what can be set of the values: a camera with a wrong
// brightness is better than none. It ends early with ctx.
func applyControls(ctx context.Context, fd int, values map[string]int32, log *slog.Logger) {
	if len(values) == 0 {
		return
	}
	all := readControls(fd)
	for name, v := range values {
		if _, err := settings(all, map[string]int32{name: v}); err != nil {
			log.Warn("a control is left as it is", "control", name, "err", err)
		}
	}
	set, _ := settings(all, values) // what is wrong was told
	for _, s := range set {
		if ctx.Err() != nil {
			return
		}
		if s.check(s.value) != nil {
			continue
		}
		if err := setOne(fd, s); err != nil {
			log.Warn("a control is left as it is", "control", s.Name, "err", err)
		}
	}
}
