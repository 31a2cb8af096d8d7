package devices

// The ones for whom a device is held, as in apitype.Device.UsedBy.
const (
	bySession    = "session"
	byTechnician = "technician"
	byCheck      = "check"
)

// holds are the devices that are open, by name, and for whom.
type holds map[string]string

// take notes a hold. The session's own goes over the others: those end.
func (h holds) take(id, by string) {
	if h[id] != bySession {
		h[id] = by
	}
}

// drop ends the hold of by, and leaves another's alone.
func (h holds) drop(id, by string) {
	if h[id] == by {
		delete(h, id)
	}
}

// chosen is a device that the running Keeper was told to use: its name, and the node or
// ALSA name that opens it.
type chosen struct{ id, path string }
