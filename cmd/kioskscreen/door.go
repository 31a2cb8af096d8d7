package main

import (
	"fmt"
	"net/http"
	"strings"

	"kioskd/cmd/kioskscreen/begin"
	"kioskd/configs/words"
)

// contentPolicy lets the page load its own files and talk to its own origin,
// nothing else: no inline script but the one it begins with, no foreign frame, no form
// (CSP Level 3).
func contentPolicy() string {
	return "default-src 'none'; script-src 'self' " + begin.Source() + "; style-src 'self'; img-src 'self'; " +
		"connect-src 'self'; media-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
		"require-trusted-types-for 'script'; trusted-types 'none'"
}

// door is the loopback HTTP handler: the guard, then the token, then the page's
// files or the way to the daemon.
type door struct {
	guard    guard
	keys     *keys
	proxy    *proxy
	launcher *launcher
	table    []route
	site     *site
	policy   string
	options  options
}

func newDoor(addr string, o options, l *launcher) (*door, error) {
	p := newProxy(o.socket, o.log)
	s, err := newSite(o.lang, p.language)
	if err != nil {
		return nil, err
	}
	return &door{
		guard: newGuard(addr), keys: newKeys(addr), proxy: p,
		launcher: l, table: routes(), site: s, policy: contentPolicy(), options: o,
	}, nil
}

// ServeHTTP judges a request in the order: guard (403), method (405), one-use
// link, plain files, token (401), then the page and the API.
func (d *door) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	d.secure(w.Header())
	api := strings.HasPrefix(r.URL.Path, apiPath)
	if reason := d.guard.refuse(r); reason != "" {
		d.options.log.Debug("refused a request", "rule", reason)
		d.deny(w, r, api, http.StatusForbidden)
		return
	}
	switch {
	case api && !d.keys.known(r):
		writeProblem(w, problemClosed())
	case api:
		d.serveAPI(w, r)
	case r.Method != http.MethodGet && r.Method != http.MethodHead:
		w.Header().Set("Allow", "GET, HEAD")
		d.deny(w, r, false, http.StatusMethodNotAllowed)
	case strings.HasPrefix(r.URL.Path, openPath):
		d.open(w, r)
	case strings.HasPrefix(r.URL.Path, assetPath):
		// They are public and hold nothing of the kiosk's; the pages that say
		// "locked" need the style sheet too.
		d.site.serveAsset(w, r)
	case !d.keys.known(r):
		d.deny(w, r, false, http.StatusUnauthorized)
	case r.URL.Path == "/":
		d.site.servePage(w, r)
	case r.URL.Path == "/words.json":
		d.site.serveWords(w, r)
	default:
		d.deny(w, r, false, http.StatusNotFound)
	}
}

// secure sets the headers every answer has.
func (d *door) secure(h http.Header) {
	h.Set("Content-Security-Policy", d.policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Permissions-Policy", "camera=(), microphone=(), geolocation=(), display-capture=(), usb=(), serial=()")
	h.Set("Cache-Control", "no-store")
}

// serveAPI finds the route and passes the call on.
func (d *door) serveAPI(w http.ResponseWriter, r *http.Request) {
	rt, path, allow := find(d.table, r.Method, r.URL)
	switch {
	case rt.method != "":
		d.proxy.call(w, r, rt, path)
	case len(allow) > 0:
		w.Header().Set("Allow", strings.Join(allow, ", "))
		writeProblem(w, problemMethod())
	default:
		writeProblem(w, problemNotFound())
	}
}

// open spends a one-use link: it sets the cookie, sends the browser to the page
// and writes a new link for the browser that comes after a crash.
func (d *door) open(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || prefetches(r.Header) {
		d.deny(w, r, false, http.StatusForbidden)
		return
	}
	if !d.keys.spend(strings.TrimPrefix(r.URL.Path, openPath)) {
		d.deny(w, r, false, http.StatusGone)
		return
	}
	if err := d.launcher.publish(d.keys.link()); err != nil {
		d.options.log.Error("cannot renew the one-use link", "error", err)
	}
	d.keys.setCookie(w)
	if r.Header.Get("Sec-Fetch-Site") == "cross-site" {
		// A redirect would still count as the foreign page's doing and leave a
		// SameSite=Strict cookie at home; a step from our own page does not.
		d.site.serveStep(w)
		return
	}
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

// deny answers in plain words: a problem for a call, a page for a person.
func (d *door) deny(w http.ResponseWriter, r *http.Request, api bool, status int) {
	if api {
		writeProblem(w, problemRefused())
		return
	}
	key := map[int]string{
		http.StatusUnauthorized: "door.closed",
		http.StatusGone:         "door.used",
		http.StatusNotFound:     "door.missing",
	}[status]
	if key == "" {
		key = "door.refused"
	}
	d.site.serveNotice(w, r, status, key)
}

// language picks the page's language: the one asked for in the address, else the
// kiosk's, else the browser's.
func language(kiosk string, r *http.Request) (*words.Catalogue, error) {
	if asked := r.URL.Query().Get("lang"); asked != "" {
		if c, err := words.Load(asked); err == nil {
			return c, nil
		}
	}
	if kiosk == "" {
		kiosk = words.Match(r.Header.Get("Accept-Language"))
	}
	c, err := words.Load(kiosk)
	if err != nil {
		return nil, fmt.Errorf("cannot choose the page's language: %w", err)
	}
	return c, nil
}
