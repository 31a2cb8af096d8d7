package devices

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"kioskd/capture/camera"
	"kioskd/configs"
	"kioskd/daemon/api/apitype"
	"kioskd/store"
)

// roles lists who has which.
func roles(k *kiosk) string {
	var list []string
	for _, d := range k.List() {
		if d.Role != "" {
			list = append(list, d.Role+"="+d.ID)
		}
	}
	slices.Sort(list)
	return strings.Join(list, " ")
}

func code(err error) string {
	var p *apitype.Problem
	if errors.As(err, &p) {
		return p.Code
	}
	if err != nil {
		return err.Error()
	}
	return ""
}

// texts are the audit's entries, without who asked.
func (k *kiosk) texts() string {
	k.t.Helper()
	list, err := k.store.Journal(100)
	if err != nil {
		k.t.Fatal(err)
	}
	var out []string
	for _, e := range list {
		text, by, _ := strings.Cut(e.Text, " by: ")
		if e.Kind != "audit" || by != "somebody" || e.At.IsZero() {
			k.t.Errorf("the entry is %+v", e)
		}
		out = append(out, text)
	}
	return strings.Join(out, "; ")
}

func TestRolesAreKept(t *testing.T) {
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
	k.seen("a", "b")
	k.heardOf("m")
	for _, c := range []struct{ role, id, want, roles string }{
		{"face", "b", "", "face=b microphone=mic-mic speaker=out-speaker"},
		{"document", "a", "", "document=a face=b microphone=mic-mic speaker=out-speaker"},
		{"document", "b", "", "document=b face=a microphone=mic-mic speaker=out-speaker"}, // it was the face
		{"microphone", "m", "", "document=b face=a microphone=m speaker=out-speaker"},
		{"speaker", "out-speaker", "", "document=b face=a microphone=m speaker=out-speaker"},
		{"face", "m", apitype.CodeRoleKind, "document=b face=a microphone=m speaker=out-speaker"},
		{"microphone", "a", apitype.CodeRoleKind, "document=b face=a microphone=m speaker=out-speaker"},
		{"cook", "a", apitype.CodeRoleUnknown, "document=b face=a microphone=m speaker=out-speaker"},
		{"face", "nobody", apitype.CodeDeviceUnknown, "document=b face=a microphone=m speaker=out-speaker"},
		{"microphone", "", "", "document=b face=a microphone=mic-mic speaker=out-speaker"},
		{"exam", "", "", "document=b face=a microphone=mic-mic speaker=out-speaker"},
	} {
		err := k.SetRole(c.role, c.id, "somebody")
		if code(err) != c.want || roles(k) != c.roles {
			t.Errorf("%s to %q: %v, then %s; want %s", c.role, c.id, err, roles(k), c.roles)
		}
	}
	if got, want := k.texts(), "role done role=face device=b; role done role=document device=a; role done role=document device=b; "+
		"role done role=microphone device=m; role done role=speaker device=out-speaker; role done role=microphone device=; role done role=exam device="; got != want {
		t.Errorf("the audit is %q, want %q", got, want)
	}
	k.shut()
	again := newKioskAt(t, k.dir, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
	again.seen("c", "a") // renumbered, and one is gone
	again.heardOf("m")
	if got := roles(again); got != "document=b face=c microphone=mic-mic speaker=out-speaker" {
		t.Errorf("after a restart: %s", got)
	}
	if again.SetRole("document", "b", "somebody") != nil { // it is known, though not plugged in
		t.Error("a missing device cannot be bound again")
	}
}

// A full disk is told as one: the way out is another.
func TestUnavailable(t *testing.T) {
	for err, want := range map[error]string{
		fmt.Errorf("cannot keep it: %w", store.ErrFull): "store_full", store.ErrReadOnly: "store_unavailable",
	} {
		if got := unavailable(err); code(got) != want {
			t.Errorf("%v gives %v, want %s", err, got, want)
		}
	}
}

// A binding that is not on the disk does not hold.
func TestRoleThatCannotBeKept(t *testing.T) {
	k := newKiosk(t)
	k.seen("a", "b")
	if err := k.store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := k.SetRole("face", "b", "somebody"); code(err) != "store_unavailable" || !strings.HasPrefix(roles(k), "face=a") {
		t.Errorf("%v, then %s", err, roles(k))
	}
	k.store = nil // it is closed
}

// A role that was given before a twin showed up stays with the one that had it,
// wherever the numbers go.
func TestRoleOfATwin(t *testing.T) {
	k := newKiosk(t)
	k.seen("x@usb-1-1", "c@usb-1-2")
	if err := k.SetRole("face", "c", "somebody"); err != nil {
		t.Fatal(err)
	}
	if err := k.change("", func(b *store.Bindings) error { b.Controls = map[string]map[string]int32{"c": {"zoom": 7}}; return nil }); err != nil {
		t.Fatal(err)
	}
	k.cam.next = chosen{"c", "/dev/video1"}
	k.cameraHeld("/dev/video1", true)
	k.seen("c@usb-1-3", "c@usb-1-2", "x@usb-1-1")
	if got := roles(k); !strings.HasPrefix(got, "face=c-at-usb-1-2") || k.holds["c-at-usb-1-2"] != bySession || k.open["/dev/video1"] != "c-at-usb-1-2" {
		t.Errorf("with the twin: %s, held %v", got, k.holds)
	}
	if k.keptControls("c-at-usb-1-2")["zoom"] != 7 || len(k.keptControls("c-at-usb-1-3")) > 0 {
		t.Errorf("the controls are %v and %v", k.keptControls("c-at-usb-1-2"), k.keptControls("c-at-usb-1-3"))
	}
	if d, err := k.find("c", apitype.KindCamera); err != nil || d.ID != "c-at-usb-1-2" { // an old name still leads there
		t.Errorf("found %+v, %v", d, err)
	}
	k.cameraHeld("/dev/video1", false)
	if len(k.holds) > 0 {
		t.Errorf("closed, and held is %v", k.holds)
	}
	k.shut()
	again := newKioskAt(t, k.dir)
	again.seen("c@usb-1-3") // the other one alone does not take its place
	if got := roles(again); !strings.Contains(got, "face=c-at-usb-1-2") {
		t.Errorf("after a restart: %s", got)
	}
	again.seen("c@usb-1-3", "c@usb-1-2")
	if got := again.List()[0]; got.ID != "c-at-usb-1-2" || got.Role != "face" || !got.Present {
		t.Errorf("with both: %+v", got)
	}
}

func TestControlsAreBounded(t *testing.T) {
	k := newKiosk(t)
	k.seen("a")
	many := map[string]int32{}
	for i := range store.MaxControls + 1 {
		many[strings.Repeat("x", i+1)] = 1
	}
	for name, c := range map[string]struct {
		id     string
		values map[string]int32
		want   string
	}{
		"none":           {"a", nil, apitype.CodeControlValue},
		"too many":       {"a", many, apitype.CodeControlValue},
		"unknown camera": {"b", map[string]int32{"zoom": 1}, apitype.CodeDeviceUnknown},
		"no camera":      {"out-speaker", map[string]int32{"zoom": 1}, apitype.CodeDeviceUnknown},
		"gone meanwhile": {"a", map[string]int32{"zoom": 1}, apitype.CodeDeviceMissing},
	} {
		if _, err := k.SetControls(context.Background(), c.id, c.values, "somebody"); code(err) != c.want {
			t.Errorf("%s: %v, want %s", name, err, c.want)
		}
	}
	k.kept.Controls = map[string]map[string]int32{}
	for i := range store.MaxDevices {
		k.kept.Controls[strings.Repeat("d", i+1)] = map[string]int32{"zoom": 1}
	}
	if _, err := k.SetControls(context.Background(), "a", map[string]int32{"zoom": 1}, "somebody"); code(err) != apitype.CodeControlValue {
		t.Errorf("one camera too many: %v", err)
	}
	if got := k.texts(); got != "" {
		t.Errorf("what was not done is in the audit: %s", got)
	}
}

func TestControlProblems(t *testing.T) {
	for err, want := range map[error]string{
		camera.ErrControlUnknown: apitype.CodeControlUnknown, camera.ErrControlValue: apitype.CodeControlValue,
		camera.ErrGone: apitype.CodeDeviceMissing, camera.ErrBusy: apitype.CodeDeviceFailed, camera.ErrHung: apitype.CodeDeviceFailed,
		errors.New(strings.Repeat("é", 1000)): apitype.CodeDeviceFailed,
	} {
		var p *apitype.Problem
		if got := controlProblem(err); !errors.As(got, &p) || p.Code != want || !strings.HasPrefix(p.Detail, "cannot ") || len(p.Detail) > 330 {
			t.Errorf("%.40v: %v", err, got)
		}
	}
}
