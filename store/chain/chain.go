// Package chain makes a numbered list tamper-evident: each entry carries a MAC
// over its number, its bytes and the MAC of the one before it, and a sealed head
// says where the list begins and ends. Who does not have the key cannot change,
// remove, add, swap or cut off an entry without being found out. The idea is
// that of forward-linked audit logs (Schneier and Kelsey, "Secure Audit Logs to
// Support Computer Forensics", 1999), with one fixed key.
//
// It cannot see that the whole list, head and all, was replaced by an older copy
// of itself, and it does not protect against who has the key.
//
// It owns the formats of an entry and of the head; it reads and writes no file.
// Who may import it: store.
package chain

import (
	"bytes"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
)

// Size is the length of a MAC in bytes: HMAC-SHA-256 (RFC 2104, FIPS 180-4).
const Size = sha256.Size

// version stands before each entry and in the head. JSON, which is what was
// stored before there was a chain, begins with another byte.
const version = 1

const headSize = 1 + 2*(8+Size) + 2*8 // without its own MAC

// Keys of the MACs: one kind can never be taken for the other.
const (
	forEntry = "entry"
	forHead  = "head"
)

// ErrForged: these bytes were not written with this key.
var ErrForged = errors.New("the head of the chain was changed or removed")

// MAC is one link.
type MAC [Size]byte

// Point is an entry's number and MAC. The zero Point stands before entry 1.
type Point struct {
	Number uint64
	MAC    MAC
}

// Head says which entries there have to be: those behind Anchor up to Last.
type Head struct {
	Anchor Point // the newest entry that was dropped for its age
	Last   Point // the newest entry
	// Broken is the first entry that is known not to be sound, 0: none is. The
	// mark goes when entry Until, the newest at the time of finding, is dropped.
	Broken, Until uint64
}

// Mark notes that entry number is not sound. An earlier mark stays.
func (h *Head) Mark(number uint64) {
	if h.Broken == 0 {
		h.Broken, h.Until = max(1, number), max(1, number, h.Last.Number)
	}
}

// Drop moves the anchor to p, an entry that is about to be dropped. One that the
// anchor has passed already cannot be: it was added by somebody.
func (h *Head) Drop(p Point) {
	if p.Number <= h.Anchor.Number {
		h.Mark(p.Number)
		return
	}
	h.Anchor = p
	if h.Until <= p.Number {
		h.Broken, h.Until = 0, 0
	}
}

// Chain makes and checks MACs with one key.
type Chain struct{ entry, head []byte }

// New takes the key, of 32 bytes or more. It is not used itself: entries and
// heads get keys of their own.
func New(key []byte) *Chain {
	derive := func(what string) []byte {
		m := hmac.New(sha256.New, key)
		_, _ = m.Write([]byte(what)) // never fails (package hash)
		return m.Sum(nil)
	}
	return &Chain{entry: derive(forEntry), head: derive(forHead)}
}

// Link gives the MAC of an entry that follows the one with MAC prev. All that
// stands before the entry has a fixed length, so no two inputs look alike.
func (c *Chain) Link(prev MAC, number uint64, entry []byte) (mac MAC) {
	m := hmac.New(sha256.New, c.entry)
	_, _ = m.Write(prev[:])
	_, _ = m.Write(binary.BigEndian.AppendUint64(nil, number))
	_, _ = m.Write(entry)
	m.Sum(mac[:0])
	return mac
}

// Add links an entry behind the newest one and moves the head to it. It gives
// the entry's number and the bytes to store.
func (c *Chain) Add(h *Head, entry []byte) (number uint64, packed []byte) {
	number = h.Last.Number + 1
	h.Last = Point{number, c.Link(h.Last.MAC, number, entry)}
	packed = append(make([]byte, 0, 1+Size+len(entry)), version)
	packed = append(packed, h.Last.MAC[:]...)
	return number, append(packed, entry...)
}

// Unpack takes a stored entry apart; ok is false for bytes that Add did not make.
// The entry is part of packed, not a copy.
func Unpack(packed []byte) (mac MAC, entry []byte, ok bool) {
	if len(packed) < 1+Size || packed[0] != version {
		return MAC{}, nil, false
	}
	return MAC(packed[1:]), packed[1+Size:], true
}

// Seal writes a head with a MAC of its own: with that, nobody else can cut the
// list off at either end and say that it has always ended there.
func (c *Chain) Seal(h Head) []byte {
	b := append(make([]byte, 0, headSize+Size), version)
	for _, p := range []Point{h.Anchor, h.Last} {
		b = append(binary.BigEndian.AppendUint64(b, p.Number), p.MAC[:]...)
	}
	b = binary.BigEndian.AppendUint64(b, h.Broken)
	b = binary.BigEndian.AppendUint64(b, h.Until)
	return append(b, c.sum(b)...)
}

// Open reads a head. ErrForged: it is not one that was sealed with this key.
func (c *Chain) Open(b []byte) (h Head, err error) {
	if len(b) != headSize+Size || b[0] != version || !hmac.Equal(b[headSize:], c.sum(b[:headSize])) {
		return Head{}, ErrForged
	}
	r := b[1:]
	for _, p := range []*Point{&h.Anchor, &h.Last} {
		p.Number, p.MAC = binary.BigEndian.Uint64(r), MAC(r[8:])
		r = r[8+Size:]
	}
	h.Broken, h.Until = binary.BigEndian.Uint64(r), binary.BigEndian.Uint64(r[8:])
	return h, nil
}

func (c *Chain) sum(b []byte) []byte {
	m := hmac.New(sha256.New, c.head)
	_, _ = m.Write(b)
	return m.Sum(nil)
}

// Check walks a list from its oldest entry to its newest.
type Check struct {
	c      *Chain
	head   Head
	at     Point
	broken uint64 // 0: none so far
}

// Check begins a walk behind the head's anchor.
func (c *Chain) Check(h Head) *Check {
	return &Check{c: c, head: h, at: h.Anchor, broken: h.Broken}
}

// Next looks at one entry, as it is stored: the key is the number, 8 bytes big
// endian. It is false at the first one that is not sound; the walk is over then.
func (k *Check) Next(key, packed []byte) bool {
	want := k.at.Number + 1
	mac, entry, ok := Unpack(packed)
	link := k.c.Link(k.at.MAC, want, entry)
	if !ok || !bytes.Equal(key, Key(want)) || want > k.head.Last.Number || !hmac.Equal(link[:], mac[:]) {
		if n, ok := Number(key); ok {
			want = min(want, n) // it stands where all numbers are used up
		}
		k.found(want)
		return false
	}
	k.at = Point{want, mac}
	return true
}

// End tells whether all entries were there and sound, and if not, the number of
// the first that was not: changed, missing or added.
func (k *Check) End() (intact bool, broken uint64) {
	if k.at != k.head.Last {
		k.found(k.at.Number + 1)
	}
	return k.broken == 0, k.broken
}

func (k *Check) found(number uint64) {
	if number = max(1, number); k.broken == 0 || number < k.broken {
		k.broken = number
	}
}

// Key is the key under which an entry is stored: keys sort by age.
func Key(number uint64) []byte { return binary.BigEndian.AppendUint64(nil, number) }

// Number reads a key; ok is false for one that Key did not make.
func Number(key []byte) (number uint64, ok bool) {
	if len(key) != 8 {
		return 0, false
	}
	return binary.BigEndian.Uint64(key), true
}
