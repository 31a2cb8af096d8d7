// Package backend is the client of the appointments backend: it opens the video
// room of one appointment, asks what has changed on its screen, hands issue
// reports over, and trusts nothing it is told. Answers are bounded in time and
// size, redirects and addresses are held to an allow-list, and no appointment,
// name, title, address of a document or token gets into an error or a log.
//
// All that is known of the server's API is here and below: package screen reads
// the documents, package reach knows where requests may go. Another deployment
// changes these three. Imports: standard library and the two. May be imported by
// daemon and its parts.
package backend

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"kioskd/daemon/backend/reach"
)

const defaultTimeout = 10 * time.Second

// Options configure a Client.
type Options struct {
	// URL is the base address; "/api/v3/..." is appended to its path. https, or
	// http to a loopback host.
	URL string
	// Token reads the kiosk's bearer token; called for each request, so that a
	// renewed file is seen. Its error must not hold the token.
	Token func() (string, error)
	// CAFile is a PEM file trusted instead of the system's authorities; "" keeps
	// the system's.
	CAFile string
	// Proxy is the address of an HTTP proxy, http://host:port, through which https
	// goes (CONNECT); "" goes straight.
	Proxy string
	// AllowHosts are hosts (name or name:port; without a port the scheme's own
	// is meant) beside the URL's that a redirect or a room's URL may name.
	AllowHosts []string
	// Timeout bounds one OpenRoom or Refresh, redirects and body included; 0 is
	// 10 s. A PostReport has time for its own body on top.
	Timeout time.Duration
	// Device and Platform are sent as X-Device ("" is "Desktop") and X-Platform
	// ("" is "kioskd").
	Device, Platform string
	// Log gets one line a request, without its path; nil discards.
	Log *slog.Logger
}

// Client talks to one backend. It is safe for use by several goroutines.
type Client struct {
	base      *url.URL
	hosts     reach.Hosts
	token     func() (string, error)
	transport *reach.Transport
	timeout   time.Duration
	device    string
	platform  string
	log       *slog.Logger
}

// New checks the options and reads the CA file. Nothing is sent.
func New(opts Options) (*Client, error) {
	base, err := url.Parse(opts.URL)
	if err != nil || !reach.Web(base) || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
		return nil, errors.New("cannot use the backend's address: set backend.url to https://host[:port][/path] (http only to a loopback host)")
	}
	if opts.Token == nil {
		return nil, errors.New("cannot use the backend: no token source; set backend.token_file")
	}
	if base.Path == "" {
		base.Path = "/" // JoinPath keeps an empty path relative, which no request line may be
	}
	c := &Client{
		base:     base,
		token:    opts.Token,
		timeout:  or(opts.Timeout, defaultTimeout),
		device:   or(opts.Device, "Desktop"),
		platform: or(opts.Platform, "kioskd"),
		log:      or(opts.Log, slog.New(slog.DiscardHandler)),
	}
	if c.hosts, err = reach.NewHosts(base, opts.AllowHosts); err != nil {
		return nil, err
	}
	if c.transport, err = reach.NewTransport(opts.CAFile, opts.Proxy, c.timeout); err != nil {
		return nil, err
	}
	return c, nil
}

// or is value, or fallback where value is zero.
func or[T comparable](value, fallback T) T {
	var zero T
	if value == zero {
		return fallback
	}
	return value
}

// Close drops idle connections. A Client may be used again afterwards.
func (c *Client) Close() { c.transport.CloseIdle() }

// appointmentID are the ids that stay one path segment without escaping
// (unreserved characters, RFC 3986, section 2.3).
var appointmentID = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)

// room is the address of an appointment's video room, with more segments behind
// it.
func (c *Client) room(task, id string, more ...string) (*url.URL, error) {
	if !appointmentID.MatchString(id) || id == "." || id == ".." {
		return nil, &Error{Code: CodeAppointmentUnknown, text: "cannot " + task + ": an appointment id is 1 to 128 characters of A-Z a-z 0-9 . _ ~ -"}
	}
	return c.base.JoinPath(append([]string{"api", "v3", "appointments", id, "video-room"}, more...)...), nil
}

// header makes the headers that every request has (published API, "access
// tokens" and "headers"), with the kiosk's token as it is now.
func (c *Client) header(task string) (http.Header, error) {
	token, err := c.token()
	if err != nil {
		return nil, &Error{Code: CodeUnauthorized, AfterRenewal: true, text: "cannot " + task, cause: err}
	}
	if !visible(token) {
		return nil, &Error{Code: CodeUnauthorized, AfterRenewal: true, text: "cannot " + task + ": the backend's token is not 1 to 4096 visible ASCII characters; renew backend.token_file"}
	}
	header := http.Header{}
	header.Set("Accept", "application/json")
	header.Set("Authorization", "Bearer "+token)
	header.Set("X-Device", c.device)
	header.Set("X-Platform", c.platform)
	return header, nil
}

// grants adds what the kiosk knows of its devices and the patient's consent.
func grants(header http.Header, camera, microphone Grant) {
	header.Set("X-Camera", string(known(camera)))
	header.Set("X-Microphone", string(known(microphone)))
}

// known maps everything but the three grants to Query, which claims nothing.
func known(g Grant) Grant {
	if g == Granted || g == Denied {
		return g
	}
	return Query
}
