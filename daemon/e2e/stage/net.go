package stage

import (
	"errors"
	"fmt"
	"net"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Link is the interface of a private network that stands for the kiosk's plug:
// with it up there is "a link with an address and a route".
const Link = "lan0"

// linkPeer is its other end, which nobody listens on.
const linkPeer = "lan0-peer"

// settleNetwork makes the fresh network namespace one that a kiosk can live in:
// loopback, and one more link with an address (RFC 5737, TEST-NET-1) and the default route.
func settleNetwork() error {
	lo, err := netlink.LinkByName("lo")
	if err == nil {
		err = netlink.LinkSetUp(lo)
	}
	if err != nil {
		return fmt.Errorf("cannot bring loopback up: %w", err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name = Link
	if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: attrs, PeerName: linkPeer}); err != nil {
		return fmt.Errorf("cannot make the private network's link: %w", err)
	}
	link, err := netlink.LinkByName(Link)
	if err != nil {
		return fmt.Errorf("cannot find the private network's link: %w", err)
	}
	address := &netlink.Addr{IPNet: &net.IPNet{IP: net.IPv4(192, 0, 2, 2), Mask: net.CIDRMask(24, 32)}}
	if err := netlink.AddrAdd(link, address); err != nil {
		return fmt.Errorf("cannot give the private network an address: %w", err)
	}
	return SetLink(true)
}

// SetLink plugs the private network's cable in or out.
func SetLink(up bool) error {
	link, err := netlink.LinkByName(Link)
	if err != nil {
		return fmt.Errorf("cannot find the private network's link: %w", err)
	}
	peer, err := netlink.LinkByName(linkPeer)
	if err != nil {
		return fmt.Errorf("cannot find the far end of the private network's link: %w", err)
	}
	if !up {
		if err := errors.Join(netlink.LinkSetDown(peer), netlink.LinkSetDown(link)); err != nil {
			return fmt.Errorf("cannot cut the private network's link: %w", err)
		}
		return nil
	}
	if err := errors.Join(netlink.LinkSetUp(peer), netlink.LinkSetUp(link)); err != nil {
		return fmt.Errorf("cannot bring the private network's link up: %w", err)
	}
	// The kernel has dropped the route with the link.
	route := &netlink.Route{LinkIndex: link.Attrs().Index, Gw: net.IPv4(192, 0, 2, 1)}
	if err := netlink.RouteReplace(route); err != nil && !errors.Is(err, unix.EEXIST) {
		return fmt.Errorf("cannot give the private network a route: %w", err)
	}
	return nil
}
