package store

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

const canary = "CANARY-patient-4711"

// TestSealed: nothing of a session can be read in any file, in free pages either,
// and what is over cannot be opened again with the keys that are left.
func TestSealed(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	for i := range 50 {
		mustSave(t, s, "one", strings.Repeat(canary, 10+i), false, "no patient here")
	}
	var box, wrapped []byte
	err := s.db.View(func(tx *bolt.Tx) error {
		box = bytes.Clone(tx.Bucket([]byte(bucketSession)).Get([]byte("one")))
		wrapped = bytes.Clone(tx.Bucket([]byte(bucketKeys)).Get([]byte("one")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if found, err := s.vault.unwrap("one", wrapped); err != nil {
		t.Fatal(err)
	} else if _, err := found.open(box); err != nil {
		t.Fatal(err)
	}
	if _, err := s.vault.unwrap("two", wrapped); !errors.Is(err, ErrSealed) {
		t.Error("a key was moved to another record")
	}
	mustSave(t, s, "one", "", true)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	raw, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(raw, wrapped) {
		t.Log("bbolt has overwritten the key's old page this time")
	}
	if !bytes.Contains(raw, []byte("no patient here")) {
		t.Error("the search finds nothing at all: it cannot see")
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		b, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil || bytes.Contains(b, []byte("CANARY")) {
			t.Errorf("%s holds patient data in plain, or: %v", f.Name(), err)
		}
	}
	for _, machine := range [][]byte{nil, s.vault.machine} { // all that is left on the machine
		v, err := openVault(dir, machine)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := v.unwrap("one", wrapped); !errors.Is(err, ErrSealed) {
			t.Error("the key of a finished session can still be unwrapped")
		}
	}
}

func TestKeys(t *testing.T) {
	machine := bytes.Repeat([]byte{7}, keySize)
	t.Run("from outside", func(t *testing.T) {
		dir := t.TempDir()
		s := mustOpen(t, dir, Options{MachineKey: machine})
		mustSave(t, s, "one", "m", false)
		if _, err := os.Stat(filepath.Join(dir, "machine.key")); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("a key of its own was made: %v", err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, dir, Options{MachineKey: bytes.Repeat([]byte{8}, keySize)})
		if id, _, ok, err := s.LoadSession(); !errors.Is(err, ErrSealed) || !ok || id != "one" {
			t.Errorf("with another key: %q %t %v", id, ok, err)
		}
		mustSave(t, s, "two", "n", false) // it goes on all the same
		wantSession(t, s, "two", "n")
	})
	t.Run("of a wrong length", func(t *testing.T) {
		if _, err := Open(t.TempDir(), Options{MachineKey: machine[1:]}); err == nil {
			t.Error("it was taken")
		}
	})
	for _, name := range []string{"machine.key", "session.pepper"} {
		t.Run(name+" cut off", func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir, Options{})
			mustSave(t, s, "one", "m", false)
			if err := errors.Join(s.Close(), os.Truncate(filepath.Join(dir, name), 5)); err != nil {
				t.Fatal(err)
			}
			s = mustOpen(t, dir, Options{})
			if _, _, _, err := s.LoadSession(); !errors.Is(err, ErrSealed) {
				t.Errorf("loaded with %v", err)
			}
			mustSave(t, s, "", "", true)
			mustSave(t, s, "two", "n", false)
			wantSession(t, s, "two", "n")
		})
	}
	t.Run("a record changed on the disk", func(t *testing.T) {
		s := mustOpen(t, t.TempDir(), Options{})
		mustSave(t, s, "one", "m", false)
		err := s.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(bucketSession))
			box := bytes.Clone(b.Get([]byte("one")))
			box[len(box)-1] ^= 1
			return b.Put([]byte("one"), box)
		})
		if err != nil {
			t.Fatal(err)
		}
		if _, _, _, err := s.LoadSession(); !errors.Is(err, ErrSealed) {
			t.Errorf("loaded with %v", err)
		}
	})
}
