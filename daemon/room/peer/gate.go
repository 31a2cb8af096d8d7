package peer

import (
	"fmt"
	"net"
	"net/netip"
	"sync"
	"time"

	"github.com/pion/transport/v5"
)

// Kinds of packets on one socket, by their first byte (RFC 7983, section 7).
const (
	kindSTUN = iota
	kindDTLS
	kindMedia // RTP, RTCP, and TURN's channels, which carry both
	kindOther
	kinds
)

func kindOf(b []byte) int {
	switch {
	case len(b) == 0:
		return kindOther
	case b[0] < 4:
		return kindSTUN
	case b[0] >= 20 && b[0] < 64:
		return kindDTLS
	case b[0] >= 64 && b[0] < 80, b[0] >= 128 && b[0] < 192:
		return kindMedia
	}
	return kindOther
}

// perSecond is how many packets of a kind one sender may have, and twice as many
// at once: several times what a call with a picture of 6 Mbit/s needs.
func perSecond(kind int) float64 {
	switch kind {
	case kindSTUN:
		return 150
	case kindDTLS:
		return 300
	case kindMedia:
		return 2000
	}
	return 20
}

const (
	// knownMost bounds the senders with an allowance of their own: those that we
	// send to, candidates of a participant among them.
	knownMost = 64
	// After so many packets in a row that were one too many the socket is left alone
	// for a moment: the kernel drops them for less than we can.
	refusedMost = 32
	refusedRest = 2 * time.Millisecond
)

// allowance is what one sender may still send.
type allowance struct {
	left [kinds]float64
	at   time.Time
	from netip.AddrPort
}

// take reports whether a packet of the kind is within it.
func (a *allowance) take(kind int, now time.Time) bool {
	past := now.Sub(a.at).Seconds()
	first := a.at.IsZero()
	for k := range a.left {
		most := 2 * perSecond(k)
		a.left[k] = min(a.left[k]+past*perSecond(k), most)
		if first {
			a.left[k] = most
		}
	}
	a.at = now
	if a.left[kind] < 1 {
		return false
	}
	a.left[kind]--
	return true
}

// gate is a socket that lets through what a call can need and no flood: all that pion
// does with a packet it does for those only. Whoever we have sent to has an allowance
// of its own, so that strangers, who share one, can not use it up. Reading is for one
// goroutine at a time, as pion does.
type gate struct {
	transport.UDPConn

	strangers allowance
	refused   int // in a row

	mu    sync.Mutex
	known []allowance
	next  int // the one to give way
}

// ReadFrom implements net.PacketConn.
func (g *gate) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := g.UDPConn.ReadFrom(b)
		if err != nil {
			return n, from, err //nolint:wrapcheck // pion looks at the error itself
		}
		if g.admits(b[:n], from, time.Now()) {
			g.refused = 0
			return n, from, nil
		}
		if g.refused++; g.refused%refusedMost == 0 {
			rest := time.NewTimer(refusedRest)
			<-rest.C
		}
	}
}

func (g *gate) admits(b []byte, from net.Addr, now time.Time) bool {
	kind, addr := kindOf(b), addrOf(from)
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.known {
		if g.known[i].from == addr {
			return g.known[i].take(kind, now)
		}
	}
	return g.strangers.take(kind, now)
}

// WriteTo implements net.PacketConn.
func (g *gate) WriteTo(b []byte, to net.Addr) (int, error) {
	g.know(addrOf(to))
	return g.UDPConn.WriteTo(b, to) //nolint:wrapcheck // pion looks at the error itself
}

// know gives an address an allowance of its own. The eldest of too many gives way.
func (g *gate) know(addr netip.AddrPort) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range g.known {
		if g.known[i].from == addr {
			return
		}
	}
	if len(g.known) < knownMost {
		g.known = append(g.known, allowance{from: addr})
		return
	}
	g.known[g.next] = allowance{from: addr}
	g.next = (g.next + 1) % knownMost
}

func addrOf(a net.Addr) netip.AddrPort {
	u, ok := a.(*net.UDPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	at := u.AddrPort()
	return netip.AddrPortFrom(at.Addr().Unmap(), at.Port())
}

// ListenUDP implements transport.Net: every socket of a connection has a gate.
func (f *fresh) ListenUDP(network string, at *net.UDPAddr) (transport.UDPConn, error) {
	c, err := f.Net.ListenUDP(network, at)
	if err != nil {
		return nil, fmt.Errorf("cannot open a socket for media: %w", err)
	}
	return &gate{UDPConn: c}, nil
}
