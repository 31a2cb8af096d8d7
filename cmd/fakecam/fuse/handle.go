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
		s.release(r)
	case opIoctl:
		s.ioctl(r)
	case opPoll:
		s.poll(r)
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
			name, _, _ := e.File.Node()
			return fmt.Errorf("cannot register the memory of %s: %w", name, err)
		}
		s.backing = append(s.backing, id)
	}
	return nil
}

func (s *Server) lookup(r request) {
	for i, e := range s.entries {
		name, minor, present := e.File.Node()
		if r.Node != rootNode || name != r.Name || !present {
			continue
		}
		node := fileNode(i)
		if s.procs.statting(r.Tid) {
			node++
		}
		out := word(40, node) // struct fuse_entry_out; entry_valid = attr_valid = 0
		if node != fileNode(i) {
			// The kernel never renews the device number of an inode that it knows. Another
			// generation is another inode to it.
			binary.NativeEndian.PutUint64(out[8:], uint64(minor))
		}
		s.ok(r, out, s.attr(node))
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
		_, minor, _ := s.entries[i].File.Node()
		put.PutUint32(a[76:], uint32(81<<8|minor))
	} else if ok {
		mode, links = unix.S_IFREG|0o660, 1
		put.PutUint64(a[8:], uint64(len(s.entries[i].Memory)))
	}
	put.PutUint32(a[60:], mode)
	put.PutUint32(a[64:], links)
	put.PutUint32(a[80:], 4096)
	return a
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
		name, _, present := e.File.Node()
		if uint64(i) < r.Off || !present {
			continue
		}
		d := word((24+len(name)+7)&^7, fileNode(i))
		binary.NativeEndian.PutUint64(d[8:], uint64(i+1)) // where to go on
		binary.NativeEndian.PutUint32(d[16:], uint32(len(name)))
		binary.NativeEndian.PutUint32(d[20:], unix.DT_CHR)
		copy(d[24:], name)
		if len(out)+len(d) > int(r.Size) {
			break
		}
		out = append(out, d...)
	}
	s.ok(r, out)
}
