package reach

import (
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strings"
)

// Hosts is the allow-list: the backend's own authority and the configured ones.
// It is made once and never changes; the zero value allows nothing.
type Hosts struct{ names map[string]struct{} } // "name:port"

// NewHosts makes the list of the base address's own host and the entries: name,
// name:port, a bare IPv6 address or [address]:port. Without a port the scheme's
// own is meant. The error quotes the entry that is wrong.
func NewHosts(base *url.URL, entries []string) (Hosts, error) {
	list := map[string]struct{}{authority(base.Hostname(), base.Port(), base.Scheme): {}}
	for _, entry := range entries {
		name, port, err := splitEntry(entry)
		if err != nil {
			return Hosts{}, err
		}
		if port != "" {
			list[authority(name, port, "")] = struct{}{}
			continue
		}
		list[authority(name, "", "https")] = struct{}{}
		if Loopback(name) {
			list[authority(name, "", "http")] = struct{}{}
		}
	}
	return Hosts{list}, nil
}

// splitEntry takes one entry apart.
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

// Allow tells whether the address names a host of the list, port included. A
// port decides: on loopback it tells the backend from every other service.
func (h Hosts) Allow(u *url.URL) bool {
	_, ok := h.names[authority(u.Hostname(), u.Port(), u.Scheme)]
	return ok
}

// Resolve makes the address that a document or an answer of from refers to (RFC
// 3986, section 5; RFC 9110, section 10.2.2) and holds it to the rules: https,
// or http to loopback where from is http, too; no user information; a host of
// the list. Where it may not be used, problem says why in words that fit behind
// "names" or "redirected to" and never quotes it; else problem is "".
func (h Hosts) Resolve(from *url.URL, reference string) (u *url.URL, problem string) {
	u, err := from.Parse(reference)
	switch {
	case err != nil || reference == "":
		return nil, "no usable address"
	case !Web(u) || u.User != nil || (from.Scheme == "https" && u.Scheme != "https"):
		return nil, "an address that is not https"
	case !h.Allow(u):
		return nil, "a host that is not on the list; add it to backend.allow_hosts if it is right"
	}
	u.Fragment, u.RawFragment = "", ""
	return u, ""
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

// Web holds the rule for addresses we send requests to: https, or http to a
// loopback host.
func Web(u *url.URL) bool {
	return u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http" && Loopback(u.Hostname()))
}

// Loopback is true for addresses of 127.0.0.0/8 and ::1, and for the name
// "localhost" (RFC 6761, section 6.3).
func Loopback(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}
