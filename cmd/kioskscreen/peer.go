package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// procNetFiles lists the kernel's tables of TCP sockets. A client's IPv4 socket
// may have been made as an IPv6 one, so both are read.
func procNetFiles() []string { return []string{"/proc/net/tcp", "/proc/net/tcp6"} }

// peerListener lets in only connections whose far end belongs to the browser's
// user, and no more than its slots at a time. TCP has no SO_PEERCRED; the owner
// of the other socket stands in /proc/net/tcp (Documentation/networking/
// proc_net_tcp.rst). That is a second wall behind the token, and best effort:
// where the tables cannot be read at all the connection is let in and the token
// alone decides.
type peerListener struct {
	net.Listener
	uid       int
	log       *slog.Logger
	procFiles []string
	slots     chan struct{}
	done      chan struct{} // closed by Close
	closeOnce sync.Once
	warnOnce  sync.Once
}

// Accept waits for a free slot, then for a connection of the right user.
func (l *peerListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.done:
		return nil, net.ErrClosed
	}
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			<-l.slots
			return nil, err
		}
		if l.admits(c) {
			return &slotConn{Conn: c, free: sync.OnceFunc(func() { <-l.slots })}, nil
		}
		_ = c.Close() // nothing was written, nothing is lost
	}
}

// Close ends Accept, also one that waits for a slot.
func (l *peerListener) Close() error {
	l.closeOnce.Do(func() { close(l.done) })
	return l.Listener.Close()
}

func (l *peerListener) admits(c net.Conn) bool {
	uid, found, err := l.owner(c)
	if err != nil {
		l.warnOnce.Do(func() {
			l.log.Warn("cannot check the user of the page's connections, the token alone guards the screen", "error", err)
		})
		return true
	}
	if !found || uid != l.uid {
		l.log.Warn("turned away a connection of another user", "found", found, "uid", uid)
		return false
	}
	return true
}

// owner finds the user of a connection's far end. Only if no table can be read
// there is an error.
func (l *peerListener) owner(c net.Conn) (uid int, found bool, err error) {
	remote, local := addrPort(c.RemoteAddr()), addrPort(c.LocalAddr())
	var failed error
	readable := false
	for _, name := range l.procFiles {
		table, err := os.ReadFile(name)
		if err != nil {
			failed = err
			continue
		}
		readable = true
		if uid, ok := ownerOf(table, remote, local); ok {
			return uid, true, nil
		}
	}
	if !readable {
		return 0, false, fmt.Errorf("cannot read the table of connections: %w", failed)
	}
	return 0, false, nil
}

func addrPort(a net.Addr) netip.AddrPort {
	if t, ok := a.(*net.TCPAddr); ok {
		ap := t.AddrPort()
		return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
	}
	return netip.AddrPort{}
}

// ownerOf finds the row of the socket from -> to and gives its user id. Rows
// read "sl local remote st queues timer retransmits uid ...".
func ownerOf(table []byte, from, to netip.AddrPort) (uid int, found bool) {
	lines := bufio.NewScanner(bytes.NewReader(table))
	for lines.Scan() {
		f := strings.Fields(lines.Text())
		if len(f) < 8 {
			continue
		}
		local, ok1 := parseAddr(f[1])
		remote, ok2 := parseAddr(f[2])
		if !ok1 || !ok2 || local != from || remote != to {
			continue
		}
		if uid, err := strconv.Atoi(f[7]); err == nil {
			return uid, true
		}
	}
	return 0, false
}

// parseAddr reads "0100007F:1F90": the address as 32-bit words in the machine's
// byte order (little endian on every machine a kiosk is made of), the port as
// hexadecimal.
func parseAddr(s string) (netip.AddrPort, bool) {
	host, port, ok := strings.Cut(s, ":")
	raw, err := hex.DecodeString(host)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word)
	}
	addr, ok := netip.AddrFromSlice(raw)
	p, err := strconv.ParseUint(port, 16, 16)
	if !ok || err != nil {
		return netip.AddrPort{}, false
	}
	return netip.AddrPortFrom(addr.Unmap(), uint16(p)), true
}

// slotConn gives its slot back when it is closed.
type slotConn struct {
	net.Conn
	free func()
}

func (c *slotConn) Close() error {
	defer c.free()
	return c.Conn.Close()
}
