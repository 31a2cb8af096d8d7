package stage

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"runtime"
	"strconv"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// The networks of a stage that is apart: the kiosk's own, and the clinic's, in the
// middle a router. Addresses are for documentation (RFC 5737).
//
//	kiosk lan0 192.0.2.2 --- 192.0.2.1 router 198.51.100.1 --- 198.51.100.2 clinic
const (
	clinicAddress = "198.51.100.2"
	clinicLink    = "far0"
	routerLink    = "far0-peer"
)

// apart are the two other network namespaces: what the clinic lives in, and the
// router between.
type apart struct{ clinic, router *os.File }

// settleApart puts clinic and kiosk on two machines, see Options.Apart.
func (s *Stage) settleApart() error {
	if s.opts.Credential != nil {
		return errors.New("cannot put the clinic on another machine: only root enters its network")
	}
	a := &apart{}
	s.apart = a
	var err error
	if a.clinic, err = newNamespace(); err != nil {
		return err
	}
	if a.router, err = newNamespace(); err != nil {
		return err
	}
	if err := errors.Join(removeLink(), addLink(a.router)); err != nil {
		return err
	}
	if err := within(a.router, func() error {
		attrs := netlink.NewLinkAttrs()
		attrs.Name = routerLink
		pair := &netlink.Veth{LinkAttrs: attrs, PeerName: clinicLink, PeerNamespace: netlink.NsFd(int(a.clinic.Fd()))}
		if err := netlink.LinkAdd(pair); err != nil {
			return fmt.Errorf("cannot make the clinic's link: %w", err)
		}
		return errors.Join(loopback(), address(linkPeer, net.IPv4(192, 0, 2, 1)), address(routerLink, net.IPv4(198, 51, 100, 1)))
	}); err != nil {
		return err
	}
	if err := within(a.clinic, func() error {
		return errors.Join(loopback(), address(clinicLink, net.ParseIP(clinicAddress)), route(clinicLink, net.IPv4(198, 51, 100, 1)))
	}); err != nil {
		return err
	}
	return errors.Join(s.SetForwarding(true), SetLink(true))
}

// SetForwarding has the router pass packets on, or drop them without a word while
// every link stays up.
func (s *Stage) SetForwarding(on bool) error {
	value := "0"
	if on {
		value = "1"
	}
	return within(s.apart.router, func() error { return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte(value), 0) })
}

// Readdress takes the kiosk's address away and gives it another one of the same
// network, the last byte of which is last.
func (s *Stage) Readdress(last byte) error {
	link, err := netlink.LinkByName(Link)
	if err != nil {
		return fmt.Errorf("cannot find the private network's link: %w", err)
	}
	old, err := netlink.AddrList(link, netlink.FAMILY_V4)
	if err != nil {
		return fmt.Errorf("cannot list the addresses of %s: %w", Link, err)
	}
	for _, o := range old {
		if err := netlink.AddrDel(link, &o); err != nil {
			return fmt.Errorf("cannot take %s from %s: %w", o.IP, Link, err)
		}
	}
	return errors.Join(address(Link, net.IPv4(192, 0, 2, last)), route(Link, net.IPv4(192, 0, 2, 1)))
}

// close ends the namespaces, and with them their links; the private network is as it
// was before.
func (a *apart) close() error {
	err := removeLink()
	for _, f := range []*os.File{a.clinic, a.router} {
		if f != nil {
			err = errors.Join(err, f.Close())
		}
	}
	return errors.Join(err, addLink(nil), SetLink(true))
}

// wrap has a program start in the clinic's network: the arguments of nsenter(1).
func (a *apart) wrap(args []string) []string {
	return append([]string{"/usr/bin/nsenter", fmt.Sprintf("--net=/proc/%d/fd/%d", os.Getpid(), a.clinic.Fd()), "--"}, args...)
}

// dial connects from within the clinic's network. A socket stays where it was made.
func (a *apart) dial(ctx context.Context, network, address string) (net.Conn, error) {
	var c net.Conn
	err := within(a.clinic, func() error {
		var d net.Dialer
		var err error
		c, err = d.DialContext(ctx, network, address)
		return err //nolint:wrapcheck // the dialer's own words
	})
	return c, err
}

// client speaks HTTP from within the clinic's network.
func (a *apart) client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: a.dial}}
}

// newNamespace makes a network namespace that lives as long as the file is open.
func newNamespace() (*os.File, error) {
	var made *os.File
	err := onThread(func() error {
		if err := unix.Unshare(unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot make a network namespace: %w", err)
		}
		var err error
		made, err = os.Open("/proc/thread-self/ns/net")
		return err //nolint:wrapcheck // names the file
	})
	return made, err
}

// within runs do in a network namespace. Only what do does itself is in there, not
// what goroutines of its own do.
func within(ns *os.File, do func() error) error {
	return onThread(func() error {
		if err := unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			return fmt.Errorf("cannot enter the other network: %w", err)
		}
		return do()
	})
}

// onThread runs do on a thread that nobody uses afterwards, unless it is in our own
// network again.
func onThread(do func() error) error {
	done := make(chan error, 1)
	go func() {
		runtime.LockOSThread()
		own, err := os.Open("/proc/thread-self/ns/net")
		if err != nil {
			done <- err
			return // the thread ends with its goroutine
		}
		defer own.Close() //nolint:errcheck // opened for reading only
		err = do()
		if back := unix.Setns(int(own.Fd()), unix.CLONE_NEWNET); back == nil {
			runtime.UnlockOSThread()
		}
		done <- err
	}()
	return <-done
}

func loopback() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("cannot bring loopback up: %w", err)
	}
	return nil
}

// address gives a link an address of a network of 256 and brings it up.
func address(name string, ip net.IP) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.AddrAdd(link, &netlink.Addr{IPNet: &net.IPNet{IP: ip, Mask: net.CIDRMask(24, 32)}})
	}
	if err == nil {
		err = netlink.LinkSetUp(link)
	}
	if err != nil {
		return fmt.Errorf("cannot give %s the address %s: %w", name, ip, err)
	}
	return nil
}

// route makes a gateway the way to everywhere.
func route(name string, gateway net.IP) error {
	link, err := netlink.LinkByName(name)
	if err == nil {
		err = netlink.RouteReplace(&netlink.Route{LinkIndex: link.Attrs().Index, Gw: gateway})
	}
	if err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot give %s a route: %w", name, err)
	}
	return nil
}

// port0 is any port of an address.
func port0(host string) string { return net.JoinHostPort(host, strconv.Itoa(0)) }
