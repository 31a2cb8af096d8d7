// Package fuse serves a flat folder of camera files over /dev/fuse: files that
// answer ioctl and poll and can be mapped. It speaks the raw protocol, because a
// library in between would hide poll and passthrough. It knows nothing of V4L2.
// Only cmd/fakecam imports it. It needs root and 64-bit Linux.
//
// It owns the mount, the descriptor of /dev/fuse and one goroutine's worth of
// work: Serve. How a file behaves is in File and Handle.
//
// # Mapping
//
// Passthrough (FUSE_PASSTHROUGH, kernel 6.9 and CAP_SYS_ADMIN): OPEN names the
// camera's memfd as backing file, so that mmap maps the memfd itself while ioctl
// and poll still come here; nothing is copied. Store: each new frame is pushed
// into the page cache of the file (FUSE_NOTIFY_STORE), 0.5 to 0.75 ms for a YUYV
// frame of 720p.
//
// # What a client must not notice
//
// stat(2) has to show a character device, but FUSE opens one of those as the
// device it names. So LOOKUP looks at which system call the caller is in: the
// stat family gets an inode S_IFCHR 81:N, everyone else a regular file, and
// nothing is cached (entry_valid = 0).
//
// A client in the process that serves can deadlock in Go's network poller:
// run the server as a process of its own.
package fuse

import (
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Mode is how a client's mapping sees new frames.
type Mode string

// The modes; Auto becomes one of the others when the kernel has said what it can.
const (
	Auto        Mode = "auto"
	Passthrough Mode = "passthrough"
	Store       Mode = "store"
)

// ParseMode reads a mode's name.
func ParseMode(s string) (Mode, error) {
	switch Mode(s) {
	case Auto, Passthrough, Store:
		return Mode(s), nil
	}
	return "", fmt.Errorf("cannot use mode %q: use auto, passthrough or store", s)
}

// File is one file of the folder. Its methods are called by Serve alone.
type File interface {
	// Node is the file's name, the N of the 81:N that stat(2) sees, and whether it
	// is there now. All three may change at any time.
	Node() (name string, minor int, present bool)
	// Open answers c, now or later.
	Open(c *OpenCall)
	// Allowed says whether uid may open the file, for access(2).
	Allowed(uid uint32) bool
	// Interrupt ends the pending Call or OpenCall with this ID, if it is this file's.
	Interrupt(id uint64)
}

// Handle is an open file.
type Handle interface {
	// Ioctl answers c, now or later.
	Ioctl(c *Call)
	// Poll gives the events now; asked are those that the caller waits for. With
	// arm, key is woken at the next change.
	Poll(key uint64, asked uint32, arm bool) uint32
	// Release ends the handle.
	Release()
}

// Entry puts a File into the folder.
type Entry struct {
	Memory []byte // what is mapped
	FD     int    // the memfd behind Memory
	File   File
}

// Server serves one mounted folder.
type Server struct {
	log     *slog.Logger
	fd      int
	dir     string
	entries []Entry
	procs   *callers
	asked   Mode
	mode    atomic.Value  // Mode, once the kernel has answered
	ready   chan struct{} // closed when INIT is done
	backing []int32       // ids of the backing files, in passthrough

	mu      sync.Mutex
	handles map[uint64]open // open files by their number
	next    uint64

	abort sync.Once
}

type open struct {
	h        Handle
	nonblock bool
}

// Mount mounts the folder at dir, which exists. Serve must be called next.
func Mount(dir string, mode Mode, entries []Entry, log *slog.Logger) (*Server, error) {
	procs, err := newCallers()
	if err != nil {
		return nil, err
	}
	s := &Server{
		log: log, dir: dir, entries: entries, procs: procs, asked: mode,
		ready: make(chan struct{}), handles: map[uint64]open{},
	}
	s.mode.Store(mode)
	if s.fd, err = unix.Open("/dev/fuse", unix.O_RDWR|unix.O_CLOEXEC, 0); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot open /dev/fuse (run as root; modprobe fuse): %w", err), procs.close())
	}
	opts := fmt.Sprintf("fd=%d,rootmode=40755,user_id=0,group_id=0,allow_other", s.fd)
	if err := unix.Mount("fakecam", dir, "fuse.fakecam", unix.MS_NOSUID|unix.MS_NOATIME, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot mount %s (run as root): %w", dir, err), procs.close(), unix.Close(s.fd))
	}
	return s, nil
}

// Ready is closed when files can be opened. Mode is settled then.
func (s *Server) Ready() <-chan struct{} { return s.ready }

// Mode is how mappings work: Auto only before Ready.
func (s *Server) Mode() Mode { return s.mode.Load().(Mode) }

// Unmount ends the mount: Serve returns, clients that still have a file open get
// ECONNABORTED. It may be called from any goroutine, more than once.
func (s *Server) Unmount() error {
	var err error
	s.abort.Do(func() {
		// Force ends the connection though files are open; detach takes the name away.
		if err = unix.Unmount(s.dir, unix.MNT_FORCE|unix.MNT_DETACH); err != nil {
			err = fmt.Errorf("cannot unmount %s: %w", s.dir, err)
		}
	})
	return err
}

// Close gives the descriptors back. Call it after Serve has returned and nobody
// calls Wake, StoreData or a Call any more.
func (s *Server) Close() error {
	if err := errors.Join(unix.Close(s.fd), s.procs.close()); err != nil {
		return fmt.Errorf("cannot close FUSE of %s: %w", s.dir, err)
	}
	return nil
}

// Serve answers requests until the folder is unmounted, then releases what is
// still open. It returns an error when the kernel's requests end in another way.
func (s *Server) Serve() error {
	defer s.releaseAll()
	buf := make([]byte, requestSize)
	for {
		n, err := unix.Read(s.fd, buf)
		switch {
		case err == nil:
		case errors.Is(err, unix.EINTR), errors.Is(err, unix.EAGAIN), errors.Is(err, unix.ENOENT): // ENOENT: the request was taken back
			continue
		case errors.Is(err, unix.ENODEV), errors.Is(err, unix.ECONNABORTED): // unmounted
			return nil
		default:
			return fmt.Errorf("cannot read requests for %s: %w", s.dir, err)
		}
		r, err := parse(buf[:n])
		if err != nil {
			s.log.Warn("cannot understand the kernel", "error", err)
			s.fail(r, unix.EIO)
			continue
		}
		if err := s.handle(r); err != nil {
			return err
		}
	}
}

// send writes an answer (unique of a request) or a notification (unique 0,
// status is its code). It says whether the kernel took it: a caller that was
// killed meanwhile gives ENOENT.
func (s *Server) send(unique uint64, status int32, parts ...[]byte) bool {
	n := 16
	for _, p := range parts {
		n += len(p)
	}
	var h [16]byte
	binary.NativeEndian.PutUint32(h[0:], uint32(n))
	binary.NativeEndian.PutUint32(h[4:], uint32(status))
	binary.NativeEndian.PutUint64(h[8:], unique)
	_, err := unix.Writev(s.fd, append([][]byte{h[:]}, parts...))
	switch err {
	case nil, unix.ENOENT, unix.ENODEV, unix.ECONNABORTED, unix.EPERM: // gone meanwhile; EPERM: connection ended
	default:
		s.log.Warn("cannot answer the kernel", "status", status, "bytes", n, "error", err)
	}
	return err == nil
}

func (s *Server) ok(r request, parts ...[]byte)   { s.send(r.Unique, 0, parts...) }
func (s *Server) fail(r request, e unix.Errno)    { s.send(r.Unique, -int32(e)) }
func (s *Server) word(r request, n int, v uint64) { s.ok(r, word(n, v)) }

// word gives n bytes that begin with v.
func word(n int, v uint64) []byte {
	b := make([]byte, n)
	binary.NativeEndian.PutUint64(b, v)
	return b
}

// Wake wakes a poller.
func (s *Server) Wake(key uint64) { s.send(0, notifyPoll, word(8, key)) }

// StoreData tells that entry i has new data at off; in passthrough there is
// nothing to do, the client maps the memory itself.
func (s *Server) StoreData(i int, off int64, data []byte) {
	if s.Mode() != Store || len(data) == 0 {
		return
	}
	b := word(24, fileNode(i))
	binary.NativeEndian.PutUint64(b[8:], uint64(off))
	binary.NativeEndian.PutUint32(b[16:], uint32(len(data)))
	s.send(0, notifyStore, b, data)
}

// register makes fd a backing file and returns its id (FUSE_DEV_IOC_BACKING_OPEN).
func (s *Server) register(fd int) (int32, error) {
	m := struct {
		fd    int32
		flags uint32
		pad   uint64
	}{fd: int32(fd)}
	id, _, e := unix.Syscall(unix.SYS_IOCTL, uintptr(s.fd), backingOpenCode, uintptr(unsafe.Pointer(&m)))
	if e != 0 {
		return 0, e
	}
	return int32(id), nil
}
