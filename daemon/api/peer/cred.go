package peer

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// readPeer asks the kernel who connected. The answer is of the moment of the
// connect(2), so a process that changes its user later changes nothing
// (unix(7): SO_PEERCRED; socket(7): SO_PEERGROUPS, since Linux 4.13).
// SO_PEERCRED has the primary gid only, hence the second question.
func readPeer(c net.Conn) (Peer, error) {
	sc, ok := c.(syscall.Conn)
	if !ok {
		return Peer{}, fmt.Errorf("cannot read the peer's credentials of a %T: it is no socket", c)
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return Peer{}, fmt.Errorf("cannot read the peer's credentials: %w", err)
	}
	var p Peer
	var inner error
	err = raw.Control(func(fd uintptr) {
		var cred *unix.Ucred
		if cred, inner = unix.GetsockoptUcred(int(fd), unix.SOL_SOCKET, unix.SO_PEERCRED); inner != nil {
			return
		}
		p.UID, p.GID, p.PID = cred.Uid, cred.Gid, cred.Pid
		p.Groups, inner = peerGroups(fd)
	})
	if err = errors.Join(err, inner); err != nil {
		return Peer{}, fmt.Errorf("cannot read the peer's credentials: %w", err)
	}
	return p, nil
}

// maxGroups is the kernel's NGROUPS_MAX (limits.h).
const maxGroups = 65536

// peerGroups reads SO_PEERGROUPS, an array of gid_t. x/sys has no call for it.
// ERANGE comes with the length that is needed.
func peerGroups(fd uintptr) ([]uint32, error) {
	groups := make([]uint32, 32)
	for {
		size := uint32(len(groups) * 4)
		_, _, errno := unix.Syscall6(unix.SYS_GETSOCKOPT, fd, unix.SOL_SOCKET, unix.SO_PEERGROUPS,
			uintptr(unsafe.Pointer(&groups[0])), uintptr(unsafe.Pointer(&size)), 0)
		need := int(size / 4)
		switch {
		case errno == 0:
			return groups[:need:need], nil
		case errno == unix.ERANGE && need > len(groups) && need <= maxGroups:
			groups = make([]uint32, need)
		default:
			return nil, fmt.Errorf("SO_PEERGROUPS: %w", errno)
		}
	}
}
