package uevent

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// errForeign means a message that is not for us: not from root, or sent to us alone.
var errForeign = errors.New("the message is not from root's multicast")

// socket is a member of one multicast group. The runtime's poller waits for it.
type socket struct {
	group uint32
	file  *os.File
	raw   syscall.RawConn
	buf   [maxMessage]byte
	oob   [256]byte // one SCM_CREDENTIALS is 32 bytes
}

// open joins a group of the network namespace of the calling thread.
func open(group uint32) (*socket, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_KOBJECT_UEVENT)
	if err != nil {
		return nil, os.NewSyscallError("socket", err)
	}
	if err := prepare(fd, group); err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	s := &socket{group: group, file: os.NewFile(uintptr(fd), "uevent")}
	if s.raw, err = s.file.SyscallConn(); err != nil {
		return nil, errors.Join(err, s.file.Close())
	}
	return s, nil
}

func prepare(fd int, group uint32) error {
	// The larger queue needs CAP_NET_ADMIN beyond net.core.rmem_max. Without it
	// the kernel takes what is allowed, and what is lost is told.
	if unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUFFORCE, queue) != nil {
		_ = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, queue)
	}
	if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PASSCRED, 1); err != nil {
		return os.NewSyscallError("setsockopt", err)
	}
	err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: group})
	return os.NewSyscallError("bind", err)
}

// wake ends the wait of next, now and from now on.
func (s *socket) wake() { _ = s.file.SetReadDeadline(time.Unix(1, 0)) }

func (s *socket) close() { _ = s.file.Close() }

// next waits for a message. It gives errForeign for one that is not to be
// believed, and an event with Lost for one that cannot be read.
func (s *socket) next() (Event, error) {
	var n, oobn, flags int
	var from unix.Sockaddr
	var err error
	if werr := s.raw.Read(func(fd uintptr) bool {
		n, oobn, flags, from, err = unix.Recvmsg(int(fd), s.buf[:], s.oob[:], 0)
		return !errors.Is(err, unix.EAGAIN) && !errors.Is(err, unix.EINTR)
	}); werr != nil {
		return Event{}, werr
	}
	switch {
	case errors.Is(err, unix.ENOBUFS): // the queue ran over; the next is whole again
		return Event{Lost: true}, nil
	case err != nil:
		return Event{}, os.NewSyscallError("recvmsg", err)
	case !s.believed(from, s.oob[:oobn]):
		return Event{}, errForeign
	case flags&unix.MSG_TRUNC != 0:
		return Event{Lost: true}, nil
	}
	e, err := parse(s.group, s.buf[:n])
	if err != nil {
		return Event{Lost: true}, nil
	}
	return e, nil
}

// believed says whether root multicast the message to our group. The kernel's own
// come from port 0. Those that root injects (lib/kobject_uevent.c,
// uevent_net_rcv) have the port of who did, and the kernel has checked that he may;
// udevd's have udevd's port. A message to our port alone carries no group.
func (s *socket) believed(from unix.Sockaddr, oob []byte) bool {
	to, ok := from.(*unix.SockaddrNetlink)
	if !ok || to.Groups != 1<<(s.group-1) {
		return false
	}
	cred, ok := credentials(oob)
	return ok && cred.Uid == 0
}
