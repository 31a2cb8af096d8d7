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
	"log/slog"
	"net"
	"slices"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// settle is how long after a kernel message it is looked again: a cable that comes
// back brings a dozen.
const settle = 50 * time.Millisecond

// burstMost is how long a burst of messages may put off the look at its end: a Wi-Fi
// that flaps sends them without one.
const burstMost = time.Second

// pauseMost is the longest pause before a look that failed is tried again.
const pauseMost = time.Second

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
	// Log is told what Watch has to try again; nil: nobody is.
	Log *slog.Logger
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
// until ctx ends. It returns when its goroutine is gone. It fails only where the kernel
// cannot be listened to from the start; what goes wrong later is logged and tried
// again, and until then the last answer holds.
func Watch(ctx context.Context, o Options, changed func(up bool)) error {
	w := watch{o: o, changed: changed, pause: settle}
	if err := w.listen(); err != nil {
		return err
	}
	defer func() { w.close() }()
	quiet := true
	var due time.Time // a burst that does not end is looked at then
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		ok, look, counts := true, false, true
		select {
		case <-ctx.Done():
			return nil
		case u, open := <-w.links:
			ok, counts = open, !open || !slices.Contains(o.Ignore, u.Attrs().Name)
		case u, open := <-w.addresses:
			ok, counts = open, !open || !ignored(u.LinkIndex, o)
		case _, ok = <-w.routes:
		case <-timer.C:
			look = true
		}
		w.moved = w.moved || counts && !look
		switch {
		case !ok: // more happened at once than a socket holds (ENOBUFS, netlink(7))
			w.warn(errSocket)
			w.close() // the next look listens again
			quiet, due = false, time.Now().Add(burstMost)
			timer.Reset(w.pause)
		case look:
			quiet = true
		case quiet: // the first of a burst counts at once: a link that went has nothing to settle
			look, quiet, due = true, false, time.Now().Add(burstMost)
			fallthrough
		default:
			timer.Reset(max(0, min(settle, time.Until(due))))
		}
		if look && !w.look() {
			quiet, due = false, time.Now().Add(burstMost) // what comes now is no reason to be sooner
			timer.Reset(w.pause)
			w.pause = min(2*w.pause, pauseMost)
		}
	}
}

// watch is what Watch knows, and its subscriptions. They are nil while there are none.
type watch struct {
	o       Options
	changed func(up bool)

	known, last, moved bool
	pause              time.Duration // before a look that failed is tried again

	done      chan struct{}
	links     chan netlink.LinkUpdate
	addresses chan netlink.AddrUpdate
	routes    chan netlink.RouteUpdate
}

var errSocket = errors.New("cannot listen to the kernel for network changes: its socket closed")

// listen subscribes to all that moves.
func (w *watch) listen() error {
	w.done = make(chan struct{})
	links := make(chan netlink.LinkUpdate, 64)
	addresses := make(chan netlink.AddrUpdate, 64)
	routes := make(chan netlink.RouteUpdate, 64)
	// The library closes each channel when done is closed and its socket read ends.
	err := netlink.LinkSubscribe(links, w.done)
	if err == nil {
		w.links = links
		err = netlink.AddrSubscribe(addresses, w.done)
	}
	if err == nil {
		w.addresses = addresses
		err = netlink.RouteSubscribe(routes, w.done)
	}
	if err != nil {
		w.close()
		return fmt.Errorf("cannot listen to the kernel for network changes: %w", err)
	}
	w.routes = routes
	return nil
}

// close ends the subscriptions there are.
func (w *watch) close() {
	if w.done == nil {
		return
	}
	close(w.done)
	drain(w.links)
	drain(w.addresses)
	drain(w.routes)
	w.done, w.links, w.addresses, w.routes = nil, nil, nil, nil
}

func (w *watch) warn(err error) {
	if w.o.Log != nil {
		w.o.Log.Warn("the network's state is not known for a moment, looking again", "error", err)
	}
}

// look tells what is new, and says whether it could be seen. A dump during which
// something changed is none (NLM_F_DUMP_INTR).
func (w *watch) look() bool {
	var err error
	if w.done == nil {
		err = w.listen()
	}
	up := false
	if err == nil {
		up, err = Up(w.o)
	}
	if err != nil {
		w.warn(err)
		return false
	}
	w.pause = settle
	if !w.known || up != w.last {
		w.known, w.last = true, up
		w.changed(up)
	}
	if w.moved && w.o.Moved != nil {
		w.o.Moved()
	}
	w.moved = false
	return true
}

// ignored tells whether an interface is one that leads nowhere. One that is gone
// already counts: it carried something until now.
func ignored(index int, o Options) bool {
	l, err := netlink.LinkByIndex(index)
	return err == nil && slices.Contains(o.Ignore, l.Attrs().Name)
}

// drain frees a sender that is still at it, until its channel closes; nil has none.
func drain[T any](c <-chan T) {
	if c == nil {
		return
	}
	for range c {
	}
}
