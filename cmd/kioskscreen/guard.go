package main

import (
	"net/http"
	"slices"
	"strings"
)

// openPath is where a one-use link leads, followed by its code.
const openPath = "/open/"

// apiPath is what all calls of the control API start with.
const apiPath = "/v1/"

// guard keeps every web page but our own out (promise X3). A browser that shows
// a foreign page can be made to send requests to loopback; what it cannot do is
// lie about Host, Origin and Sec-Fetch-* (Fetch Metadata, W3C; the Origin header,
// RFC 6454, section 7). A program on this machine that is no browser can, and
// meets the token and the check of its user id instead.
type guard struct {
	hosts []string // exactly these; anything else is a rebound name
}

func newGuard(addr string) guard {
	_, port, _ := strings.Cut(addr, ":")
	return guard{hosts: []string{addr, "localhost:" + port}}
}

// refuse gives the reason a request is turned away for, or "" if it is not. The
// reason names the rule, never a value of the request.
func (g guard) refuse(r *http.Request) string {
	switch {
	case !slices.Contains(g.hosts, r.Host):
		return "host"
	case !strings.HasPrefix(r.RequestURI, "/"):
		// absolute-form and "*" (RFC 9112, section 3.2) are for proxies
		return "request target"
	case upgrades(r.Header):
		return "upgrade"
	case !originFits(r):
		return "origin"
	case !refererFits(r):
		return "referer"
	}
	return fetchRefusal(r)
}

// upgrades finds a WebSocket handshake (RFC 6455, section 4.1), which browsers
// send across origins without asking, and any other change of protocol.
func upgrades(h http.Header) bool {
	if h.Get("Upgrade") != "" {
		return true
	}
	for _, v := range h.Values("Connection") {
		if strings.Contains(strings.ToLower(v), "upgrade") {
			return true
		}
	}
	for name := range h {
		if strings.HasPrefix(name, "Sec-Websocket-") {
			return true
		}
	}
	return false
}

func originFits(r *http.Request) bool {
	origins := r.Header.Values("Origin")
	return len(origins) == 0 || len(origins) == 1 && origins[0] == "http://"+r.Host
}

// refererFits: our own pages send none (Referrer-Policy), but a browser may be
// set up otherwise.
func refererFits(r *http.Request) bool {
	for _, v := range r.Header.Values("Referer") {
		if !strings.HasPrefix(v, "http://"+r.Host+"/") {
			return false
		}
	}
	return true
}

// fetchRefusal judges the Sec-Fetch-* headers. Chromium and Firefox send them
// to loopback on every request; what comes without is no browser of today.
func fetchRefusal(r *http.Request) string {
	sites := r.Header.Values("Sec-Fetch-Site")
	if len(sites) > 1 {
		return "fetch site"
	}
	mode, dest := r.Header.Get("Sec-Fetch-Mode"), r.Header.Get("Sec-Fetch-Dest")
	api := strings.HasPrefix(r.URL.Path, apiPath)
	if len(sites) == 0 {
		// Without the header a write must at least prove its origin.
		if reads(r.Method) || r.Header.Get("Origin") != "" {
			return ""
		}
		return "fetch site"
	}
	switch navigation := r.Method == http.MethodGet && mode == "navigate" && dest == "document"; sites[0] {
	case "same-origin":
		if api && (mode != "cors" && mode != "same-origin" || dest != "empty") {
			return "fetch mode" // our page calls the API by fetch and EventSource only
		}
		return ""
	case "none": // typed, or opened by whoever started the browser
		if navigation && !api {
			return ""
		}
	case "cross-site":
		// The launch file is a page of the scheme file:, so foreign. Its link
		// carries 256 bits nobody can guess.
		if navigation && strings.HasPrefix(r.URL.Path, openPath) {
			return ""
		}
	}
	return "fetch site"
}

func reads(method string) bool {
	return method == http.MethodGet || method == http.MethodHead
}

// prefetches finds a browser that only loads ahead (Sec-Purpose; older ones say
// Purpose): it must not use up the one-use link.
func prefetches(h http.Header) bool {
	return strings.Contains(h.Get("Sec-Purpose"), "prefetch") || h.Get("Purpose") == "prefetch"
}
