package screen

import (
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"time"

	"kioskd/daemon/backend/reach"
)

// Bounds of what a patch may hold.
const (
	maxPatches = 64
	minTimeout = time.Second
	maxTimeout = 24 * time.Hour
)

// titleKey is the key of the patch that changes the screen's title.
const titleKey = "title"

// references are the screen's controls as the user's contract names them, and
// chat. A patch of anything else is not looked at: those elements are not ours.
func references() []string {
	return []string{"start-call", "end-call", "report-issue", "spacer", "swap-camera", "disable-video", "mute", "chat"}
}

// Patch is what the backend changes of its screen.
type Patch struct {
	// Title is the new title, at most 500 characters; nil: as before. Patient
	// data.
	Title *string
	// Controls are the changed controls by reference; nil where there are none.
	Controls map[string]ControlPatch
	// Update is where to send the next PATCH: absolute and allowed, at most 2048
	// bytes; "" is "as before". It holds the appointment: patient data.
	Update string
	// Timeout is when to send it: 1 s to 24 h, 0 is never.
	Timeout time.Duration
	// Date is the answer's Date header in what Refresh returns, else zero.
	Date time.Time
}

// ControlPatch changes one control; nil is "as before".
type ControlPatch struct{ Visible, Enabled *bool }

// String shows how much changes, not what is written.
func (p Patch) String() string {
	title := "none"
	if p.Title != nil {
		title = "[redacted]"
	}
	return fmt.Sprintf("Patch{Title:%s Controls:%d Update:%t Timeout:%v}", title, len(p.Controls), p.Update != "", p.Timeout)
}

// GoString hides the same from %#v.
func (p Patch) GoString() string { return p.String() }

// LogValue hides the same from log/slog.
func (p Patch) LogValue() slog.Value { return slog.StringValue(p.String()) }

// wirePatch is the JSON that a screen and the answer of a PATCH share.
type wirePatch struct {
	Patches map[string]json.RawMessage `json:"patches"`
	Update  *string                    `json:"update"`
	Timeout *float64                   `json:"timeout"` // seconds
}

// ParsePatch reads the answer of a PATCH that went to the address. All fields
// may be missing: then nothing changes and no further PATCH is due.
func ParsePatch(data []byte, from *url.URL, allowed reach.Hosts) (Patch, error) {
	var wire *wirePatch
	if err := decode(data, &wire); err != nil {
		return Patch{}, err
	}
	if wire == nil {
		return Patch{}, wrongScreen("it is of the kind null")
	}
	patch, problems := wire.check(from, allowed)
	if len(problems) > 0 {
		return Patch{}, wrongScreen(problems...)
	}
	return patch, nil
}

// check turns a wirePatch into a Patch, or says all that is wrong.
func (w *wirePatch) check(from *url.URL, allowed reach.Hosts) (Patch, []string) {
	var patch Patch
	var problems []string
	if w.Update != nil {
		update, problem := resolve(from, *w.Update, allowed)
		if problem != "" {
			problems = append(problems, problem)
		}
		patch.Update = update
	}
	if w.Timeout != nil {
		timeout, ok := period(*w.Timeout)
		if !ok {
			problems = append(problems, "timeout is not a number of seconds from 0 on")
		}
		patch.Timeout = timeout
	}
	if len(w.Patches) > maxPatches {
		return Patch{}, append(problems, fmt.Sprintf("patches has more than %d entries", maxPatches))
	}
	if raw, ok := w.Patches[titleKey]; ok {
		title, problem := titleOf(raw)
		if problem != "" {
			problems = append(problems, problem)
		}
		patch.Title = title
	}
	for _, reference := range references() {
		raw, ok := w.Patches[reference]
		if !ok {
			continue
		}
		control, problem := controlOf(reference, raw)
		if problem != "" {
			problems = append(problems, problem)
		}
		if control == (ControlPatch{}) {
			continue
		}
		if patch.Controls == nil {
			patch.Controls = map[string]ControlPatch{}
		}
		patch.Controls[reference] = control
	}
	return patch, problems
}

// resolve gives the absolute address of the next PATCH, or what is wrong.
func resolve(from *url.URL, reference string, allowed reach.Hosts) (address, problem string) {
	if len(reference) > maxRoomURL {
		return "", fmt.Sprintf("update is longer than %d bytes", maxRoomURL)
	}
	u, problem := allowed.Resolve(from, reference)
	switch {
	case problem != "":
		return "", "update names " + problem
	case len(u.String()) > maxRoomURL:
		return "", fmt.Sprintf("update is longer than %d bytes", maxRoomURL)
	default:
		return u.String(), ""
	}
}

// period bounds the backend's seconds. 0 is "no timer", as if it were absent: a
// PATCH a second would help nobody. What lies outside 1 s to 24 h is moved to the
// nearer end.
func period(seconds float64) (time.Duration, bool) {
	switch {
	case !(seconds >= 0): // NaN, too
		return 0, false
	case seconds == 0:
		return 0, true
	case seconds >= maxTimeout.Seconds(): // before the product can overflow
		return maxTimeout, true
	default:
		return max(minTimeout, time.Duration(seconds*float64(time.Second))), true
	}
}

// titleOf reads the title's patch.
func titleOf(raw json.RawMessage) (*string, string) {
	var wire struct {
		Value *string `json:"value"`
	}
	if problem := element(titleKey, raw, &wire); problem != "" {
		return nil, problem
	}
	if wire.Value != nil && !text(*wire.Value, maxTitle) {
		return nil, fmt.Sprintf("patches.title.value is not at most %d printable characters", maxTitle)
	}
	return wire.Value, ""
}

// controlOf reads a control's patch.
func controlOf(reference string, raw json.RawMessage) (ControlPatch, string) {
	var wire struct {
		Visible *bool `json:"visible"`
		Enabled *bool `json:"enabled"`
	}
	if problem := element(reference, raw, &wire); problem != "" {
		return ControlPatch{}, problem
	}
	return ControlPatch{wire.Visible, wire.Enabled}, ""
}

// element reads one entry of patches; the key is one of ours.
func element(key string, raw json.RawMessage, into any) string {
	err := json.Unmarshal(raw, into)
	var kind *json.UnmarshalTypeError
	switch {
	case err == nil:
		return ""
	case errors.As(err, &kind) && kind.Field != "":
		return ofKind("patches."+key+"."+kind.Field, kind)
	case errors.As(err, &kind):
		return ofKind("patches."+key, kind)
	default:
		return "patches." + key + " is not JSON"
	}
}

// Refusal is the body of a 405: the published PATCH format with an error.
type Refusal struct {
	// Code is the body's error, [a-z][a-z0-9_]{0,63}; "" where it names none.
	Code string
	// Patch is what changes on the screen.
	Patch Patch
}

var stateWord = regexp.MustCompile(`^[a-z][a-z0-9_]{0,63}$`)

// ParseRefusal reads the body of a 405 from the address. The status has already
// said no, so nothing in the body is an error: what is wrong is left out, a
// wrong patch as a whole.
func ParseRefusal(data []byte, from *url.URL, allowed reach.Hosts) Refusal {
	var refusal Refusal
	var wire struct {
		Error json.RawMessage `json:"error"`
	}
	if err := decode(data, &wire); err != nil {
		return Refusal{}
	}
	var code string
	if err := json.Unmarshal(wire.Error, &code); err == nil && stateWord.MatchString(code) {
		refusal.Code = code
	}
	if patch, err := ParsePatch(data, from, allowed); err == nil {
		refusal.Patch = patch
	}
	return refusal
}
