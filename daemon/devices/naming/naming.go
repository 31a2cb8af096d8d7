// Package naming gives each device its identity: the name under which it is bound
// to a role and known to the API, whatever its node or its card's number is today.
//
// A device that has a serial number of its own keeps its name wherever it is plugged
// in. Makers who give a whole series one number sell twins: those are told apart by
// their ports, and stay so for good, for whoever has two will unplug one of them, and
// the other must not take its place.
//
// It is pure: what is listed and what was known before goes in, names and what is
// known now come out. Imported by daemon/devices. Imports: standard library.
package naming

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
)

// Device is what tells one device from another. Both are of [A-Za-z0-9._-].
type Device struct {
	Base string // maker, product and serial number; where there is none, the port
	Port string // where it is plugged in; "" unknown
}

// Bounds.
const (
	maxID      = 128 // bytes of a name
	MaxEntries = 128 // bases that are remembered; the longest unseen goes
)

// unknownPort stands for a port that nobody knows.
const unknownPort = "unknown"

// Memory is what is known of the devices that were ever here. The zero value knows
// none. It is a value: no method changes it.
type Memory struct {
	entries map[string]entry
	looks   uint64
}

// entry is what is known of a base.
type entry struct {
	// Port is where the only one of this base stood last. Once there were two it stays
	// what it was: the name without a port, if it was ever given, means the one there.
	Port string `json:"port,omitempty"`
	// Alone: it was seen without another, so that its name was once the base alone.
	Alone bool `json:"alone,omitempty"`
	// Twins: two were seen at a time.
	Twins bool   `json:"twins,omitempty"`
	Look  uint64 `json:"look"` // when it was seen last, counted in looks that brought news
}

// Name gives each of the listed devices its name, in the order of the list, and what
// is known after this look; changed tells that this has to be kept. All names of a
// look differ: where one device shows itself twice on one port the later ones get a
// number.
func (m Memory) Name(list []Device) (ids []string, next Memory, changed bool) {
	next = Memory{entries: maps.Clone(m.entries), looks: m.looks + 1}
	if next.entries == nil {
		next.entries = map[string]entry{}
	}
	ports := map[string][]string{}
	for _, d := range list {
		if !slices.Contains(ports[d.Base], d.Port) {
			ports[d.Base] = append(ports[d.Base], d.Port)
		}
	}
	for base, at := range ports {
		old, known := next.entries[base]
		now := old
		if len(at) > 1 {
			now.Twins = true
		} else if !old.Twins {
			now.Port, now.Alone = at[0], true
		}
		changed = changed || !known || now != old
		now.Look = next.looks
		next.entries[base] = now
	}
	next.bound(len(ports))
	taken := map[string]bool{}
	for _, d := range list {
		ids = append(ids, free(taken, next.id(d)))
	}
	if !changed {
		return ids, m, false // not worth a write
	}
	return ids, next, true
}

// bound forgets what was not seen for the longest time; of twins last, for their names
// depend on it. What is listed now stays.
func (m *Memory) bound(listed int) {
	for len(m.entries) > max(MaxEntries, listed) {
		oldest := ""
		for base, e := range m.entries {
			o, any := m.entries[oldest]
			older := e.Look < o.Look || e.Look == o.Look && base < oldest
			if !any || (o.Twins && !e.Twins) || o.Twins == e.Twins && older {
				if e.Look != m.looks {
					oldest = base
				}
			}
		}
		if _, found := m.entries[oldest]; !found {
			return
		}
		delete(m.entries, oldest)
	}
}

func (m Memory) id(d Device) string {
	if !m.entries[d.Base].Twins {
		return fit(d.Base, "")
	}
	return m.at(d.Base, d.Port)
}

func (m Memory) at(base, port string) string {
	if port == "" {
		port = unknownPort
	}
	return fit(base, "-at-"+port)
}

// Resolve gives the name that a name leads to now. It is another one where the name
// was given before a twin showed up: then it means the one that stood alone. Names that
// mean nothing else come back as they are.
func (m Memory) Resolve(id string) string {
	for base, e := range m.entries {
		if e.Twins && e.Alone && fit(base, "") == id {
			return m.at(base, e.Port)
		}
	}
	return id
}

// Former gives the name under which the device was known before its twin showed up;
// "" where there is none.
func (m Memory) Former(id string) string {
	for base, e := range m.entries {
		if e.Twins && e.Alone && m.at(base, e.Port) == id {
			return fit(base, "")
		}
	}
	return ""
}

// free makes a name that is not taken yet.
func free(taken map[string]bool, id string) string {
	got := id
	for n := 2; taken[got]; n++ {
		got = fit(id, fmt.Sprintf("-%d", n))
	}
	taken[got] = true
	return got
}

// fit joins a name and its end; of a name that is too long a hash stays.
func fit(name, end string) string {
	if len(end) > maxID/2 {
		end = shorten(end, maxID/2)
	}
	return shorten(name, maxID-len(end)) + end
}

func shorten(s string, most int) string {
	if len(s) <= most {
		return s
	}
	sum := sha256.Sum256([]byte(s))
	hash := "-" + hex.EncodeToString(sum[:6])
	return s[:most-len(hash)] + hash
}

// stored is the form in which a Memory is kept.
type stored struct {
	Version int              `json:"version"`
	Looks   uint64           `json:"looks"`
	Entries map[string]entry `json:"entries"`
}

const version = 1

// Encode gives what Decode reads.
func (m Memory) Encode() ([]byte, error) {
	b, err := json.Marshal(stored{version, m.looks, m.entries})
	if err != nil {
		return nil, fmt.Errorf("cannot keep the devices' names: %w", err)
	}
	return b, nil
}

// Decode reads what Encode wrote; nothing at all is a Memory that knows none.
func Decode(b []byte) (Memory, error) {
	if len(b) == 0 {
		return Memory{}, nil
	}
	var s stored
	if err := json.Unmarshal(b, &s); err != nil || s.Version != version {
		return Memory{}, fmt.Errorf("cannot read the devices' names: they are damaged or of another version (%d)", s.Version)
	}
	if len(s.Entries) > 4*MaxEntries {
		return Memory{}, fmt.Errorf("cannot read the devices' names: %d are too many", len(s.Entries))
	}
	return Memory{entries: s.Entries, looks: s.Looks}, nil
}
