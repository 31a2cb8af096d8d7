package devices

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/store"
)

// kindOf is the kind of device that a role takes; "" for no role.
func kindOf(role string) string {
	switch role {
	case apitype.RoleFace, apitype.RoleDocument, apitype.RoleExam:
		return apitype.KindCamera
	case apitype.RoleMicrophone:
		return apitype.KindMicrophone
	case apitype.RoleSpeaker:
		return apitype.KindSpeaker
	default:
		return ""
	}
}

// cameraRoles are a camera's, in the order in which they are used.
func cameraRoles() []string {
	return []string{apitype.RoleFace, apitype.RoleDocument, apitype.RoleExam}
}

func allRoles() []string {
	return append(cameraRoles(), apitype.RoleMicrophone, apitype.RoleSpeaker)
}

// bound is the name of the device that is bound to a role; "" for none. The caller
// holds mu.
func (d *Devices) bound(role string) string { return d.names.Resolve(d.kept.Roles[role]) }

// roleBound is the role that a device is bound to; "" for none. The caller holds mu.
func (d *Devices) roleBound(id string) string {
	for _, role := range allRoles() {
		if id != "" && d.bound(role) == id {
			return role
		}
	}
	return ""
}

// face is the name of the camera that is used first: the bound one, also while it is
// not plugged in, else the configured one, else the first that no other role has.
// The caller holds mu.
func (d *Devices) face() string {
	if id := d.bound(apitype.RoleFace); id != "" {
		return id
	}
	first := ""
	for _, c := range d.cameras {
		if f := d.cfg.Camera.Face; f != "" && (c.id == f || c.Path == f || c.Base == f || c.ID == f) {
			return c.id
		}
		if first == "" && d.roleBound(c.id) == "" {
			first = c.id
		}
	}
	return first
}

// ordered lists the cameras by their roles, those without one behind. The caller
// holds mu.
func (d *Devices) ordered() []aCamera {
	roles := map[string]int{}
	for i, role := range cameraRoles() {
		roles[d.bound(role)] = i + 1
	}
	roles[d.face()] = 1
	rank := func(c aCamera) int {
		if n := roles[c.id]; n > 0 {
			return n
		}
		return len(cameraRoles()) + 1
	}
	list := slices.Clone(d.cameras)
	slices.SortStableFunc(list, func(a, b aCamera) int { return rank(a) - rank(b) })
	return list
}

// SetRole binds a device to a role for good, or with an empty id takes the binding
// away, for whoever by is. A device has one role: what it had before it loses. Errors
// are *apitype.Problem, or the store's.
func (d *Devices) SetRole(role, id, by string) error {
	kind := kindOf(role)
	if kind == "" {
		return apitype.NewProblem(http.StatusNotFound, apitype.CodeRoleUnknown,
			"cannot find this role", "the roles are face, document, exam, microphone, speaker")
	}
	if id != "" {
		device, err := d.find(id, "")
		if err != nil {
			return err
		}
		if device.Kind != kind {
			return apitype.NewProblem(http.StatusUnprocessableEntity, apitype.CodeRoleKind,
				fmt.Sprintf("cannot bind a %s to the role %s", device.Kind, role), "this role takes a "+kind)
		}
		id = device.ID
	}
	text := fmt.Sprintf("role done role=%s device=%s by: %s", role, id, by)
	err := d.change(text, func(b *store.Bindings) error {
		for other := range b.Roles {
			if d.names.Resolve(b.Roles[other]) == id {
				delete(b.Roles, other)
			}
		}
		if id == "" {
			delete(b.Roles, role)
			return nil
		}
		if b.Roles == nil {
			b.Roles = map[string]string{}
		}
		b.Roles[role] = id
		return nil
	})
	if err != nil {
		return err
	}
	if role == apitype.RoleMicrophone {
		d.mu.Lock()
		if d.mic.again != nil {
			d.mic.again() // the call goes on with the one that is wanted now
		}
		d.mu.Unlock()
	}
	d.o.Changed()
	d.o.Shown()
	return nil
}

// change changes what is kept for good, together with its entry in the audit.
func (d *Devices) change(text string, do func(*store.Bindings) error) error {
	d.saving.Lock()
	defer d.saving.Unlock()
	d.mu.Lock()
	next := d.kept.Clone()
	err := do(&next)
	d.mu.Unlock()
	if err != nil {
		return err
	}
	if err := d.o.Store.SaveBindings(next, auditEntry(text)); err != nil {
		d.log.Error("cannot keep a change of the devices", "error", err)
		return unavailable(err)
	}
	d.mu.Lock()
	d.kept = next
	d.mu.Unlock()
	return nil
}

func auditEntry(text string) store.Entry {
	return store.Entry{At: time.Now().UTC(), Kind: "audit", Text: text}
}

// unavailable is the problem of what the store did not take.
func unavailable(err error) error {
	if errors.Is(err, store.ErrFull) {
		return apitype.NewProblem(http.StatusServiceUnavailable, "store_full",
			"cannot do this: the kiosk's disk is full", "free some space in the state directory")
	}
	return apitype.NewProblem(http.StatusServiceUnavailable, "store_unavailable",
		"cannot do this: it cannot be written to the disk", "try again in a second; if it stays so, look at the disk: see journalctl -u kioskd")
}
