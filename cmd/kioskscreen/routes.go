package main

import (
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"
)

// Media types of bodies the page sends.
const (
	typeJSON     = "application/json"
	typeSDP      = "application/sdp"                 // WHEP offers
	typeFragment = "application/trickle-ice-sdpfrag" // RFC 8840
	typeEvents   = "text/event-stream"
)

// route is one call the page may make. A path element "*" is an identifier. No
// body means that none is taken; bodies may be left out where optional is set.
type route struct {
	method, path string
	body         string // the media type
	optional     bool   // an empty body is a call of its own ("toggle")
}

// routes is the list of what passes: the calls of the control API whose least
// role is screen, and of those the ones the page has a use for. Default deny.
func routes() []route {
	return []route{
		{method: http.MethodGet, path: "/v1/status"},
		{method: http.MethodGet, path: "/v1/events"},
		{method: http.MethodGet, path: "/v1/session"},
		{method: http.MethodPut, path: "/v1/session", body: typeJSON},
		{method: http.MethodPut, path: "/v1/session/permissions", body: typeJSON},
		{method: http.MethodPost, path: "/v1/session/mute", body: typeJSON, optional: true},
		{method: http.MethodPost, path: "/v1/session/disable-video", body: typeJSON, optional: true},
		{method: http.MethodPost, path: "/v1/session/swap-camera", body: typeJSON, optional: true},
		{method: http.MethodPost, path: "/v1/session/chat", body: typeJSON, optional: true},
		{method: http.MethodPost, path: "/v1/session/report-issue", body: typeJSON, optional: true},
		{method: http.MethodPost, path: "/v1/session/end-call", body: typeJSON, optional: true},
		{method: http.MethodGet, path: "/v1/session/messages"},
		{method: http.MethodPost, path: "/v1/session/messages", body: typeJSON},
		{method: http.MethodPost, path: "/v1/views/self", body: typeSDP},
		{method: http.MethodPost, path: "/v1/views/remote/*", body: typeSDP},
		{method: http.MethodPatch, path: "/v1/views/*", body: typeFragment},
		{method: http.MethodDelete, path: "/v1/views/*"},
		{method: http.MethodGet, path: "/v1/health"},
		{method: http.MethodGet, path: "/v1/devices"},
		{method: http.MethodPost, path: "/v1/checks", body: typeJSON, optional: true},
	}
}

// maxIdentifier bounds a participant's or a view's id in a path, in bytes.
const maxIdentifier = 128

// find gives the route of a request and its path written anew from its decoded
// elements, so that no odd spelling reaches the daemon. With a path that is
// known but not with this method, allow lists the methods it has.
func find(table []route, method string, u *url.URL) (rt route, path string, allow []string) {
	if u.RawQuery != "" || u.ForceQuery {
		return route{}, "", nil // no call of the API has a query
	}
	elements, ok := split(u.EscapedPath())
	if !ok {
		return route{}, "", nil
	}
	for _, candidate := range table {
		if !fits(candidate.path, elements) {
			continue
		}
		if candidate.method == method {
			return candidate, join(elements), nil
		}
		allow = append(allow, candidate.method)
	}
	return route{}, "", allow
}

// split decodes "/a/b%20c" to its elements; false where one is empty, a dot
// path, too long, or not printable text.
func split(escaped string) ([]string, bool) {
	rest, ok := strings.CutPrefix(escaped, "/")
	if !ok {
		return nil, false
	}
	var out []string
	for raw := range strings.SplitSeq(rest, "/") {
		e, err := url.PathUnescape(raw)
		if err != nil || e == "" || e == "." || e == ".." || len(e) > maxIdentifier || !utf8.ValidString(e) {
			return nil, false
		}
		if strings.ContainsFunc(e, func(r rune) bool { return r < ' ' || r == 0x7f || r == '/' || r == '\\' }) {
			return nil, false
		}
		out = append(out, e)
	}
	return out, true
}

func fits(pattern string, elements []string) bool {
	wanted := strings.Split(strings.TrimPrefix(pattern, "/"), "/")
	return slices.EqualFunc(wanted, elements, func(w, e string) bool { return w == "*" || w == e })
}

func join(elements []string) string {
	var b strings.Builder
	for _, e := range elements {
		b.WriteString("/" + url.PathEscape(e))
	}
	return b.String()
}

// bodyFits checks the media type against the route: a browser sends forms and
// plain text across origins without asking first, JSON and SDP never.
func (rt route) bodyFits(h http.Header, size int) bool {
	types := h.Values("Content-Type")
	if size == 0 && len(types) == 0 {
		return rt.body == "" || rt.optional
	}
	if rt.body == "" || len(types) != 1 {
		return false
	}
	media, params, err := mime.ParseMediaType(types[0])
	if err != nil || media != rt.body {
		return false
	}
	charset, has := params["charset"]
	return len(params) == 0 || len(params) == 1 && has && strings.EqualFold(charset, "utf-8")
}
