package fuse

import (
	"encoding/binary"

	"golang.org/x/sys/unix"
)

// open starts an open(2): the file answers it, now or later.
func (s *Server) open(r request) {
	i, chr, ok := s.entry(r.Node)
	if !ok || chr {
		s.fail(r, unix.EIO)
		return
	}
	s.entries[i].File.Open(&OpenCall{s: s, entry: i, unique: r.Unique, uid: r.UID, nonblock: r.Flags&unix.O_NONBLOCK != 0})
}

// OpenCall is an open(2) on its way. Its caller sleeps until Reply.
type OpenCall struct {
	s        *Server
	entry    int
	unique   uint64
	uid      uint32
	nonblock bool
}

// ID is unique among pending calls.
func (c *OpenCall) ID() uint64 { return c.unique }

// UID is the user who opens.
func (c *OpenCall) UID() uint32 { return c.uid }

// Reply ends the call: with a handle, or with e where that is not 0. It says
// whether the caller has the handle now; where not, nobody will release it.
func (c *OpenCall) Reply(h Handle, e unix.Errno) bool {
	s := c.s
	if e != 0 {
		s.send(c.unique, -int32(e))
		return false
	}
	flags, id := uint32(fopenNoFlush|fopenKeepCache), int32(0)
	if s.Mode() == Passthrough {
		// direct I/O: read(2) asks us, mmap still goes to the backing file
		flags, id = fopenNoFlush|fopenPassthrough|fopenDirectIO, s.backing[c.entry]
	}
	fh := s.keep(open{h, c.nonblock})
	o := word(16, fh)
	binary.NativeEndian.PutUint32(o[8:], flags)
	binary.NativeEndian.PutUint32(o[12:], uint32(id))
	if s.send(c.unique, 0, o) {
		return true
	}
	_, had := s.forget(fh)
	return !had // a server that ended has released it already
}

// keep numbers an open file.
func (s *Server) keep(o open) uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	s.handles[s.next] = o
	return s.next
}

func (s *Server) opened(fh uint64) (open, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok := s.handles[fh]
	return o, ok
}

// forget takes an open file off the list; ok says whether it was on it.
func (s *Server) forget(fh uint64) (o open, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	o, ok = s.handles[fh]
	delete(s.handles, fh)
	return o, ok
}

func (s *Server) release(r request) {
	if o, ok := s.forget(r.Fh); ok {
		o.h.Release()
	}
	s.ok(r)
}

// releaseAll releases what is still open when the service ends.
func (s *Server) releaseAll() {
	s.mu.Lock()
	left := s.handles
	s.handles = map[uint64]open{}
	s.mu.Unlock()
	for _, o := range left {
		o.h.Release()
	}
}

func (s *Server) poll(r request) {
	o, ok := s.opened(r.Fh)
	if !ok {
		s.fail(r, unix.EBADF)
		return
	}
	s.word(r, 8, uint64(o.h.Poll(r.Key, r.Events, r.Flags&pollSchedule != 0)))
}

func (s *Server) ioctl(r request) {
	o, ok := s.opened(r.Fh)
	if !ok {
		s.fail(r, unix.EBADF)
		return
	}
	arg := make([]byte, max(len(r.Data), int(r.Size)))
	copy(arg, r.Data)
	o.h.Ioctl(&Call{s: s, unique: r.Unique, tid: r.Tid, cmd: r.Cmd, arg: arg, out: int(r.Size), nonblock: o.nonblock})
}

// Call is an ioctl on its way. Its caller sleeps until Reply.
type Call struct {
	s        *Server
	unique   uint64
	tid      uint32
	cmd      uint32
	arg      []byte
	out      int
	nonblock bool
}

// ID is unique among pending calls.
func (c *Call) ID() uint64 { return c.unique }

// Cmd is the request code of ioctl(2).
func (c *Call) Cmd() uint32 { return c.cmd }

// Arg is the argument, as long as the request code says; what is written into
// it goes back to the caller where the code says so.
func (c *Call) Arg() []byte { return c.arg }

// Nonblock says whether the file has O_NONBLOCK now.
func (c *Call) Nonblock() bool { return c.s.procs.nonblock(c.tid, c.nonblock) }

// Peek reads the caller's memory; false when the address is bad.
func (c *Call) Peek(addr uint64, b []byte) bool { return memory(c.tid, addr, b, false) }

// Poke writes the caller's memory; false when the address is bad.
func (c *Call) Poke(addr uint64, b []byte) bool { return memory(c.tid, addr, b, true) }

// Reply ends the call with result: 0 or a negative errno. The kernel passes the
// result on unchecked, so that -ERESTARTSYS works as in a driver.
func (c *Call) Reply(result int32) {
	c.s.send(c.unique, 0, word32(16, uint32(result)), c.arg[:c.out])
}

func word32(n int, v uint32) []byte {
	b := make([]byte, n)
	binary.NativeEndian.PutUint32(b, v)
	return b
}
