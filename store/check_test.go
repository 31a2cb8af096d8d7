package store

import (
	"encoding/binary"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"
)

// image is a file's bytes with the places that the cases below change.
type image struct {
	b                      []byte
	freelist, branch, leaf int // offsets of pages
	branchChild            uint64
	root                   int // the root bucket's leaf
}

// at reads an integer of the file.
func (m *image) u64(off int) uint64 { return binary.NativeEndian.Uint64(m.b[off:]) }

func (m *image) put64(off int, v uint64) { binary.NativeEndian.PutUint64(m.b[off:], v) }
func (m *image) put32(off int, v uint32) { binary.NativeEndian.PutUint32(m.b[off:], v) }
func (m *image) put16(off int, v uint16) { binary.NativeEndian.PutUint16(m.b[off:], v) }

// newImage finds its places in a sample whose newest meta page says where to look.
func newImage(t *testing.T, data []byte) *image {
	t.Helper()
	m := &image{b: append([]byte(nil), data...)}
	meta := 0
	if binary.NativeEndian.Uint64(data[4096+16+48:]) > binary.NativeEndian.Uint64(data[16+48:]) {
		meta = 4096
	}
	m.root = int(m.u64(meta+16+16)) * 4096
	m.freelist = int(m.u64(meta+16+32)) * 4096
	err := errors.New("no branch")
	for off := 2 * 4096; off < len(data); off += 4096 {
		if binary.NativeEndian.Uint16(data[off+8:]) == flagBranch && binary.NativeEndian.Uint16(data[off+10:]) >= 2 {
			m.branch, err = off, nil
			m.branchChild = m.u64(off + 16 + 8)
			m.leaf = int(m.branchChild) * 4096
		}
	}
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// TestCheckFinds changes one number of a sound file in each case.
func TestCheckFinds(t *testing.T) {
	data := compacted(t)
	if c, err := checkFile(data); err != nil {
		t.Fatal(err)
	} else if n, err := c.schema(); n != Schema || err != nil {
		t.Fatalf("schema %d, %v", n, err)
	}
	for _, tc := range []struct {
		name, want string
		change     func(m *image)
	}{
		{"a loop", "used twice", func(m *image) { m.put64(m.branch+24, uint64(m.branch/4096)) }},
		{"two ways to a page", "used twice", func(m *image) { m.put64(m.branch+40, m.branchChild) }},
		{"a way out of the file", "out of bounds", func(m *image) { m.put64(m.branch+24, 1<<40) }},
		{"a way to a meta page", "out of bounds", func(m *image) { m.put64(m.branch+24, 1) }},
		{"no way at all", "elements", func(m *image) { m.put16(m.branch+10, 0) }},
		{"too many ways", "elements", func(m *image) { m.put16(m.branch+10, 0xffff) }},
		{"a branch's key out of bounds", "out of bounds", func(m *image) { m.put32(m.branch+16, 1<<31) }},
		{"a branch's keys in disorder", "disorder", func(m *image) {
			copy(m.b[m.branch+16+16:], m.b[m.branch+16:m.branch+16+8])
			m.put32(m.branch+32, binary.NativeEndian.Uint32(m.b[m.branch+16:])-16)
		}},
		{"a page with another's number", "wrong header", func(m *image) { m.put64(m.leaf, 3) }},
		{"a page that flows over the end", "wrong header", func(m *image) { m.put32(m.leaf+12, 1<<30) }},
		{"a page that flows over another", "used twice", func(m *image) { m.put32(m.leaf+12, 3) }},
		{"a page of another kind", "has kind", func(m *image) { m.put16(m.leaf+8, flagFreelist) }},
		{"a page of no kind", "has kind", func(m *image) { m.put16(m.leaf+8, 0x40) }},
		{"a leaf that is too full", "elements", func(m *image) { m.put16(m.leaf+10, 0x7fff) }},
		{"a leaf's value out of bounds", "out of bounds", func(m *image) { m.put32(m.leaf+16+12, 1<<31) }},
		{"a leaf's key in its head", "out of bounds", func(m *image) { m.put32(m.leaf+16+4, 0) }},
		{"a leaf's element of no kind", "element of kind", func(m *image) { m.put32(m.leaf+16, 2) }},
		{"a leaf's keys in disorder", "disorder", func(m *image) { m.b[m.leaf+16+int(binary.NativeEndian.Uint32(m.b[m.leaf+20:]))] = 0xff }},
		{"a bucket that is none", "outside of all buckets", func(m *image) { m.put32(m.root+16, 0) }},
		{"a value that is no bucket", "", func(m *image) { m.put32(m.leaf+16, leafIsBucket) }},
		{"a freelist of another kind", "no freelist", func(m *image) { m.put16(m.freelist+8, flagLeaf) }},
		{"a freelist that is too long", "longer than its page", func(m *image) { m.put16(m.freelist+10, 0xfffe) }},
		{"a long freelist that is too long", "longer than its page", func(m *image) { m.put16(m.freelist+10, countIsLong); m.put64(m.freelist+16, 1<<60) }},
		{"a free page that is used", "", func(m *image) { m.put16(m.freelist+10, 1); m.put64(m.freelist+16, m.branchChild) }},
		{"a free page out of bounds", "names page", func(m *image) { m.put16(m.freelist+10, 1); m.put64(m.freelist+16, 1<<40) }},
		{"cut off", "cut off", func(m *image) { m.b = m.b[:len(m.b)/2/4096*4096] }},
		{"no meta page", "meta pages", func(m *image) { clear(m.b[:8192]) }},
		{"nothing", "meta pages", func(m *image) { m.b = nil }},
	} {
		t.Run(tc.name, func(t *testing.T) {
			m := newImage(t, data)
			tc.change(m)
			_, err := checkFile(m.b)
			if !errors.Is(err, errDamaged) || !strings.Contains(err.Error(), tc.want) {
				t.Errorf("found %v, want %q", err, tc.want)
			}
		})
	}
}

// compacted is a sample without free pages behind its end, so that each page of
// it matters.
func compacted(t *testing.T) []byte {
	t.Helper()
	dir, _ := sample(t)
	from, err := bolt.Open(filepath.Join(dir, FileName), 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(dir, "compacted.db")
	to, err := bolt.Open(path, 0o600, &bolt.Options{Timeout: time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(bolt.Compact(to, from, 0), to.Close(), from.Close()); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// TestSchemaNumber: buckets without a number, or with an odd one, are damage.
func TestSchemaNumber(t *testing.T) {
	for text, ok := range map[string]bool{"1": true, "7": true, "": false, "0": false, "x": false, "-1": false} {
		c := &checker{buckets: 1, meta: map[string][]byte{schemaKey: []byte(text)}}
		if _, err := c.schema(); (err == nil) != ok || err != nil && !errors.Is(err, errDamaged) {
			t.Errorf("schema %q: %v", text, err)
		}
	}
}
