// Package reach owns where the backend's client may go: the allow-list of hosts,
// the rule "https, plain http to loopback only", the trusted authorities, and
// the words for a server that could not be reached.
//
// Imports: standard library. May be imported by daemon/backend and what is below
// it.
package reach

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"syscall"
	"time"
)

const maxHeader = 16 << 10 // bytes of an answer's header, informational ones included

// Transport sends https anywhere and http to loopback addresses only. It takes
// no proxy from the environment: the request would leave for a host that is on
// no list. It is safe for use by several goroutines.
type Transport struct {
	secure, plain *http.Transport
	roots         *x509.CertPool
}

// NewTransport reads the PEM file of trusted authorities; "" keeps the system's.
// proxy is the address of an HTTP proxy, http://host:port; "" goes straight. Only
// https goes through it, in a tunnel (CONNECT, RFC 9110, section 9.3.6): the proxy
// sees a host's name and nothing else, and neither it nor the tunnel changes which
// certificate is asked for. Connecting gets half the timeout, at most 5 s, so that
// "no network" and "no answer" can be told apart.
func NewTransport(caFile, proxy string, timeout time.Duration) (*Transport, error) {
	pool, err := readAuthorities(caFile)
	if err != nil {
		return nil, err
	}
	through, err := throughProxy(proxy)
	if err != nil {
		return nil, err
	}
	build := func(dialer *net.Dialer) *http.Transport {
		return &http.Transport{
			DialContext:            dialer.DialContext,
			TLSClientConfig:        &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12},
			TLSHandshakeTimeout:    timeout,
			MaxIdleConns:           2,
			MaxConnsPerHost:        16,
			IdleConnTimeout:        30 * time.Second,
			MaxResponseHeaderBytes: maxHeader,
			// The size limit then holds for what is parsed, too.
			DisableCompression: true,
		}
	}
	limit := min(timeout/2, 5*time.Second)
	t := &Transport{
		roots:  pool,
		secure: build(&net.Dialer{Timeout: limit}),
		plain:  build(&net.Dialer{Timeout: limit, Control: loopbackOnly}),
	}
	t.secure.Proxy = through
	return t, nil
}

// throughProxy is for http.Transport.Proxy. Loopback is never behind a proxy.
func throughProxy(proxy string) (func(*http.Request) (*url.URL, error), error) {
	if proxy == "" {
		return nil, nil
	}
	u, err := url.Parse(proxy)
	if err != nil || u.Scheme != "http" || u.Hostname() == "" || u.User != nil || u.Path != "" && u.Path != "/" || u.RawQuery != "" {
		return nil, errors.New("cannot use the proxy: set backend.proxy to http://host:port")
	}
	return func(req *http.Request) (*url.URL, error) {
		if Loopback(req.URL.Hostname()) {
			return nil, nil
		}
		return u, nil
	}, nil
}

// Proxied tells whether a request to the address goes through the proxy.
func (t *Transport) Proxied(u *url.URL) bool {
	return u.Scheme == "https" && t.secure.Proxy != nil && !Loopback(u.Hostname())
}

func readAuthorities(path string) (*x509.CertPool, error) {
	if path == "" {
		return nil, nil // crypto/tls: the system's
	}
	pem, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read the backend's authorities: %w; set backend.ca_file", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("cannot read the backend's authorities: %s holds no PEM certificate; set backend.ca_file", path)
	}
	return pool, nil
}

// errNotLoopback stops a plain connection that name resolution sent elsewhere.
var errNotLoopback = errors.New("plain http goes to loopback addresses only")

// loopbackOnly runs after name resolution, on the address that is dialled: a
// hosts file may send "localhost" anywhere.
func loopbackOnly(_, address string, _ syscall.RawConn) error {
	addr, err := netip.ParseAddrPort(address)
	if err != nil || !addr.Addr().Unmap().IsLoopback() {
		return errNotLoopback
	}
	return nil
}

// RoundTrip sends one request and follows nothing.
func (t *Transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "https" {
		return t.secure.RoundTrip(req)
	}
	return t.plain.RoundTrip(req)
}

// Roots are the trusted authorities; nil: the system's.
func (t *Transport) Roots() *x509.CertPool { return t.roots }

// CloseIdle drops idle connections.
func (t *Transport) CloseIdle() {
	t.secure.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}
