package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	bolt "go.etcd.io/bbolt"
)

// Bounds of the bindings: what is over them is refused, so that nobody who plugs
// devices in and out makes the store grow.
const (
	MaxRoles    = 16
	MaxDevices  = 64       // that have controls
	MaxControls = 32       // of one device
	maxNames    = 64 << 10 // bytes of Bindings.Names
)

// Bindings are what the kiosk knows of its devices for good. There is no patient's
// data in them; they stand in the clear.
type Bindings struct {
	Roles    map[string]string           // role -> identity of a device
	Controls map[string]map[string]int32 // identity -> control -> the value to set
	Names    []byte                      // how devices are named; the store does not look into it
}

// Clone is a copy that shares no memory.
func (b Bindings) Clone() Bindings {
	c := Bindings{Roles: maps.Clone(b.Roles), Names: slices.Clone(b.Names)}
	if b.Controls != nil {
		c.Controls = make(map[string]map[string]int32, len(b.Controls))
		for id, values := range b.Controls {
			c.Controls[id] = maps.Clone(values)
		}
	}
	return c
}

// The keys of the bucket: a role or an identity comes after its prefix.
const (
	rolePrefix     = "role/"
	controlsPrefix = "controls/"
	namesKey       = "names"
)

func (b Bindings) check() error {
	if len(b.Roles) > MaxRoles || len(b.Controls) > MaxDevices || len(b.Names) > maxNames {
		return fmt.Errorf("cannot keep the bindings: %d roles, %d devices with controls or %d bytes of names are out of bounds",
			len(b.Roles), len(b.Controls), len(b.Names))
	}
	fits := func(s string) bool { return s != "" && len(s) <= maxID }
	for role, id := range b.Roles {
		if !fits(role) || !fits(id) {
			return errors.New("cannot keep the bindings: a role or a device has no name, or one over 128 bytes")
		}
	}
	for id, values := range b.Controls {
		if !fits(id) || len(values) > MaxControls {
			return fmt.Errorf("cannot keep the bindings: a device has %d controls, or no good name", len(values))
		}
		for name := range values {
			if !fits(name) {
				return errors.New("cannot keep the bindings: a control has no name, or one over 128 bytes")
			}
		}
	}
	return nil
}

// Bindings gives what was saved last. A record that cannot be read is left out and
// told in the error beside the rest: a kiosk that has lost one role goes on with the
// others.
func (s *Store) Bindings() (Bindings, error) {
	b := Bindings{Roles: map[string]string{}, Controls: map[string]map[string]int32{}}
	var lost []error
	err := s.view(func(tx *bolt.Tx) error {
		return tx.Bucket([]byte(bucketBindings)).ForEach(func(k, v []byte) error {
			if err := b.take(string(k), v); err != nil {
				lost = append(lost, err)
			}
			return nil
		})
	})
	return b, errors.Join(append(lost, err)...)
}

// take adds one record.
func (b *Bindings) take(key string, value []byte) error {
	if role, ok := strings.CutPrefix(key, rolePrefix); ok {
		b.Roles[role] = string(value)
		return nil
	}
	if id, ok := strings.CutPrefix(key, controlsPrefix); ok {
		var values map[string]int32
		if json.Unmarshal(value, &values) != nil || values == nil {
			return fmt.Errorf("cannot read the controls of device %s: the record is damaged; set them again", id)
		}
		b.Controls[id] = values
		return nil
	}
	if key == namesKey {
		b.Names = slices.Clone(value)
	}
	return nil // of a newer kioskd: it stays out of our way, and goes with the next save
}

// SaveBindings puts b in place of what was saved before, and the journal's entries
// beside it, in one transaction. Errors: ErrFull, with nothing written; ErrReadOnly.
func (s *Store) SaveBindings(b Bindings, journal ...Entry) error {
	if err := b.check(); err != nil {
		return err
	}
	records := map[string][]byte{}
	for role, id := range b.Roles {
		records[rolePrefix+role] = []byte(id)
	}
	for id, values := range b.Controls {
		if len(values) == 0 {
			continue
		}
		text, err := json.Marshal(values)
		if err != nil {
			return fmt.Errorf("cannot keep the bindings: %w", err)
		}
		records[controlsPrefix+id] = text
	}
	if len(b.Names) > 0 {
		records[namesKey] = b.Names
	}
	s.lock.Lock()
	defer s.lock.Unlock()
	return s.update(func(tx *bolt.Tx) error {
		if err := tx.DeleteBucket([]byte(bucketBindings)); err != nil {
			return err
		}
		bucket, err := tx.CreateBucket([]byte(bucketBindings))
		if err != nil {
			return err
		}
		for _, key := range slices.Sorted(maps.Keys(records)) {
			if err := bucket.Put([]byte(key), records[key]); err != nil {
				return err
			}
		}
		return s.append(tx, journal)
	})
}
