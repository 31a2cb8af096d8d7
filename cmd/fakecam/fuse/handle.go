package fuse

import (
	"encoding/binary"
	"errors"
	"fmt"

	"golang.org/x/sys/unix"
)

// Nodes: 1 is the folder; entry i is 16+2i as a regular file and 17+2i as the
// character device that stat(2) sees.
func fileNode(i int) uint64 { return firstNode + 2*uint64(i) }

func (s *Server) entry(node uint64) (i int, chr, ok bool) {
	if node < firstNode || (node-firstNode)/2 >= uint64(len(s.entries)) {
		return 0, false, false
	}
	return int(node-firstNode) / 2, node&1 == 1, true
}

// handle answers one request. An error ends the service.
func (s *Server) handle(r request) error {
	switch r.Opcode {
	case opInit:
		return s.init(r)
	case opForget, opBatchForget: // have no answer
	case opInterrupt:
		for _, e := range s.entries {
			e.File.Interrupt(r.Key)
		}
	case opLookup:
		s.lookup(r)
	case opGetattr, opSetattr:
		s.ok(r, make([]byte, 16), s.attr(r.Node)) // attr_valid = 0: ask again each time
	case opOpen:
		s.open(r)
	case opRelease:
		if o, ok := s.handles[r.Fh]; ok {
			delete(s.handles, r.Fh)
			o.h.Release()
		}
		s.ok(r)
	case opIoctl:
		s.ioctl(r)
	case opPoll:
		o, ok := s.handles[r.Fh]
		if !ok {
			s.fail(r, unix.EBADF)
			return nil
		}
		s.word(r, 8, uint64(o.h.Poll(r.Key, r.Flags&pollSchedule != 0)))
	case opRead:
		s.read(r)
	case opWrite: // pages a client wrote to in a mapping: nobody wants them
		s.word(r, 8, uint64(r.Size))
	case opStatfs:
		s.ok(r, make([]byte, 80))
	case opOpendir:
		s.ok(r, make([]byte, 16))
	case opReaddir:
		s.readdir(r)
	case opAccess:
		if i, _, ok := s.entry(r.Node); ok && r.Flags != unix.F_OK && !s.entries[i].File.Allowed(r.UID) {
			s.fail(r, unix.EACCES)
			return nil
		}
		s.ok(r)
	case opReleasedir, opDestroy, opFlush:
		s.ok(r)
	default:
		s.fail(r, unix.ENOSYS)
	}
	return nil
}

// init agrees on the protocol and settles the mode.
func (s *Server) init(r request) error {
	passthrough := r.Flags2&init2Passthru != 0
	if s.asked == Passthrough && !passthrough {
		return errors.New("cannot use passthrough: the kernel has none (6.9 has it); use -mode store")
	}
	o := make([]byte, 64)
	put := binary.NativeEndian
	put.PutUint32(o[0:], protocolMajor)
	put.PutUint32(o[4:], min(r.Minor, protocolMinor))
	put.PutUint32(o[8:], r.Ahead)
	put.PutUint32(o[12:], (initBigWrites|initMaxPages|initExt)&r.Flags)
	put.PutUint16(o[16:], 64) // max_background
	put.PutUint16(o[18:], 48) // congestion_threshold
	put.PutUint32(o[20:], maxWrite)
	put.PutUint32(o[24:], 1)   // time_gran
	put.PutUint16(o[28:], 256) // max_pages
	if s.asked != Store && passthrough {
		put.PutUint32(o[32:], init2Passthru)
		put.PutUint32(o[36:], 1) // max_stack_depth
	}
	s.ok(r, o)
	mode := Store
	if s.asked != Store && passthrough {
		err := s.registerAll()
		if err != nil && s.asked == Passthrough {
			return fmt.Errorf("cannot use passthrough (run as root, or use -mode store): %w", err)
		}
		if err == nil {
			mode = Passthrough
		} else {
			s.log.Info("no passthrough, frames are copied", "error", err)
		}
	}
	s.mode.Store(mode)
	close(s.ready)
	return nil
}

// registerAll makes every entry's memory a backing file.
func (s *Server) registerAll() error {
	for _, e := range s.entries {
		id, err := s.register(e.FD)
		if err != nil {
			return fmt.Errorf("cannot register the memory of %s: %w", e.Name, err)
		}
		s.backing = append(s.backing, id)
	}
	return nil
}

func (s *Server) lookup(r request) {
	for i, e := range s.entries {
		if r.Node != rootNode || e.Name != r.Name || !e.File.Present() {
			continue
		}
		node := fileNode(i)
		if s.procs.statting(r.Tid) {
			node++
		}
		s.ok(r, word(40, node), s.attr(node)) // entry_valid = attr_valid = 0
		return
	}
	s.fail(r, unix.ENOENT)
}

// attr is struct fuse_attr of a node.
func (s *Server) attr(node uint64) []byte {
	a := word(88, node)
	put := binary.NativeEndian
	mode, links := uint32(unix.S_IFDIR|0o755), uint32(2)
	if i, chr, ok := s.entry(node); ok && chr {
		mode, links = unix.S_IFCHR|0o660, 1
		put.PutUint32(a[76:], uint32(81<<8|s.entries[i].Minor))
	} else if ok {
		mode, links = unix.S_IFREG|0o660, 1
		put.PutUint64(a[8:], uint64(len(s.entries[i].Memory)))
	}
	put.PutUint32(a[60:], mode)
	put.PutUint32(a[64:], links)
	put.PutUint32(a[80:], 4096)
	return a
}

func (s *Server) open(r request) {
	i, chr, ok := s.entry(r.Node)
	if !ok || chr {
		s.fail(r, unix.EIO)
		return
	}
	h, e := s.entries[i].File.Open(r.UID)
	if e != 0 {
		s.fail(r, e)
		return
	}
	flags, id := uint32(fopenNoFlush|fopenKeepCache), int32(0)
	if s.Mode() == Passthrough {
		// direct I/O: read(2) asks us, mmap still goes to the backing file
		flags, id = fopenNoFlush|fopenPassthrough|fopenDirectIO, s.backing[i]
	}
	s.next++
	s.handles[s.next] = open{h, r.Flags&unix.O_NONBLOCK != 0}
	o := word(16, s.next)
	binary.NativeEndian.PutUint32(o[8:], flags)
	binary.NativeEndian.PutUint32(o[12:], uint32(id))
	s.ok(r, o)
}

// read fills pages of a mapping in store mode. read(2) on a camera is not
// offered, but there it cannot be told apart.
func (s *Server) read(r request) {
	i, _, ok := s.entry(r.Node)
	if !ok || s.Mode() == Passthrough {
		s.fail(r, unix.EINVAL)
		return
	}
	m := s.entries[i].Memory
	from := min(r.Off, uint64(len(m)))
	s.ok(r, m[from:min(from+uint64(r.Size), uint64(len(m)))])
}

func (s *Server) readdir(r request) {
	var out []byte
	for i, e := range s.entries {
		if uint64(i) < r.Off || !e.File.Present() {
			continue
		}
		d := word((24+len(e.Name)+7)&^7, fileNode(i))
		binary.NativeEndian.PutUint64(d[8:], uint64(i+1)) // where to go on
		binary.NativeEndian.PutUint32(d[16:], uint32(len(e.Name)))
		binary.NativeEndian.PutUint32(d[20:], unix.DT_CHR)
		copy(d[24:], e.Name)
		if len(out)+len(d) > int(r.Size) {
			break
		}
		out = append(out, d...)
	}
	s.ok(r, out)
}

func (s *Server) ioctl(r request) {
	o, ok := s.handles[r.Fh]
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
