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

// mutations is how many damaged files TestDamaged tries.
const mutations = 100

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
	data, err := os.ReadFile(filepath.Join(dir, fileName))
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

// TestDamaged: a damaged store never stops the kiosk. Whatever the file is, it is
// opened or set aside, within 5 s, and the store works.
func TestDamaged(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 2))
	dir, data := sample(t)
	aside := 0
	for i := range mutations {
		kind, b := damage(rnd, data)
		begun := time.Now()
		if tryDamaged(t, fmt.Sprintf("seed %d, mutation %d, %s", seed, i, kind), dir, b) {
			aside++
		}
		if d := time.Since(begun); d > 5*time.Second {
			t.Errorf("seed %d, mutation %d, %s: it took %v", seed, i, kind, d)
		}
	}
	if aside < mutations/4 {
		t.Errorf("only %d of %d were set aside: the damage does not hurt", aside, mutations)
	}
}

// tryDamaged opens a damaged file and uses it; it tells whether it was set aside.
func tryDamaged(t *testing.T, what, dir string, b []byte) bool {
	t.Helper()
	path := filepath.Join(dir, fileName)
	if err := os.WriteFile(path, b, 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := Open(dir, Options{JournalEntries: 300})
	if err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	if _, _, _, err := s.LoadSession(); err != nil && !errors.Is(err, ErrSealed) {
		t.Errorf("%s: %v", what, err)
	}
	if _, err := s.Journal(1000); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if _, err := s.Bindings(); errors.Is(err, errDamaged) {
		t.Errorf("%s: %v", what, err) // a record that cannot be read is told, a page is none of its business
	}
	if err := s.SaveBindings(Bindings{Roles: map[string]string{"face": "new"}}); err != nil {
		t.Fatalf("%s: %v", what, err)
	}
	for _, id := range []string{"one", "two", "three"} {
		if err := s.Save(Save{ID: id, Model: []byte("new"), Journal: []Entry{{Text: "x"}}}); err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if _, model, _, err := s.LoadSession(); err != nil || string(model) != "new" {
			t.Errorf("%s: loaded %q, %v", what, model, err)
		}
	}
	if err := s.Close(); err != nil {
		t.Errorf("%s: %v", what, err)
	}
	if s.SetAside() == "" {
		return false
	}
	if kept, err := os.ReadFile(s.SetAside()); err != nil || string(kept) != string(b) {
		t.Errorf("%s: the file that was set aside is not the damaged one: %v", what, err)
	}
	if list, err := filepath.Glob(path + ".damaged-*"); err != nil || len(list) > asideKept {
		t.Errorf("%s: %d files were set aside, %v", what, len(list), err)
	}
	return true
}

// TestEmptyFile: a crash between making the file and its first page.
func TestEmptyFile(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, fileName), nil, 0o600); err != nil {
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
	db, err := bolt.Open(filepath.Join(dir, fileName), 0o600, &bolt.Options{Timeout: time.Second})
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
	db, err := bolt.Open(filepath.Join(dir, fileName), 0o600, &bolt.Options{Timeout: time.Second})
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
	if err := os.Mkdir(filepath.Join(odd, fileName), 0o700); err != nil {
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
