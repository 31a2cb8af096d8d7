package backend

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// hosts is the allow-list, as "name:port".
type hosts map[string]struct{}

// newHosts makes the list of the base address's own host and the entries.
func newHosts(base *url.URL, entries []string) (hosts, error) {
	list := hosts{}
	list[authority(base.Hostname(), base.Port(), base.Scheme)] = struct{}{}
	for _, entry := range entries {
		name, port, err := splitEntry(entry)
		if err != nil {
			return nil, err
		}
		if port != "" {
			list[authority(name, port, "")] = struct{}{}
			continue
		}
		list[authority(name, "", "https")] = struct{}{}
		if loopbackHost(name) {
			list[authority(name, "", "http")] = struct{}{}
		}
	}
	return list, nil
}

// splitEntry takes name, name:port, a bare IPv6 address or [address]:port.
func splitEntry(entry string) (name, port string, err error) {
	if addr, err := netip.ParseAddr(entry); err == nil {
		return addr.String(), "", nil
	}
	name = entry
	if strings.Contains(entry, ":") {
		name, port, err = net.SplitHostPort(entry)
	}
	if err != nil || name == "" || strings.ContainsAny(name, "/@? #") {
		return "", "", fmt.Errorf("cannot use the list of hosts: %q is not host or host:port; correct backend.allow_hosts", entry)
	}
	return name, port, nil
}

// allow tells whether the address names a host of the list, port included. A
// port decides: on loopback it tells the backend from every other service.
func (h hosts) allow(u *url.URL) bool {
	_, ok := h[authority(u.Hostname(), u.Port(), u.Scheme)]
	return ok
}

// authority is "name:port" with the scheme's own port filled in (RFC 9110,
// sections 4.2.1 and 4.2.2; RFC 6455, section 3). Names compare without case.
func authority(name, port, scheme string) string {
	if port == "" {
		port = "443"
		if scheme == "http" || scheme == "ws" {
			port = "80"
		}
	}
	return net.JoinHostPort(strings.ToLower(name), port)
}
