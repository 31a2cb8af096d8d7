// Package backend is the client of the appointments backend: it opens the video
// room of one appointment and trusts nothing it is told. Answers are bounded in
// time and size, redirects and addresses are held to an allow-list, and no
// appointment, name, title or token gets into an error or a log.
//
// All that is known of the server's API is here, so that another deployment
// changes one package. Imports: standard library. May be imported by daemon and
// its parts; it imports nothing of this module.
package backend

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"time"
)

const (
	defaultTimeout = 10 * time.Second
	maxBody        = 64 << 10 // of an answer, as it comes from the wire
	maxHeader      = 16 << 10 // of an answer
	maxRedirects   = 3
	maxToken       = 4096
)

// Options configure a Client.
type Options struct {
	// URL is the base address; "/api/v3/..." is appended to its path. https, or
	// http to a loopback host.
	URL string
	// Token reads the kiosk's bearer token; called for each OpenRoom, so that a
	// renewed file is seen. Its error must not hold the token.
	Token func() (string, error)
	// CAFile is a PEM file trusted instead of the system's authorities; "" keeps
	// the system's.
	CAFile string
	// AllowHosts are hosts (name or name:port; without a port the scheme's own
	// is meant) beside the URL's that a redirect or a room's URL may name.
	AllowHosts []string
	// Timeout bounds one OpenRoom, redirects and body included; 0 is 10 s.
	Timeout time.Duration
	// Device and Platform are sent as X-Device ("" is "Desktop") and X-Platform
	// ("" is "kioskd").
	Device, Platform string
	// Log gets one line a request; nil discards.
	Log *slog.Logger
}

// Client talks to one backend. It is safe for use by several goroutines.
type Client struct {
	base      *url.URL
	hosts     hosts
	token     func() (string, error)
	transport *transport
	timeout   time.Duration
	device    string
	platform  string
	log       *slog.Logger
}

// New checks the options and reads the CA file. Nothing is sent.
func New(opts Options) (*Client, error) {
	base, err := url.Parse(opts.URL)
	if err != nil || !webScheme(base) || base.User != nil || base.RawQuery != "" || base.Fragment != "" {
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
	if c.hosts, err = newHosts(base, opts.AllowHosts); err != nil {
		return nil, err
	}
	if c.transport, err = newTransport(opts.CAFile, c.timeout); err != nil {
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
func (c *Client) Close() { c.transport.closeIdle() }

// appointmentID are the ids that stay one path segment without escaping
// (unreserved characters, RFC 3986, section 2.3).
var appointmentID = regexp.MustCompile(`^[A-Za-z0-9._~-]{1,128}$`)

// OpenRoom asks for the appointment's room (PUT
// /api/v3/appointments/{id}/video-room) and follows up to three 302 with PUT.
// Its errors are *Error or *StateError; see Code and Retryable. When ctx ends
// first, the error also matches ctx.Err().
func (c *Client) OpenRoom(ctx context.Context, req OpenRequest) (Screen, error) {
	id := req.AppointmentID
	if !appointmentID.MatchString(id) || id == "." || id == ".." {
		return Screen{}, &Error{Code: CodeAppointmentUnknown, text: "cannot open the video room: an appointment id is 1 to 128 characters of A-Z a-z 0-9 . _ ~ -"}
	}
	token, err := c.token()
	if err != nil {
		return Screen{}, &Error{Code: CodeUnauthorized, text: "cannot open the video room: " + err.Error()}
	}
	if !visible(token) {
		return Screen{}, &Error{Code: CodeUnauthorized, text: "cannot open the video room: the backend's token is not 1 to 4096 visible ASCII characters"}
	}
	header := http.Header{}
	header.Set("Accept", "application/json")
	header.Set("Authorization", "Bearer "+token)
	header.Set("X-Camera", string(known(req.Camera)))
	header.Set("X-Microphone", string(known(req.Microphone)))
	header.Set("X-Device", c.device)
	header.Set("X-Platform", c.platform)

	limited, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	target := c.base.JoinPath("api", "v3", "appointments", id, "video-room")
	for range maxRedirects + 1 {
		screen, next, err := c.put(limited, target, header)
		if next == nil {
			return screen, callersEnd(ctx, err)
		}
		target = next
	}
	return Screen{}, &Error{Code: CodeBackendUnavailable, text: fmt.Sprintf("cannot open the video room: the backend redirected more than %d times", maxRedirects)}
}

// callersEnd adds the caller's own cancellation to what errors.Is finds.
func callersEnd(ctx context.Context, err error) error {
	var own *Error
	if errors.As(err, &own) && ctx.Err() != nil && own.cause == nil {
		own.cause = ctx.Err()
	}
	return err
}

// known maps everything but the three grants to Query, which claims nothing.
func known(g Grant) Grant {
	if g == Granted || g == Denied {
		return g
	}
	return Query
}

// put sends one PUT. It gives a screen, an error, or where to go next.
func (c *Client) put(ctx context.Context, target *url.URL, header http.Header) (Screen, *url.URL, error) {
	start := time.Now()
	req := (&http.Request{Method: http.MethodPut, URL: target, Header: header, Host: target.Host, Body: http.NoBody}).WithContext(ctx)
	resp, err := c.transport.RoundTrip(req)
	if err != nil {
		failed := transportError(err, target.Host, c.timeout)
		c.log.Warn("backend not reached", "host", target.Host, "code", failed.Code, "reason", failed.text, "took", time.Since(start))
		return Screen{}, nil, failed
	}
	defer resp.Body.Close()
	screen, next, err := c.read(resp, target)
	c.log.Log(ctx, level(err), "backend answered", "host", target.Host, "status", resp.StatusCode, "code", Code(err), "redirect", next != nil, "took", time.Since(start))
	return screen, next, err
}

func level(err error) slog.Level {
	if err != nil {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// read judges one answer by its status.
func (c *Client) read(resp *http.Response, target *url.URL) (Screen, *url.URL, error) {
	date, err := http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		date = time.Time{}
	}
	fail := func(code string, retryable bool, text string) (Screen, *url.URL, error) {
		return Screen{}, nil, &Error{Code: code, Retryable: retryable, Status: resp.StatusCode, Date: date, text: "cannot open the video room: " + text}
	}
	switch status := resp.StatusCode; {
	case status == http.StatusOK:
		screen, err := c.screen(resp, date)
		return screen, nil, err
	case status == http.StatusFound:
		next, problem := c.redirect(resp, target)
		if problem != "" {
			return fail(CodeBackendUnavailable, false, problem)
		}
		return Screen{}, next, nil
	case status == http.StatusUnauthorized:
		return fail(CodeUnauthorized, false, "the backend refused the kiosk's token; renew it")
	case status == http.StatusNotFound:
		return fail(CodeAppointmentUnknown, false, "the backend does not know the appointment")
	case status == http.StatusMethodNotAllowed:
		return Screen{}, nil, c.stateError(resp, date)
	case status == http.StatusTooManyRequests || status >= http.StatusInternalServerError:
		return fail(CodeBackendUnavailable, true, fmt.Sprintf("the backend is out of order (HTTP status %d)", status))
	default:
		return fail(CodeBackendUnavailable, false, fmt.Sprintf("the backend answered with HTTP status %d", status))
	}
}

// screen reads a 200.
func (c *Client) screen(resp *http.Response, date time.Time) (Screen, error) {
	fail := func(retryable bool, text string) error {
		return &Error{Code: CodeBackendUnavailable, Retryable: retryable, Status: resp.StatusCode, Date: date, text: "cannot open the video room: " + text}
	}
	data, problem := c.body(resp)
	if problem != nil {
		return Screen{}, fail(problem.retryable, problem.text)
	}
	screen, err := parseScreen(data, c.hosts)
	if err != nil {
		return Screen{}, fail(false, err.Error())
	}
	screen.Date = date
	if screen.Room == nil {
		return Screen{}, &Error{Code: CodeRoomUnavailable, Status: resp.StatusCode, Title: screen.Title, Date: date, text: "cannot open the video room: the backend's screen has no room"}
	}
	if !date.IsZero() && !screen.Room.Expires.After(date) {
		// Both times are the backend's, so the kiosk's clock has no say in it.
		return Screen{}, fail(true, "the room's token had expired when it was sent")
	}
	return screen, nil
}

// redirect resolves Location (RFC 9110, section 10.2.2) and holds it to the
// rules of the base address. The problem never quotes it.
func (c *Client) redirect(resp *http.Response, from *url.URL) (next *url.URL, problem string) {
	next, err := from.Parse(resp.Header.Get("Location"))
	switch {
	case err != nil || resp.Header.Get("Location") == "":
		return nil, "the backend redirected without a usable Location"
	case !webScheme(next) || next.User != nil || (from.Scheme == "https" && next.Scheme != "https"):
		return nil, "the backend redirected to an address that is not https"
	case !c.hosts.allow(next):
		return nil, "the backend redirected to a host that is not on the list; add it to backend.allow_hosts if it is right"
	}
	next.Fragment, next.RawFragment = "", ""
	return next, ""
}

// FileToken reads the bearer token from a file at each call: trimmed of blanks
// and line ends, 1 to 4096 visible ASCII characters. Its errors name the file
// and hold nothing of what is in it.
func FileToken(path string) func() (string, error) {
	return func() (string, error) {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("cannot read the backend's token: %w; put it there or set backend.token_file", err)
		}
		defer file.Close() //nolint:errcheck // opened for reading only
		data, err := io.ReadAll(io.LimitReader(file, maxToken+64))
		if err != nil {
			return "", fmt.Errorf("cannot read the backend's token: %w", err)
		}
		token := strings.TrimSpace(string(data))
		if !visible(token) {
			return "", fmt.Errorf("cannot read the backend's token: %s does not hold 1 to %d visible ASCII characters", path, maxToken)
		}
		return token, nil
	}
}

// visible holds a token to what a header can carry (VCHAR, RFC 5234).
func visible(token string) bool {
	return token != "" && len(token) <= maxToken && strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
