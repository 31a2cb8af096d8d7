package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"strconv"
)

// errDamaged: the file is not what bbolt wrote.
var errDamaged = errors.New("the store is damaged")

// bbolt's file format (its internal/common/{page,meta,inode,bucket}.go): pages
// with a header of 16 bytes, two meta pages that take turns, a tree of branch
// and leaf pages a bucket, buckets in leaves, small ones inline, and a freelist.
const (
	pageHeader    = 16
	elementSize   = 16 // of a branch's and of a leaf's element
	bucketHeader  = 16
	metaSize      = 64
	boltMagic     = 0xED0CDAED
	boltVersion   = 2
	flagBranch    = 0x01
	flagLeaf      = 0x02
	flagMeta      = 0x04
	flagFreelist  = 0x10
	leafIsBucket  = 0x01
	noFreelist    = ^uint64(0)
	maxDepth      = 32 // levels of a tree; 2^32 keys need no more
	maxBucketNest = 4  // we nest none
	countIsLong   = 0xFFFF
)

// checker walks a file's bytes. It never trusts a number: it bounds every offset,
// visits no page twice and no deeper than maxDepth, so it ends on any input.
type checker struct {
	data     []byte
	pageSize uint64
	pages    uint64 // those below the high water mark
	seen     map[uint64]bool
	meta     map[string][]byte // the content of the bucket meta
	buckets  int
}

func damaged(format string, args ...any) error {
	return fmt.Errorf("%w: %s", errDamaged, fmt.Sprintf(format, args...))
}

// checkFile checks the structure of a whole file.
func checkFile(data []byte) (*checker, error) {
	c := &checker{data: data, seen: map[uint64]bool{0: true, 1: true}, meta: map[string][]byte{}}
	root, freelist, err := c.newestMeta()
	if err != nil {
		return nil, err
	}
	if freelist != noFreelist { // without one bbolt looks for the free pages itself
		if err := c.freelist(freelist); err != nil {
			return nil, err
		}
	}
	return c, c.tree(root, 0, 0, "", nil, nil)
}

// schema is the number in the bucket meta. A file without any bucket was just
// made: 0. One that has buckets and no number is damaged.
func (c *checker) schema() (int, error) {
	text, ok := c.meta[schemaKey]
	if !ok && c.buckets == 0 {
		return 0, nil
	}
	n, err := strconv.Atoi(string(text))
	if err != nil || n < 1 {
		return 0, damaged("it has no schema number")
	}
	return n, nil
}

// newestMeta picks the meta page that bbolt would: of the sound ones, the one of
// the newest transaction. One of the two may be torn by a power cut.
func (c *checker) newestMeta() (root, freelist uint64, err error) {
	var newest []byte
	var txid uint64
	size := uint64(0)
	for i := uint64(0); i < 2; i++ {
		at := uint64(0)
		if i == 1 {
			if at = size; at == 0 {
				at = 4096 // page 0 is torn: bbolt looks at the usual sizes, ours is the machine's
			}
		}
		m, ok := c.soundMeta(at, i)
		if !ok {
			continue
		}
		size = uint64(binary.NativeEndian.Uint32(m[8:]))
		if id := binary.NativeEndian.Uint64(m[48:]); newest == nil || id > txid {
			newest, txid = m, id
		}
	}
	if newest == nil {
		return 0, 0, damaged("neither of its meta pages is sound")
	}
	c.pageSize = uint64(binary.NativeEndian.Uint32(newest[8:]))
	c.pages = binary.NativeEndian.Uint64(newest[40:])
	if c.pages < 4 || c.pages > uint64(len(c.data))/c.pageSize {
		return 0, 0, damaged("it is cut off: %d bytes for %d pages", len(c.data), c.pages)
	}
	return binary.NativeEndian.Uint64(newest[16:]), binary.NativeEndian.Uint64(newest[32:]), nil
}

// soundMeta gives the meta at an offset if page header, numbers and sum are right.
func (c *checker) soundMeta(at, id uint64) ([]byte, bool) {
	if at+pageHeader+metaSize > uint64(len(c.data)) {
		return nil, false
	}
	p := c.data[at:]
	m := p[pageHeader : pageHeader+metaSize]
	sum := fnv.New64a()
	_, _ = sum.Write(m[:56])
	size := binary.NativeEndian.Uint32(m[8:])
	ok := binary.NativeEndian.Uint64(p) == id && binary.NativeEndian.Uint16(p[8:]) == flagMeta &&
		binary.NativeEndian.Uint32(m) == boltMagic && binary.NativeEndian.Uint32(m[4:]) == boltVersion &&
		size >= 1024 && size <= 64<<10 && size&(size-1) == 0 &&
		binary.NativeEndian.Uint64(m[56:]) == sum.Sum64()
	return m, ok
}

// page gives a page with its overflow, once.
func (c *checker) page(id uint64) (p []byte, flags, count int, err error) {
	if id < 2 || id >= c.pages {
		return nil, 0, 0, damaged("page %d is out of bounds", id)
	}
	p = c.data[id*c.pageSize:]
	overflow := uint64(binary.NativeEndian.Uint32(p[12:]))
	if binary.NativeEndian.Uint64(p) != id || overflow >= c.pages-id {
		return nil, 0, 0, damaged("page %d has a wrong header", id)
	}
	for i := id; i <= id+overflow; i++ {
		if c.seen[i] {
			return nil, 0, 0, damaged("page %d is used twice", i)
		}
		c.seen[i] = true
	}
	return p[:(overflow+1)*c.pageSize], int(binary.NativeEndian.Uint16(p[8:])), int(binary.NativeEndian.Uint16(p[10:])), nil
}

// freelist marks the free pages as used, so that a tree that reaches one is found.
func (c *checker) freelist(id uint64) error {
	p, flags, n, err := c.page(id)
	if err != nil {
		return err
	}
	if flags != flagFreelist {
		return damaged("page %d is no freelist", id)
	}
	list := p[pageHeader:]
	count := uint64(n)
	if n == countIsLong {
		count, list = binary.NativeEndian.Uint64(list), list[8:]
	}
	if count > uint64(len(list))/8 {
		return damaged("the freelist is longer than its page")
	}
	last := uint64(1)
	for i := range count {
		free := binary.NativeEndian.Uint64(list[i*8:])
		if free <= last || free >= c.pages || c.seen[free] {
			return damaged("the freelist names page %d wrongly", free)
		}
		c.seen[free], last = true, free
	}
	return nil
}

// tree walks a bucket's pages. Its keys are in [low, high).
func (c *checker) tree(id uint64, depth, nest int, bucket string, low, high []byte) error {
	if depth > maxDepth {
		return damaged("its tree is too deep")
	}
	p, flags, count, err := c.page(id)
	if err != nil {
		return err
	}
	switch flags {
	case flagLeaf:
		return c.leaf(p, count, nest, bucket, low, high)
	case flagBranch:
		return c.branch(p, count, depth, nest, bucket, low, high)
	default:
		return damaged("page %d has kind %#x", id, flags)
	}
}

func (c *checker) branch(p []byte, count, depth, nest int, bucket string, low, high []byte) error {
	if count == 0 || count > (len(p)-pageHeader)/elementSize {
		return damaged("a branch has %d elements", count)
	}
	keys, ids := make([][]byte, count+1), make([]uint64, count)
	for i := range count {
		at := pageHeader + i*elementSize
		e := p[at:]
		key, err := span(p, at, uint64(binary.NativeEndian.Uint32(e)), uint64(binary.NativeEndian.Uint32(e[4:])))
		if err != nil {
			return err
		}
		keys[i], ids[i] = key, binary.NativeEndian.Uint64(e[8:])
		if i > 0 && bytes.Compare(keys[i-1], key) >= 0 || low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damaged("a branch has its keys in disorder")
		}
	}
	keys[count] = high
	for i, id := range ids {
		if err := c.tree(id, depth+1, nest, bucket, keys[i], keys[i+1]); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) leaf(p []byte, count, nest int, bucket string, low, high []byte) error {
	if count > (len(p)-pageHeader)/elementSize {
		return damaged("a leaf has %d elements", count)
	}
	var last []byte
	for i := range count {
		at := pageHeader + i*elementSize
		e := p[at:]
		flags, pos := binary.NativeEndian.Uint32(e), uint64(binary.NativeEndian.Uint32(e[4:]))
		ksize, vsize := uint64(binary.NativeEndian.Uint32(e[8:])), uint64(binary.NativeEndian.Uint32(e[12:]))
		both, err := span(p, at, pos, ksize+vsize)
		if err != nil {
			return err
		}
		key, value := both[:ksize], both[ksize:]
		if i > 0 && bytes.Compare(last, key) >= 0 || low != nil && bytes.Compare(key, low) < 0 || high != nil && bytes.Compare(key, high) >= 0 {
			return damaged("a leaf has its keys in disorder")
		}
		last = key
		switch {
		case flags == leafIsBucket:
			if err := c.bucket(string(key), value, nest); err != nil {
				return err
			}
		case flags != 0:
			return damaged("a leaf has an element of kind %#x", flags)
		case nest == 0:
			return damaged("it has a key outside of all buckets")
		case bucket == bucketMeta:
			c.meta[string(key)] = value
		}
	}
	return nil
}

// bucket follows a bucket's root, or reads the inline page behind its header.
func (c *checker) bucket(name string, value []byte, nest int) error {
	if nest++; nest > maxBucketNest || len(value) < bucketHeader {
		return damaged("a bucket is nested too deep or too short")
	}
	c.buckets++
	if root := binary.NativeEndian.Uint64(value); root != 0 {
		return c.tree(root, 0, nest, name, nil, nil)
	}
	p := value[bucketHeader:]
	if len(p) < pageHeader || binary.NativeEndian.Uint16(p[8:]) != flagLeaf {
		return damaged("an inline bucket has no leaf")
	}
	return c.leaf(p, int(binary.NativeEndian.Uint16(p[10:])), nest, name, nil, nil)
}

// span gives the n bytes at pos, counted from the element at offset at.
func span(p []byte, at int, pos, n uint64) ([]byte, error) {
	from := uint64(at) + pos
	if pos < elementSize || from+n > uint64(len(p)) {
		return nil, damaged("a key or a value is out of bounds")
	}
	return p[from : from+n], nil
}
