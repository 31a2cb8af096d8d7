// Package network answers one question: is there a network? That is a link that
// is up, with an address of global scope and a route that leaves through it. It
// listens to the kernel (rtnetlink) for changes; nothing polls.
//
// Imported by daemon.
package network

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle is how long after a kernel message it is looked again: a cable that comes
// back brings a dozen.
const settle = 50 * time.Millisecond

// Options say what counts.
type Options struct {
	// Ignore are names of interfaces that lead nowhere.
	Ignore []string
	// LoopbackCounts lets lo alone count, for demos and tests.
	LoopbackCounts bool
	// Moved is called by Watch when a link, an address or a route that counts has
	// changed, also where the answer stays the same: at once for the first of a
	// burst, and once more at its end. It must not block; nil: nobody wants to know.
	Moved func()
}

// Up looks once.
func Up(o Options) (bool, error) {
	links, err := netlink.LinkList()
	if err != nil {
		return false, fmt.Errorf("cannot list the network's links: %w", err)
	}
	for _, l := range links {
		ok, err := usable(l, o)
		if err != nil {
			return false, err
		}
		if ok {
			return true, nil
		}
	}
	return false, nil
}

// usable tells whether a link is up, addressed and routed.
func usable(l netlink.Link, o Options) (bool, error) {
	a := l.Attrs()
	if a.Flags&net.FlagUp == 0 || slices.Contains(o.Ignore, a.Name) {
		return false, nil
	}
	if a.Flags&net.FlagLoopback != 0 {
		return o.LoopbackCounts, nil
	}
	if a.OperState != netlink.OperUp && a.OperState != netlink.OperUnknown { // unknown: tunnels and some drivers
		return false, nil
	}
	addresses, err := netlink.AddrList(l, netlink.FAMILY_ALL)
	if err != nil {
		return false, fmt.Errorf("cannot list the addresses of %s: %w", a.Name, err)
	}
	if !slices.ContainsFunc(addresses, func(x netlink.Addr) bool { return x.Scope == unix.RT_SCOPE_UNIVERSE }) {
		return false, nil
	}
	routes, err := netlink.RouteList(l, netlink.FAMILY_ALL)
	if err != nil {
		return false, fmt.Errorf("cannot list the routes of %s: %w", a.Name, err)
	}
	return slices.ContainsFunc(routes, func(r netlink.Route) bool {
		return r.Dst == nil || !r.Dst.IP.IsLinkLocalUnicast() && !r.Dst.IP.IsMulticast()
	}), nil
}

// Watch calls changed with the present answer and then with every other one,
// until ctx ends. It returns when its goroutine is gone.
func Watch(ctx context.Context, o Options, changed func(up bool)) error {
	done := make(chan struct{})
	links := make(chan netlink.LinkUpdate, 64)
	addresses := make(chan netlink.AddrUpdate, 64)
	routes := make(chan netlink.RouteUpdate, 64)
	// The library closes each channel when done is closed and its socket read ends.
	if err := errors.Join(netlink.LinkSubscribe(links, done), netlink.AddrSubscribe(addresses, done),
		netlink.RouteSubscribe(routes, done)); err != nil {
		close(done)
		return fmt.Errorf("cannot listen to the kernel for network changes: %w", err)
	}
	defer func() {
		close(done)
		drain(links)
		drain(addresses)
		drain(routes)
	}()
	known, last, quiet, moved := false, false, true, false
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		ok, look, counts := true, false, true
		select {
		case <-ctx.Done():
			return nil
		case u, open := <-links:
			ok, counts = open, !open || !slices.Contains(o.Ignore, u.Attrs().Name)
		case u, open := <-addresses:
			ok, counts = open, !open || !ignored(u.LinkIndex, o)
		case _, ok = <-routes:
		case <-timer.C:
			look = true
		}
		moved = moved || counts && !look
		switch {
		case !ok:
			return errors.New("cannot listen to the kernel for network changes: its socket closed")
		case look:
			quiet = true
		case quiet: // the first of a burst counts at once: a link that went has nothing to settle
			look, quiet = true, false
			fallthrough
		default:
			timer.Reset(settle)
		}
		if !look {
			continue
		}
		up, err := Up(o)
		if err != nil {
			return err
		}
		if !known || up != last {
			known, last = true, up
			changed(up)
		}
		if moved && o.Moved != nil {
			o.Moved()
		}
		moved = false
	}
}

// ignored tells whether an interface is one that leads nowhere. One that is gone
// already counts: it carried something until now.
func ignored(index int, o Options) bool {
	l, err := netlink.LinkByIndex(index)
	return err == nil && slices.Contains(o.Ignore, l.Attrs().Name)
}

// drain frees a sender that is still at it, until its channel closes.
func drain[T any](c <-chan T) {
	for range c {
	}
}
