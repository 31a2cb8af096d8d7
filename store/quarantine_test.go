package store

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// patient leaves a store with a session and a report, and gives the session's wrapped key
// and the report's record.
func patient(t *testing.T, dir string) (wrapped, value []byte) {
	t.Helper()
	s := mustOpen(t, dir, Options{})
	for i := range 20 {
		mustSave(t, s, "one", strings.Repeat(canary, 10+i), false, "no patient here")
	}
	mustReport(t, s, "told", canary)
	err := s.db.View(func(tx *bolt.Tx) error {
		wrapped = bytes.Clone(tx.Bucket([]byte(bucketKeys)).Get([]byte("one")))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	value = rawReport(t, s, "told")
	if _, err := s.vault.unwrap("one", wrapped); err != nil {
		t.Fatal(err)
	}
	if _, err := openRaw(s, "told", value); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return wrapped, value
}

// TestQuarantinedCopiesStaySealed: a damaged file that was set aside holds nothing of a
// patient that can be read, and nothing that can be opened with the keys that are left on
// the machine, however well its pages are put together again.
func TestQuarantinedCopiesStaySealed(t *testing.T) {
	dir := t.TempDir()
	wrapped, value := patient(t, dir)
	path := filepath.Join(dir, FileName)
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	hurt := bytes.Clone(whole)
	clear(hurt[:2*4096]) // both meta pages: what they led to is all there
	if err := os.WriteFile(path, hurt, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, Options{})
	kept, err := os.ReadFile(s.SetAside())
	if err != nil || !bytes.Contains(kept, wrapped) || !bytes.Contains(kept, value) {
		t.Fatalf("the copy does not hold the sealed records: the test sees nothing, %v", err)
	}
	if info, err := os.Stat(s.SetAside()); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the copy's mode is %v, %v", info.Mode(), err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if b, err := os.ReadFile(filepath.Join(dir, f.Name())); err != nil || bytes.Contains(b, []byte("CANARY")) {
			t.Errorf("%s holds patient data in plain, or: %v", f.Name(), err)
		}
	}
	if _, err := s.vault.unwrap("one", wrapped); !errors.Is(err, ErrSealed) {
		t.Errorf("the session's key can still be unwrapped: %v", err)
	}
	if _, err := openRaw(s, "told", value); err == nil {
		t.Error("the report can still be opened")
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	// Who puts the good file back in its place has the same keys, and they open nothing.
	if err := os.WriteFile(path, whole, 0o600); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{})
	if _, model, _, err := s.LoadSession(); !errors.Is(err, ErrSealed) || len(model) > 0 {
		t.Errorf("put back, the session is loaded with %v", err)
	}
	if _, _, err := s.Report("told"); !errors.Is(err, ErrSealed) {
		t.Errorf("put back, the report is read with %v", err)
	}
}
