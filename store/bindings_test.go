package store

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	bolt "go.etcd.io/bbolt"
)

// fullBindings are as many as may be.
func fullBindings() Bindings {
	b := Bindings{Roles: map[string]string{}, Controls: map[string]map[string]int32{}, Names: []byte(strings.Repeat("n", maxNames))}
	for i := range MaxRoles {
		b.Roles[fmt.Sprint("role", i)] = strings.Repeat("d", maxID)
	}
	for i := range MaxDevices {
		values := map[string]int32{}
		for j := range MaxControls {
			values[fmt.Sprintf("control_%d", j)] = int32(-j)
		}
		b.Controls[fmt.Sprintf("usb-046d-0825-%0100d", i)] = values
	}
	return b
}

func wantBindings(t *testing.T, s *Store, want Bindings) {
	t.Helper()
	got, err := s.Bindings()
	if err != nil || !maps.Equal(got.Roles, want.Roles) || string(got.Names) != string(want.Names) ||
		!maps.EqualFunc(got.Controls, want.Controls, maps.Equal[map[string]int32]) {
		t.Fatalf("the bindings are %+v, %v, want %+v", got, err, want)
	}
}

func TestBindings(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir, Options{})
	wantBindings(t, s, Bindings{})
	mustSave(t, s, "one", "model", false, "a")
	for i, b := range []Bindings{
		{Roles: map[string]string{"face": "cam-a", "microphone": "mic"}},
		fullBindings(),
		{Controls: map[string]map[string]int32{"cam-a": {"zoom": 3, "focus_absolute": -1 << 31}}, Names: []byte{0, 1, 2}},
		{},
		{Roles: map[string]string{"face": "cam-b"}, Names: []byte("x")},
	} {
		if err := s.SaveBindings(b, Entry{Text: fmt.Sprint("bound ", i)}); err != nil {
			t.Fatal(err)
		}
		wantBindings(t, s, b)
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		s = mustOpen(t, dir, Options{})
		wantBindings(t, s, b)
		if got := journalTexts(t, s, 1); got != fmt.Sprint("bound ", i) {
			t.Errorf("the journal says %q", got)
		}
	}
	wantSession(t, s, "one", "model") // bindings are nobody's session
	mustSave(t, s, "one", "", true)
	wantBindings(t, s, Bindings{Roles: map[string]string{"face": "cam-b"}, Names: []byte("x")})
	wantIntact(t, s)
}

func TestBindingsRefuse(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	kept := Bindings{Roles: map[string]string{"face": "cam"}}
	if err := s.SaveBindings(kept); err != nil {
		t.Fatal(err)
	}
	long := strings.Repeat("x", maxID+1)
	over := []func(*Bindings){
		func(b *Bindings) { b.Roles["one more"] = "cam" },
		func(b *Bindings) { b.Controls["one more"] = map[string]int32{"a": 1} },
		func(b *Bindings) { b.Controls[firstKey(b.Controls)]["one more"] = 1 },
		func(b *Bindings) { b.Names = append(b.Names, 0) },
		func(b *Bindings) { b.Roles["role0"] = long },
		func(b *Bindings) { b.Roles["role0"] = "" },
		func(b *Bindings) { b.Roles = map[string]string{long: "cam"} },
		func(b *Bindings) { b.Roles = map[string]string{"": "cam"} },
		func(b *Bindings) { b.Controls = map[string]map[string]int32{long: {"a": 1}} },
		func(b *Bindings) { b.Controls = map[string]map[string]int32{"cam": {long: 1}} },
		func(b *Bindings) { b.Controls = map[string]map[string]int32{"cam": {"": 1}} },
	}
	for i, change := range over {
		b := fullBindings()
		change(&b)
		if err := s.SaveBindings(b, Entry{Text: "lost"}); err == nil || !strings.HasPrefix(err.Error(), "cannot keep the bindings") || s.ReadOnly() {
			t.Errorf("change %d: %v", i, err)
		}
	}
	wantBindings(t, s, kept)
	if got := journalTexts(t, s, 10); got != "" {
		t.Errorf("what was refused left %q", got)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := s.SaveBindings(kept); !errors.Is(err, ErrReadOnly) {
		t.Errorf("a closed store says %v", err)
	}
}

func firstKey[V any](m map[string]V) string {
	for k := range m {
		return k
	}
	return ""
}

// A record that something has damaged costs itself and no other.
func TestBindingsOfADamagedRecord(t *testing.T) {
	s := mustOpen(t, t.TempDir(), Options{})
	want := Bindings{Roles: map[string]string{"face": "cam"}, Controls: map[string]map[string]int32{"cam": {"zoom": 1}}, Names: []byte("n")}
	if err := s.SaveBindings(want); err != nil {
		t.Fatal(err)
	}
	for _, bad := range []string{"", "null", "[]", `{"zoom":"x"}`, `{"zoom":99999999999}`, "{"} {
		err := s.db.Update(func(tx *bolt.Tx) error {
			b := tx.Bucket([]byte(bucketBindings))
			return errors.Join(b.Put([]byte(controlsPrefix+"other"), []byte(bad)), b.Put([]byte("of a newer kioskd"), []byte("x")))
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Bindings()
		if err == nil || !strings.Contains(err.Error(), "cannot read the controls of device other") || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", bad, got, err)
		}
	}
	if err := s.SaveBindings(want); err != nil { // what cannot be read goes
		t.Fatal(err)
	}
	wantBindings(t, s, want)
}

// A clone is nobody else's.
func TestBindingsClone(t *testing.T) {
	b := fullBindings()
	frozen := fullBindings()
	c := b.Clone()
	if !reflect.DeepEqual(b, c) || !reflect.DeepEqual(Bindings{}.Clone(), Bindings{}) {
		t.Fatal("a clone is not the same")
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for id := range c.Controls {
		c.Controls[id]["control_0"] = rnd.Int32()
		delete(c.Controls[id], "control_1")
	}
	clear(c.Roles)
	c.Names[0] = 'x'
	if !reflect.DeepEqual(b, frozen) {
		t.Error("the clone's changes are seen in what was cloned")
	}
}
