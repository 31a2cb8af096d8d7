package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// sample writes a store with a session and enough journal for a tree of pages.
func sample(t testing.TB) (dir string, data []byte) {
	t.Helper()
	dir = t.TempDir()
	s := mustOpen(t, dir, Options{JournalEntries: 300})
	for i := range 40 {
		var texts []string
		for j := range 10 {
			texts = append(texts, fmt.Sprintf("entry %d %d %s", i, j, strings.Repeat("-", 100)))
		}
		mustSave(t, s, "one", strings.Repeat("m", 50*i), false, texts...)
	}
	if err := s.SaveBindings(fullBindings()); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(filepath.Join(dir, FileName))
	if err != nil {
		t.Fatal(err)
	}
	return dir, data
}

// damage changes a copy of a file in one of the ways in which disks do.
func damage(rnd *rand.Rand, data []byte) (string, []byte) {
	const page = 4096
	b := append([]byte(nil), data...)
	pages := len(b) / page
	at := func() []byte { return b[rnd.IntN(pages)*page:][:page] }
	switch rnd.IntN(8) {
	case 0:
		for range 1 + rnd.IntN(20) {
			b[rnd.IntN(len(b))] ^= 1 << rnd.IntN(8)
		}
		return "bits flipped", b
	case 1: // where it hurts: the header and the elements of a page
		p := at()
		for range 1 + rnd.IntN(4) {
			p[rnd.IntN(200)] = byte(rnd.Uint32())
		}
		return "a page's head changed", b
	case 2:
		return "cut off", b[:rnd.IntN(len(b))]
	case 3:
		clear(at())
		return "a page zeroed", b
	case 4:
		p, q := at(), at()
		tmp := append([]byte(nil), p...)
		copy(p, q)
		copy(q, tmp)
		return "two pages swapped", b
	case 5:
		copy(at(), at())
		return "a page copied over another", b
	case 6:
		for i := range b[:min(len(b), 2*page)] {
			b[i] = byte(rnd.Uint32())
		}
		return "both meta pages gone", b
	default:
		for i := range b {
			b[i] = byte(rnd.Uint32())
		}
		return "garbage", b
	}
}

// useDamaged opens a damaged file and uses it; it tells whether it was set aside.
func useDamaged(dir string, b []byte) (aside bool, err error) {
	path := filepath.Join(dir, FileName)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		return false, err
	}
	s, err := Open(dir, Options{JournalEntries: 300})
	if err != nil {
		return false, err
	}
	_, _, _, sealed := s.LoadSession()
	if errors.Is(sealed, ErrSealed) {
		sealed = nil
	}
	_, journal := s.Journal(1000)
	_, bound := s.Bindings()
	if !errors.Is(bound, errDamaged) {
		bound = nil // a record that cannot be read is told, a page is none of its business
	}
	err = errors.Join(sealed, journal, bound, s.SaveBindings(Bindings{Roles: map[string]string{"face": "new"}}))
	for _, id := range []string{"one", "two", "three"} {
		if err == nil {
			err = s.Save(Save{ID: id, Model: []byte("new"), Journal: []Entry{{Text: "x"}}})
		}
		if _, model, _, load := s.LoadSession(); err == nil && (load != nil || string(model) != "new") {
			err = fmt.Errorf("loaded %q, %w", model, load)
		}
	}
	if err := errors.Join(err, s.Close()); err != nil || s.SetAside() == "" {
		return false, err
	}
	if kept, err := os.ReadFile(s.SetAside()); err != nil || string(kept) != string(b) {
		return true, fmt.Errorf("the file that was set aside is not the damaged one: %w", err)
	}
	if list, err := filepath.Glob(path + ".damaged-*"); err != nil || len(list) > asideKept {
		return true, fmt.Errorf("%d files were set aside, %w", len(list), err)
	}
	return true, nil
}

// tryDamaged is useDamaged in this process.
func tryDamaged(t *testing.T, what, dir string, b []byte) bool {
	t.Helper()
	aside, err := useDamaged(dir, b)
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	return aside
}

// TestEmptyFile: a crash between making the file and its first page.
func TestEmptyFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, FileName), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	s := mustOpen(t, dir, Options{})
	if s.SetAside() != "" {
		t.Error("nothing was lost, and yet it was set aside")
	}
	mustSave(t, s, "one", "m", false)
}

// TestOneMeta: a power cut may tear one of the two meta pages; the other is enough.
func TestOneMeta(t *testing.T) {
	dir, data := sample(t)
	for _, page := range []int{0, 1} {
		b := append([]byte(nil), data...)
		clear(b[page*4096+20 : page*4096+60])
		if tryDamaged(t, fmt.Sprint("meta ", page), dir, b) {
			t.Errorf("with a torn meta page %d it was set aside", page)
		}
	}
}

// TestNoBuckets: bbolt's own first pages, then a crash before ours.
func TestNoBuckets(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, FileName), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if s := mustOpen(t, dir, Options{}); s.SetAside() != "" {
		t.Error("a file that was just made was set aside")
	}
}

// TestForeign: a bbolt file of another program, and things that are no file.
func TestForeign(t *testing.T) {
	dir := t.TempDir()
	db, err := bolt.Open(filepath.Join(dir, FileName), 0o600, &bolt.Options{Timeout: time.Second})
	if err == nil {
		err = errors.Join(db.Update(func(tx *bolt.Tx) error {
			_, err := tx.CreateBucket([]byte("theirs"))
			return err
		}), db.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	if s := mustOpen(t, dir, Options{}); s.SetAside() == "" {
		t.Error("a foreign file was taken")
	}
	odd := t.TempDir()
	if err := os.Mkdir(filepath.Join(odd, FileName), 0o700); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(odd, Options{}); err == nil {
		t.Error("a directory was opened as a file")
	}
	if err := os.WriteFile(filepath.Join(odd, "file"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(filepath.Join(odd, "file"), Options{}); err == nil {
		t.Error("a file was taken as the directory")
	}
}

func TestGuard(t *testing.T) {
	if err := guard(func() error { panic("page 7: invalid type") }); !errors.Is(err, errDamaged) {
		t.Errorf("a panic gives %v", err)
	}
}

// FuzzCheck: the checker ends on any input, and what it accepts bbolt can read
// through without a panic.
func FuzzCheck(f *testing.F) {
	_, data := sample(f)
	f.Add(data)
	f.Add(data[:8192])
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 16 {
		_, b := damage(rnd, data)
		f.Add(b)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := checkFile(b)
		if err == nil {
			_, err = c.schema()
		}
		if err != nil {
			if !errors.Is(err, errDamaged) {
				t.Fatalf("the checker says %v", err)
			}
			return
		}
		path := filepath.Join(dir, "fuzz.db")
		if err := os.WriteFile(path, b, 0o600); err != nil {
			t.Fatal(err)
		}
		db, err := bolt.Open(path, 0o600, &bolt.Options{ReadOnly: true, Timeout: time.Second})
		if err != nil {
			t.Fatalf("bbolt refuses what the checker accepted: %v", err)
		}
		defer func() { _ = db.Close() }()
		err = db.View(func(tx *bolt.Tx) error {
			return tx.ForEach(func(_ []byte, b *bolt.Bucket) error {
				return b.ForEach(func(_, _ []byte) error { return nil })
			})
		})
		if err != nil {
			t.Fatal(err)
		}
	})
}
