package stage

import (
	"errors"
	"fmt"
	"net"
	"os"

	"github.com/vishvananda/netlink"
)

// Link is the interface of a private network that stands for the kiosk's plug:
// with it up there is "a link with an address and a route".
const Link = "lan0"

// linkPeer is its other end, which nobody listens on.
const linkPeer = "lan0-peer"

// settleNetwork makes the fresh network namespace one that a kiosk can live in:
// loopback, and one more link with an address (RFC 5737, TEST-NET-1) and the default route.
func settleNetwork() error {
	return errors.Join(loopback(), addLink(nil), SetLink(true))
}

// addLink makes the private network's link, its far end in another namespace where
// one is given.
func addLink(far *os.File) error {
	attrs := netlink.NewLinkAttrs()
	attrs.Name = Link
	pair := &netlink.Veth{LinkAttrs: attrs, PeerName: linkPeer}
	if far != nil {
		pair.PeerNamespace = netlink.NsFd(int(far.Fd()))
	}
	if err := netlink.LinkAdd(pair); err != nil {
		return fmt.Errorf("cannot make the private network's link: %w", err)
	}
	return address(Link, net.IPv4(192, 0, 2, 2))
}

// removeLink takes the link away, and its far end with it.
func removeLink() error {
	link, err := netlink.LinkByName(Link)
	if err == nil {
		err = netlink.LinkDel(link)
	}
	if err != nil {
		return fmt.Errorf("cannot remove the private network's link: %w", err)
	}
	return nil
}

// SetLink plugs the private network's cable in or out.
func SetLink(up bool) error {
	set := netlink.LinkSetDown
	if up {
		set = netlink.LinkSetUp
	}
	for _, name := range []string{linkPeer, Link} {
		link, err := netlink.LinkByName(name)
		var none netlink.LinkNotFoundError
		if name == linkPeer && errors.As(err, &none) {
			continue // it is elsewhere, see Options.Apart
		}
		if err == nil {
			err = set(link)
		}
		if err != nil {
			return fmt.Errorf("cannot plug the private network's link %s in or out: %w", name, err)
		}
	}
	if !up {
		return nil
	}
	return route(Link, net.IPv4(192, 0, 2, 1)) // the kernel has dropped it with the link
}
