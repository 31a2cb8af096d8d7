package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/fuse"
	"kioskd/cmd/fakecam/v4l2"
)

// camera joins a V4L2 device to its file and its links. It is the fuse.File of
// the device and the v4l2.Kernel that the device talks to.
type camera struct {
	rig   *rig
	index int // in the process
	start int // N of videoN that it was started with
	id    identity
	dev   *v4l2.Device
	at    atomic.Pointer[node]
	moves atomic.Uint64
	meta  bool // it has a metadata node, videoN+1

	mu    sync.Mutex // one plug, unplug or move at a time
	in    bool
	plugs int
	taken map[string]string // links of by-id and by-path: claims
}

// node is a device node: videoN.
type node struct {
	minor int
	name  string
}

func newNode(minor int) *node { return &node{minor, fmt.Sprintf("video%d", minor)} }

func newCamera(i int, o options, r *rig) *camera {
	c := &camera{rig: r, index: i, start: o.minor(i), id: o.identity(i), meta: o.metadata, taken: map[string]string{}}
	c.at.Store(newNode(c.start))
	return c
}

// node is where the camera is now.
func (c *camera) node() *node { return c.at.Load() }

// minors are the numbers of its nodes when the first is at n.
func (c *camera) minors(n int) []int {
	if c.meta {
		return []int{n, n + 1}
	}
	return []int{n}
}

// Node, Open, Allowed and Interrupt are for package fuse.
func (c *camera) Node() (string, int, bool) {
	n := c.node()
	return n.name, n.minor, c.dev.Present()
}
func (c *camera) Allowed(uid uint32) bool  { return c.dev.Allowed(uid) }
func (c *camera) Interrupt(id uint64)      { c.dev.Interrupt(id) }
func (c *camera) Open(call *fuse.OpenCall) { c.dev.Open(openCall{call}) }

// openCall and handle give the device its calls.
type openCall struct{ *fuse.OpenCall }

func (o openCall) Reply(h *v4l2.Handle, e unix.Errno) bool {
	return o.OpenCall.Reply(handle{h}, e)
}

type handle struct{ *v4l2.Handle }

func (h handle) Ioctl(c *fuse.Call) { h.Handle.Ioctl(c) }

// metaFile is the fuse.File of a camera's metadata node.
type metaFile struct{ *camera }

func (m metaFile) Node() (string, int, bool) {
	n := newNode(m.node().minor + 1)
	return n.name, n.minor, m.dev.Present()
}

func (m metaFile) Open(call *fuse.OpenCall) {
	h, e := m.dev.Meta().Open(call.UID())
	call.Reply(metaHandle{h}, e)
}

// Interrupt does nothing: every request is answered at once.
func (m metaFile) Interrupt(uint64) {}

type metaHandle struct{ *v4l2.MetaHandle }

func (h metaHandle) Ioctl(c *fuse.Call) { h.MetaHandle.Ioctl(c) }

// Wake and Store are for package v4l2.
func (c *camera) Wake(key uint64)              { c.rig.server.Wake(key) }
func (c *camera) Store(off int64, data []byte) { c.rig.server.StoreData(c.index, off, data) }

// link makes a symbolic link, in place of an older one.
func link(name, target string) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", name, err)
	}
	if old, err := os.Lstat(name); err == nil && old.Mode()&os.ModeSymlink == 0 {
		return fmt.Errorf("cannot link %s: it is there and no link; is it a real camera? Use fakecam ns", name)
	}
	if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot replace %s: %w", name, err)
	}
	if err := os.Symlink(target, name); err != nil {
		return fmt.Errorf("cannot link %s: %w", name, err)
	}
	return nil
}
