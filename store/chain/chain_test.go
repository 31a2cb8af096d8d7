package chain

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// record is one entry as a store keeps it.
type record struct{ key, value []byte }

// list is a chain of entries from..to, with those before it dropped.
func list(c *Chain, from, to uint64) (Head, []record) {
	var h Head
	var records []record
	for i := uint64(1); i <= to; i++ {
		n, packed := c.Add(&h, fmt.Appendf(nil, `{"text":"entry %d"}`, i))
		if i < from {
			h.Drop(h.Last)
			continue
		}
		records = append(records, record{Key(n), packed})
	}
	return h, records
}

func check(c *Chain, h Head, records []record) (bool, uint64) {
	k := c.Check(h)
	for _, r := range records {
		if !k.Next(r.key, r.value) {
			break
		}
	}
	return k.End()
}

func testChain(key byte) *Chain { return New(bytes.Repeat([]byte{key}, 32)) }

func TestSound(t *testing.T) {
	c := testChain(1)
	for _, tc := range []struct{ from, to uint64 }{{1, 0}, {1, 1}, {1, 20}, {10, 20}, {20, 20}, {21, 20}} {
		h, records := list(c, tc.from, tc.to)
		if intact, broken := check(c, h, records); !intact || broken != 0 {
			t.Errorf("%d to %d: %t %d", tc.from, tc.to, intact, broken)
		}
		if got, err := c.Open(c.Seal(h)); err != nil || got != h {
			t.Errorf("the head comes back as %+v, %v", got, err)
		}
	}
}

// TestLinkIsFixed: what one version wrote all later ones have to check. The value
// is HMAC-SHA-256 as Python's hmac module computes it.
func TestLinkIsFixed(t *testing.T) {
	mac := testChain(1).Link(MAC{}, 1, []byte("entry"))
	const want = "2a257cd134ac84e78d0f2ae5864d049718664fcb704b7d95165ef9a28141d46f"
	if got := hex.EncodeToString(mac[:]); got != want {
		t.Errorf("the first link is %s", got)
	}
}

// TestBroken: every kind of change is found, and at the right number.
func TestBroken(t *testing.T) {
	c := testChain(1)
	for _, tc := range []struct {
		name   string
		want   uint64
		change func(h *Head, r []record) []record
	}{
		{"first removed", 11, func(_ *Head, r []record) []record { return r[1:] }},
		{"one removed", 13, func(_ *Head, r []record) []record { return slices.Delete(r, 2, 3) }},
		{"last removed", 20, func(_ *Head, r []record) []record { return r[:9] }},
		{"all removed", 11, func(_ *Head, _ []record) []record { return nil }},
		{"two swapped", 12, func(_ *Head, r []record) []record {
			r[1].value, r[5].value = r[5].value, r[1].value
			return r
		}},
		{"two swapped with their keys", 12, func(_ *Head, r []record) []record { r[1], r[2] = r[2], r[1]; return r }},
		{"one twice", 12, func(_ *Head, r []record) []record {
			r[1].value = r[0].value
			return r
		}},
		{"cut off", 14, func(_ *Head, r []record) []record { r[3].value = r[3].value[:40]; return r }},
		{"cut off to nothing", 14, func(_ *Head, r []record) []record { r[3].value = nil; return r }},
		{"longer", 14, func(_ *Head, r []record) []record { r[3].value = append(r[3].value, ' '); return r }},
		{"of the time before the chain", 14, func(_ *Head, r []record) []record { r[3].value = r[3].value[1+Size:]; return r }},
		{"added behind", 21, func(_ *Head, r []record) []record { return append(r, record{Key(21), r[9].value}) }},
		{"added behind, of the right key", 21, func(h *Head, r []record) []record {
			longer := *h
			_, packed := c.Add(&longer, []byte("more"))
			return append(r, record{Key(21), packed})
		}},
		{"added before", 4, func(_ *Head, r []record) []record { return append([]record{{Key(4), r[0].value}}, r...) }},
		{"added at 0", 1, func(_ *Head, r []record) []record { return append([]record{{Key(0), r[0].value}}, r...) }},
		{"with an odd key", 12, func(_ *Head, r []record) []record { r[1].key = r[1].key[1:]; return r }},
		{"with a later key", 20, func(_ *Head, r []record) []record { r[9].key = Key(22); return r }},
		{"with a mark", 15, func(h *Head, r []record) []record { h.Mark(15); return r }},
		{"with a mark and before it", 13, func(h *Head, r []record) []record { h.Mark(15); return slices.Delete(r, 2, 3) }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			h, records := list(c, 11, 20)
			records = tc.change(&h, records)
			if intact, broken := check(c, h, records); intact || broken != tc.want {
				t.Errorf("intact %t, broken %d, want %d", intact, broken, tc.want)
			}
		})
	}
	t.Run("another's key", func(t *testing.T) {
		h, records := list(testChain(2), 11, 20)
		if intact, broken := check(c, h, records); intact || broken != 11 {
			t.Errorf("%t %d", intact, broken)
		}
	})
}

// TestEveryBit: no bit of an entry, of a key or of the head can be changed.
func TestEveryBit(t *testing.T) {
	c := testChain(1)
	h, records := list(c, 3, 6)
	flips := func(b []byte, what string, sound func() bool) {
		for bit := range len(b) * 8 {
			b[bit/8] ^= 1 << (bit % 8)
			if sound() {
				t.Errorf("%s: bit %d can be changed", what, bit)
			}
			b[bit/8] ^= 1 << (bit % 8)
		}
	}
	entries := func() bool { intact, _ := check(c, h, records); return intact }
	for i, r := range records {
		flips(r.key, fmt.Sprint("key ", i), entries)
		flips(r.value, fmt.Sprint("value ", i), entries)
	}
	sealed := c.Seal(h)
	flips(sealed, "head", func() bool { _, err := c.Open(sealed); return !errors.Is(err, ErrForged) })
	if !entries() {
		t.Error("the list is not what it was")
	}
	for _, b := range [][]byte{nil, sealed[:len(sealed)-1], append(sealed, 0), testChain(2).Seal(h)} {
		if _, err := c.Open(b); !errors.Is(err, ErrForged) {
			t.Errorf("a head of %d bytes gives %v", len(b), err)
		}
	}
}

// TestMark: a mark stays until all that was there when it was made is dropped.
func TestMark(t *testing.T) {
	c := testChain(1)
	h, records := list(c, 1, 5)
	h.Mark(2)
	h.Mark(4) // the first one counts
	drop := func() {
		n, _ := Number(records[0].key)
		mac, _, _ := Unpack(records[0].value)
		h.Drop(Point{n, mac})
		records = records[1:]
	}
	for i := range 5 {
		if intact, broken := check(c, h, records); intact || broken != 2 {
			t.Errorf("with %d dropped: %t %d", i, intact, broken)
		}
		n, packed := c.Add(&h, []byte("new"))
		records = append(records, record{Key(n), packed})
		drop()
	}
	if intact, broken := check(c, h, records); !intact || h.Until != 0 {
		t.Errorf("with all dropped: %t %d", intact, broken)
	}
	h.Drop(Point{Number: 2})
	if intact, broken := check(c, h, records); intact || broken != 2 || h.Anchor.Number != 5 {
		t.Errorf("one that was dropped already: %t %d, anchor %d", intact, broken, h.Anchor.Number)
	}
	var empty Head
	empty.Mark(0)
	if intact, broken := check(c, empty, nil); intact || broken != 1 {
		t.Errorf("an empty list with a mark: %t %d", intact, broken)
	}
}

// TestRandom changes random lists in random ways; what differs is always found.
func TestRandom(t *testing.T) {
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	c := testChain(1)
	for i := range 2000 {
		to := 2 + rnd.Uint64N(30)
		h, records := list(c, 1+rnd.Uint64N(to-1), to)
		for range 1 + rnd.IntN(3) {
			if len(records) == 0 {
				break
			}
			at := rnd.IntN(len(records))
			switch rnd.IntN(4) {
			case 0:
				records = slices.Delete(records, at, at+1)
			case 1:
				records = slices.Insert(records, at, records[rnd.IntN(len(records))])
			case 2:
				v := bytes.Clone(records[at].value)
				v[rnd.IntN(len(v))] ^= byte(1 + rnd.IntN(255))
				records[at].value = v
			default:
				records = records[:at]
			}
		}
		_, sound := list(c, h.Anchor.Number+1, to)
		same := slices.EqualFunc(sound, records, func(a, b record) bool {
			return bytes.Equal(a.key, b.key) && bytes.Equal(a.value, b.value)
		})
		if intact, broken := check(c, h, records); intact != same || same == (broken != 0) {
			t.Fatalf("seed %d, list %d: changed %t, intact %t, broken %d", seed, i, !same, intact, broken)
		}
	}
}

// FuzzOpen: no bytes are taken for a head or an entry that the key did not make.
func FuzzOpen(f *testing.F) {
	c := testChain(1)
	h, records := list(c, 2, 3)
	f.Add(c.Seal(h))
	f.Add(records[0].value)
	f.Fuzz(func(t *testing.T, b []byte) {
		if got, err := c.Open(b); err == nil {
			if got != h || !bytes.Equal(c.Seal(got), b) {
				t.Errorf("a forged head was taken: %+v", got)
			}
		} else if !errors.Is(err, ErrForged) {
			t.Errorf("it says %v", err)
		}
		k := c.Check(h)
		sound := k.Next(records[0].key, b)
		if sound != bytes.Equal(b, records[0].value) {
			t.Errorf("an entry is taken as sound: %t", sound)
		}
		if intact, broken := k.End(); intact || broken == 0 || sound && broken != 3 {
			t.Errorf("the list ends %t %d", intact, broken)
		}
	})
}
