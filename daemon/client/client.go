// Package client speaks to kioskd over its Unix socket. It owns the way there
// (where the socket is, what it means when nobody answers) and one method a
// route; what is said is in daemon/api/apitype.
//
// Who may import it: kioskctl, kioskscreen and tests. Imports: standard library
// and apitype.
package client

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"kioskd/daemon/api/apitype"
)

// DefaultSocket is where the daemon listens when nothing else is said.
const DefaultSocket = "/run/kioskd/control.sock"

// SocketVariable names the environment variable that says otherwise.
const SocketVariable = "KIOSKD_SOCKET"

// SocketPath gives the path of the socket: the flag's value, else the
// environment's, else DefaultSocket. getenv is os.Getenv.
func SocketPath(flag string, getenv func(string) string) string {
	return cmp.Or(flag, getenv(SocketVariable), DefaultSocket)
}

// ErrUnreachable is what errors are (errors.Is) when the daemon could not be
// asked at all. Their text says where it was looked for and what to try.
var ErrUnreachable = errors.New("kioskd is not reachable")

// Bounds: the daemon is on this machine and answers within 10 s whatever
// happens; a status is a few KiB.
const (
	dialTimeout    = 2 * time.Second
	dialRetry      = 2 * time.Millisecond
	requestTimeout = 12 * time.Second
	slowAfter      = 3 * time.Second // a dial has failed by then
	maxAnswer      = 1 << 20
)

// Client asks one daemon. It is safe for concurrent use; Close frees its kept
// connections.
type Client struct {
	socket    string
	transport *http.Transport
	http      http.Client
	met       atomic.Bool // it answered once
	slow      func()      // see Slow
	slowAfter time.Duration
	begins    time.Duration // within which a long run tells that it has begun; requestTimeout
}

// New makes a Client for the socket at path. It does not connect yet.
func New(path string) *Client {
	c := &Client{socket: path, begins: requestTimeout, slowAfter: slowAfter}
	c.transport = &http.Transport{
		DialContext:  func(ctx context.Context, _, _ string) (net.Conn, error) { return dial(ctx, path) },
		MaxIdleConns: 4, MaxIdleConnsPerHost: 4, IdleConnTimeout: 30 * time.Second,
		DisableCompression: true,
	}
	c.http = http.Client{
		Transport:     c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	return c
}

// Slow has say called, once, where a daemon that has never answered keeps a request waiting
// for some seconds: a person who waits should know for what. It comes on a goroutine of
// its own, and not after the request's end. To be called before the first request.
func (c *Client) Slow(say func()) { c.slow = sync.OnceFunc(say) }

// ask sends a request. A 102 is a sign of life as well.
func (c *Client) ask(req *http.Request) (*http.Response, error) {
	if c.slow == nil || c.met.Load() {
		return c.http.Do(req)
	}
	var mu sync.Mutex
	over := false
	end := func() {
		mu.Lock()
		defer mu.Unlock()
		over = true
	}
	timer := time.AfterFunc(c.slowAfter, func() {
		mu.Lock()
		defer mu.Unlock()
		if !over {
			c.slow()
		}
	})
	defer timer.Stop()
	defer end()
	return c.http.Do(req.WithContext(httptrace.WithClientTrace(req.Context(), &httptrace.ClientTrace{GotFirstResponseByte: end})))
}

// dial connects. Where the daemon's queue of connections to accept is full,
// connect(2) on a Unix socket does not wait but says EAGAIN: try again soon.
func dial(ctx context.Context, path string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTimeout)
	defer cancel()
	var d net.Dialer
	for {
		conn, err := d.DialContext(ctx, "unix", path)
		if !errors.Is(err, syscall.EAGAIN) {
			return conn, err
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(dialRetry):
		}
	}
}

// Socket gives the path that the Client was made for.
func (c *Client) Socket() string { return c.socket }

// Close closes kept connections; a Client can go on being used.
func (c *Client) Close() { c.transport.CloseIdleConnections() }

// do asks once and decodes the answer into out.
func (c *Client) do(ctx context.Context, method, path string, in, out any) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	req, err := newRequest(ctx, method, path, in)
	if err != nil {
		return err
	}
	return c.send(req, out)
}

// send sends a request and decodes the answer. An error before the whole
// answer is here is ErrUnreachable or errBroken.
func (c *Client) send(req *http.Request, out any) error {
	resp, err := c.ask(req)
	if err != nil {
		return c.unreachable(err)
	}
	defer resp.Body.Close()
	c.met.Store(true)
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return fmt.Errorf("cannot read the answer of kioskd at %s: %w: %w", c.socket, errBroken, err)
	}
	if resp.StatusCode != http.StatusOK {
		return problemFrom(resp, body)
	}
	if raw, ok := out.(*json.RawMessage); ok {
		if !json.Valid(body) {
			return fmt.Errorf("cannot understand the answer of kioskd at %s: it is no JSON", c.socket)
		}
		*raw = bytes.TrimSpace(body)
		return nil
	}
	if err := json.Unmarshal(body, out); err != nil {
		return fmt.Errorf("cannot understand the answer of kioskd at %s, is it another version? %w", c.socket, err)
	}
	return nil
}

// newRequest makes a request for the daemon's fixed host name.
func newRequest(ctx context.Context, method, path string, in any) (*http.Request, error) {
	var body io.Reader
	if in != nil {
		b, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("cannot encode the request: %w", err)
		}
		body = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, "http://kioskd"+path, body)
	if err != nil {
		return nil, fmt.Errorf("cannot make the request: %w", err)
	}
	if in != nil {
		req.Header.Set("Content-Type", apitype.TypeJSON)
	}
	return req, nil
}

// problemFrom reads an error answer as a problem, whatever it looks like.
func problemFrom(resp *http.Response, body []byte) error {
	p := new(apitype.Problem)
	if json.Unmarshal(body, p) != nil || p.Code == "" {
		p = apitype.NewProblem(resp.StatusCode, apitype.CodeInternal,
			"cannot do this: kioskd answered "+resp.Status, "")
	}
	return p
}

// unreachable says in plain words why nobody answered. What the caller itself
// ended stays what it is.
func (c *Client) unreachable(err error) error {
	if errors.Is(err, context.Canceled) {
		return err
	}
	hint := "is it running? try: systemctl status kioskd"
	switch {
	case errors.Is(err, fs.ErrPermission):
		hint = "may this user do that? try: sudo, or add the user to group kiosk"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, errSilent):
		hint = "it does not answer. try: systemctl restart kioskd"
	case errors.Is(err, syscall.EPIPE), errors.Is(err, syscall.ECONNRESET), errors.Is(err, io.EOF):
		hint = "it hung up: too many connections, or it stopped. try again, or: systemctl status kioskd"
	}
	return &unreachableError{text: fmt.Sprintf("cannot reach kioskd at %s: %s", c.socket, hint), cause: err}
}

// unreachableError has the sentence for people and keeps the cause for programs.
type unreachableError struct {
	text  string
	cause error
}

// Error is the sentence.
func (e *unreachableError) Error() string { return e.text }

// Unwrap makes it ErrUnreachable, and its cause.
func (e *unreachableError) Unwrap() []error { return []error{ErrUnreachable, e.cause} }
