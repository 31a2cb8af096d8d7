package peer

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
)

// Caps of connections.
const (
	MaxConns     = 256
	MaxConnsUID  = 64
	KeptForTechs = 8 // of MaxConns, for technicians and root
	MaxStrangers = 8 // peers without a role: just enough to tell them so
)

// Listener accepts what the caps allow, and knows who it is.
type Listener struct {
	net.Listener
	auth Auth
	deny func(p Peer, code, what string)

	mu        sync.Mutex
	total     int
	strangers int
	byUID     map[uint32]int
}

// NewListener wraps ln, which has to listen on a Unix socket. deny hears of
// everybody who is turned away: who, a problem's code, and where. It may not wait.
func NewListener(ln net.Listener, auth Auth, deny func(p Peer, code, what string)) *Listener {
	return &Listener{Listener: ln, auth: auth, deny: deny, byUID: map[uint32]int{}}
}

// peerConn is a connection with its peer; closing it gives its place back.
type peerConn struct {
	net.Conn
	peer    Peer
	release func()
	manners
}

// Close closes the connection and gives its place back, once.
func (c *peerConn) Close() error {
	err := c.Conn.Close() // first: open files never go above the cap
	c.release()
	return err
}

// Accept gives the next connection that the caps allow. One above them gets a
// problem answer and is closed; nothing here waits for a peer.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.Listener.Accept()
		if err != nil {
			return nil, err
		}
		peer, err := readPeer(c)
		if err != nil {
			l.deny(peer, apitype.CodeForbidden, "connect")
			_ = c.Close()
			continue
		}
		peer.Role = l.auth.Role(peer)
		if why := l.admit(peer); why != "" {
			l.deny(peer, apitype.CodeTooMany, "connect")
			turnAway(c, why)
			continue
		}
		return &peerConn{Conn: c, peer: peer, release: sync.OnceFunc(func() { l.leave(peer) })}, nil
	}
}

// admit takes a place for the peer, or says why there is none.
func (l *Listener) admit(p Peer) (why string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limit := MaxConns
	if p.Role < Technician {
		limit -= KeptForTechs
	}
	switch {
	case l.total >= limit:
		return fmt.Sprintf("there are %d connections already", l.total)
	case l.byUID[p.UID] >= MaxConnsUID:
		return fmt.Sprintf("user %d has %d connections already", p.UID, MaxConnsUID)
	case p.Role == None && l.strangers >= MaxStrangers:
		return "too many connections come from users without a role"
	}
	l.total++
	l.byUID[p.UID]++
	if p.Role == None {
		l.strangers++
	}
	return ""
}

// Open counts the connections that are there.
func (l *Listener) Open() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.total
}

func (l *Listener) leave(p Peer) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.total--
	if l.byUID[p.UID]--; l.byUID[p.UID] == 0 {
		delete(l.byUID, p.UID)
	}
	if p.Role == None {
		l.strangers--
	}
}

// turnAway answers without reading a request. The answer fits the socket's
// empty buffer, so this does not wait; the deadline is for the day it does.
func turnAway(c net.Conn, why string) {
	_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
	_, _ = c.Write(answerOf(http.StatusServiceUnavailable, apitype.CodeTooMany,
		"cannot take one more connection: "+why, "close some, or try again later"))
	_ = c.Close()
}

type peerKey struct{}

// nobody is the kernel's overflow id (/proc/sys/kernel/overflowuid).
const nobody = 65534

// ConnContext is for http.Server.ConnContext: it puts the peer of a connection
// from a Listener into the context of each request.
func ConnContext(ctx context.Context, c net.Conn) context.Context {
	if pc, ok := c.(*peerConn); ok {
		return context.WithValue(ctx, peerKey{}, pc)
	}
	return ctx
}

// Heard tells the connection of a request's context that the request's head is
// whole: from now on the answer is the handler's.
func Heard(ctx context.Context) {
	if pc, ok := ctx.Value(peerKey{}).(*peerConn); ok {
		pc.heard()
	}
}

// From gives the peer of a request's context. Where there is none, the zero
// Peer with a uid of nobody has no role.
func From(ctx context.Context) Peer {
	if pc, ok := ctx.Value(peerKey{}).(*peerConn); ok {
		return pc.peer
	}
	return Peer{UID: nobody, GID: nobody}
}
