package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"

	"kioskd/store/chain"
)

func wantIntact(t testing.TB, s *Store) {
	t.Helper()
	if intact, broken, err := s.Verify(); !intact || broken != 0 || err != nil {
		t.Fatalf("the journal is intact: %t, broken at %d, %v", intact, broken, err)
	}
}

func wantBroken(t testing.TB, s *Store, want uint64) {
	t.Helper()
	if intact, broken, err := s.Verify(); intact || broken != want || err != nil {
		t.Fatalf("the journal is intact: %t, broken at %d, %v; want %d", intact, broken, err, want)
	}
}

// tamper changes the file as somebody would who has it, and bbolt, and no key.
func tamper(t testing.TB, s *Store, do func(journal, meta *bolt.Bucket) error) {
	t.Helper()
	err := s.db.Update(func(tx *bolt.Tx) error {
		return do(tx.Bucket([]byte(bucketJournal)), tx.Bucket([]byte(bucketMeta)))
	})
	if err != nil {
		t.Fatal(err)
	}
}

// filled gives a store whose journal has entries 21 to 60.
func filled(t testing.TB, dir string) *Store {
	t.Helper()
	s := mustOpen(t, dir, Options{JournalEntries: 40})
	for i := range 30 {
		mustSave(t, s, "one", "m", false, fmt.Sprint("entry ", 2*i+1), fmt.Sprint("entry ", 2*i+2))
	}
	wantIntact(t, s)
	return s
}

func reopen(t testing.TB, s *Store, dir string) *Store {
	t.Helper()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return mustOpen(t, dir, Options{JournalEntries: 40})
}

// TestVerifyFinds: what is done to the file is found, at once, after a restart,
// and after more entries were written.
func TestVerifyFinds(t *testing.T) {
	for _, tc := range []struct {
		name string
		want uint64
		do   func(j, m *bolt.Bucket) error
	}{
		{name: "one removed", want: 30, do: func(j, _ *bolt.Bucket) error { return j.Delete(chain.Key(30)) }},
		{name: "the oldest removed", want: 21, do: func(j, _ *bolt.Bucket) error { return j.Delete(chain.Key(21)) }},
		{name: "the newest removed", want: 60, do: func(j, _ *bolt.Bucket) error { return j.Delete(chain.Key(60)) }},
		{name: "two swapped", want: 30, do: func(j, _ *bolt.Bucket) error {
			a, b := bytes.Clone(j.Get(chain.Key(30))), bytes.Clone(j.Get(chain.Key(40)))
			return errors.Join(j.Put(chain.Key(30), b), j.Put(chain.Key(40), a))
		}},
		{name: "one added behind", want: 61, do: func(j, _ *bolt.Bucket) error {
			return j.Put(chain.Key(61), bytes.Clone(j.Get(chain.Key(60))))
		}},
		{name: "one added far behind", want: 61, do: func(j, _ *bolt.Bucket) error {
			return j.Put(chain.Key(1<<64-1), bytes.Clone(j.Get(chain.Key(60))))
		}},
		{name: "one added before", want: 5, do: func(j, _ *bolt.Bucket) error {
			return j.Put(chain.Key(5), bytes.Clone(j.Get(chain.Key(30))))
		}},
		{name: "an odd key before", want: 21, do: func(j, _ *bolt.Bucket) error { return j.Put([]byte{0}, []byte("{}")) }},
		{name: "an odd key behind", want: 61, do: func(j, _ *bolt.Bucket) error { return j.Put([]byte{255}, []byte("{}")) }},
		{name: "one in the old form", want: 30, do: func(j, _ *bolt.Bucket) error { return j.Put(chain.Key(30), []byte(`{"text":"x"}`)) }},
		{name: "one cut off", want: 30, do: func(j, _ *bolt.Bucket) error { return j.Put(chain.Key(30), bytes.Clone(j.Get(chain.Key(30))[:50])) }},
		{name: "all removed", want: 21, do: func(j, _ *bolt.Bucket) error { return removeAll(j) }},
		{name: "the head removed", want: 21, do: func(_, m *bolt.Bucket) error { return m.Delete([]byte(chainKey)) }},
		{name: "the head changed", want: 21, do: func(_, m *bolt.Bucket) error {
			b := bytes.Clone(m.Get([]byte(chainKey)))
			b[20] ^= 1
			return m.Put([]byte(chainKey), b)
		}},
		{name: "head and newest removed", want: 21, do: func(j, m *bolt.Bucket) error {
			return errors.Join(m.Delete([]byte(chainKey)), j.Delete(chain.Key(60)))
		}},
		{name: "head and all entries removed", want: 61, do: func(j, m *bolt.Bucket) error {
			return errors.Join(m.Delete([]byte(chainKey)), removeAll(j))
		}},
		{name: "head removed and old entries left", want: 21, do: func(j, m *bolt.Bucket) error {
			return errors.Join(m.Delete([]byte(chainKey)), j.Put(chain.Key(60), []byte("{}")))
		}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			dir := t.TempDir()
			s := filled(t, dir)
			tamper(t, s, tc.do)
			wantBroken(t, s, tc.want)
			s = reopen(t, s, dir)
			wantBroken(t, s, tc.want)
			mustSave(t, s, "one", "m", false, "goes on")
			intact, broken, err := s.Verify()
			if intact || broken == 0 || err != nil {
				t.Fatalf("after one more entry: %t %d %v", intact, broken, err)
			}
			list, err := s.Journal(1)
			if err != nil || tc.name != "one added far behind" && tc.name != "an odd key behind" && (list[0].Number != 61 || list[0].Text != "goes on") {
				t.Errorf("the newest is %v, %v", list, err)
			}
			s.db.NoSync = true
			if tc.want < 61 { // the mark goes with what it was about
				for range 100 {
					mustSave(t, s, "one", "m", false, "more")
				}
				wantIntact(t, s)
			}
		})
	}
}

func removeAll(j *bolt.Bucket) error {
	for k, _ := j.Cursor().First(); k != nil; k, _ = j.Cursor().First() {
		if err := j.Delete(k); err != nil {
			return err
		}
	}
	return nil
}

// TestRandomChanges: 1,000 changes of a byte of an entry's key or value, or of the
// head, each found.
func TestRandomChanges(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 3))
	s := filled(t, t.TempDir())
	s.db.NoSync = true // as often as that it takes long, and nothing here is about power cuts
	for i := range 1000 {
		number := 21 + rnd.Uint64N(40)
		what, at, by := rnd.IntN(8), rnd.IntN(1<<20), byte(1+rnd.IntN(255))
		var undo func(j, m *bolt.Bucket) error
		tamper(t, s, func(j, m *bolt.Bucket) error {
			key := chain.Key(number)
			value := bytes.Clone(j.Get(key))
			other := bytes.Clone(value)
			switch what {
			case 0: // the key; the value that stood there is put back by undo
				changed := bytes.Clone(key)
				changed[at%8] ^= by
				had := bytes.Clone(j.Get(changed))
				undo = func(j, _ *bolt.Bucket) error {
					if had == nil {
						return errors.Join(j.Delete(changed), j.Put(key, value))
					}
					return errors.Join(j.Put(changed, had), j.Put(key, value))
				}
				return errors.Join(j.Delete(key), j.Put(changed, value))
			case 1:
				head := bytes.Clone(m.Get([]byte(chainKey)))
				changed := bytes.Clone(head)
				changed[at%len(head)] ^= by
				undo = func(_, m *bolt.Bucket) error { return m.Put([]byte(chainKey), head) }
				return m.Put([]byte(chainKey), changed)
			default:
				other[at%len(other)] ^= by
				undo = func(j, _ *bolt.Bucket) error { return j.Put(key, value) }
				return j.Put(key, other)
			}
		})
		if intact, broken, err := s.Verify(); intact || broken == 0 || err != nil {
			t.Fatalf("seed %d, change %d (kind %d of entry %d): intact %t, broken %d, %v", seed, i, what, number, intact, broken, err)
		}
		tamper(t, s, undo)
		wantIntact(t, s)
	}
}

// TestNumbers: no number comes twice, through trimming, restarts, the end of a
// session, and the loss of the head with the newest entries.
func TestNumbers(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{JournalEntries: 40})
	last := uint64(0)
	for i := range 200 {
		s.db.NoSync = true
		mustSave(t, s, "one", "m", i%7 == 0, "entry")
		if i%50 == 49 {
			tamper(t, s, func(j, m *bolt.Bucket) error {
				return errors.Join(m.Delete([]byte(chainKey)), j.Delete(chain.Key(last)), j.Delete(chain.Key(last+1)))
			})
			last++
			s = reopen(t, s, dir)
			continue
		}
		list, err := s.Journal(1)
		if err != nil || list[0].Number != last+1 {
			t.Fatalf("save %d: number %d follows %d, %v", i, list[0].Number, last, err)
		}
		last++
	}
}

// unchained turns a store's journal into one of the time before the chain.
func unchained(t testing.TB, s *Store) {
	t.Helper()
	tamper(t, s, func(j, m *bolt.Bucket) error {
		var last uint64
		err := j.ForEach(func(k, v []byte) error {
			_, text, ok := chain.Unpack(v)
			last, _ = chain.Number(k)
			if !ok || !json.Valid(text) {
				return fmt.Errorf("entry %d is %q", last, v)
			}
			return j.Put(bytes.Clone(k), bytes.Clone(text))
		})
		return errors.Join(err, j.SetSequence(last), m.Delete([]byte(chainKey)))
	})
}

// TestAdopt: a store from before the chain opens, keeps its entries and their
// numbers, and says from where on they are protected. Once.
func TestAdopt(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir)
	unchained(t, s)
	for range 2 {
		s = reopen(t, s, dir)
		wantIntact(t, s)
		list, err := s.Journal(100)
		if err != nil || len(list) != 40 || list[0].Number != 22 || list[0].Text != "entry 22" || list[39].Number != 61 ||
			!strings.Contains(list[39].Text, "40 entries before this one were not") {
			t.Fatalf("the journal is %v, %v", list, err)
		}
	}
	mustSave(t, s, "one", "m", false, "goes on")
	wantIntact(t, s)
	tamper(t, s, func(j, _ *bolt.Bucket) error {
		return j.Put(chain.Key(30), bytes.Replace(j.Get(chain.Key(30)), []byte("30"), []byte("31"), 1))
	})
	wantBroken(t, s, 30)
}

// TestAdoptRefuses: what is not quite a store from before the chain is none.
func TestAdoptRefuses(t *testing.T) {
	for name, do := range map[string]func(j *bolt.Bucket) error{
		"a gap":           func(j *bolt.Bucket) error { return j.Delete(chain.Key(30)) },
		"the newest gone": func(j *bolt.Bucket) error { return j.Delete(chain.Key(60)) },
		"an odd key":      func(j *bolt.Bucket) error { return j.Put([]byte("x"), []byte("{}")) },
		"all gone":        removeAll,
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := filled(t, dir)
			unchained(t, s)
			tamper(t, s, func(j, _ *bolt.Bucket) error { return do(j) })
			s = reopen(t, s, dir)
			if intact, broken, err := s.Verify(); intact || broken == 0 || err != nil {
				t.Errorf("it is intact: %t, broken at %d, %v", intact, broken, err)
			}
		})
	}
}

// TestAnotherMachine: entries of another key are not taken as one's own, and do
// not stop the journal.
func TestAnotherMachine(t *testing.T) {
	dir := t.TempDir()
	s := filled(t, dir)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = mustOpen(t, dir, Options{MachineKey: bytes.Repeat([]byte{8}, keySize), JournalEntries: 40})
	wantBroken(t, s, 21)
	mustSave(t, s, "two", "m", false, "here")
	wantBroken(t, s, 21)
	if got := journalTexts(t, s, 2); got != "entry 60 here" {
		t.Errorf("the newest are %q", got)
	}
}

func TestVerifyWhileWriting(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{JournalEntries: 40})
	done := make(chan error, 1)
	go func() {
		var err error
		for i := 0; i < 300 && err == nil; i++ {
			err = s.Append(Entry{Text: "x"}, Entry{Text: "y"})
		}
		done <- err
	}()
	for {
		wantIntact(t, s)
		select {
		case err := <-done:
			if err != nil {
				t.Fatal(err)
			}
			return
		default:
		}
	}
}

// BenchmarkVerify checks a full journal.
func BenchmarkVerify(b *testing.B) {
	s := mustOpen(b, b.TempDir(), Options{})
	entries := make([]Entry, defaultEntries)
	for i := range entries {
		entries[i].Text = "mute done from=active to=active by: uid=1000 gid=1000 pid=4711"
	}
	if err := s.Append(entries...); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		wantIntact(b, s)
	}
}
