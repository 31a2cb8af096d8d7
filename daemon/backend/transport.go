package backend

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
	"syscall"
	"time"
)

// transport sends https anywhere and http to loopback addresses only. It takes
// no proxy from the environment: the request would leave for a host that is on
// no list.
type transport struct{ secure, plain *http.Transport }

// newTransport reads the CA file. Connecting gets half the timeout, so that "no
// network" and "no answer" can be told apart.
func newTransport(caFile string, timeout time.Duration) (*transport, error) {
	pool, err := readAuthorities(caFile)
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
	return &transport{
		secure: build(&net.Dialer{Timeout: limit}),
		plain:  build(&net.Dialer{Timeout: limit, Control: loopbackOnly}),
	}, nil
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
		return nil, fmt.Errorf("cannot read the backend's authorities: %s holds no PEM certificate", path)
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
func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	if req.URL.Scheme == "https" {
		return t.secure.RoundTrip(req)
	}
	return t.plain.RoundTrip(req)
}

func (t *transport) closeIdle() {
	t.secure.CloseIdleConnections()
	t.plain.CloseIdleConnections()
}

// webScheme holds the rule for addresses we send requests to: https, or http to
// a loopback host.
func webScheme(u *url.URL) bool {
	return u.Hostname() != "" && (u.Scheme == "https" || u.Scheme == "http" && loopbackHost(u.Hostname()))
}

// loopbackHost is true for addresses of 127.0.0.0/8 and ::1, and for the name
// "localhost" (RFC 6761, section 6.3).
func loopbackHost(host string) bool {
	addr, err := netip.ParseAddr(host)
	return strings.EqualFold(host, "localhost") || err == nil && addr.Unmap().IsLoopback()
}

// transportError says why there was no answer. It uses none of the library's
// text that may quote the server or the request's address: both may hold the
// appointment.
func transportError(err error, host string, timeout time.Duration) *Error {
	failed := &Error{Code: CodeBackendUnavailable, Retryable: true}
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		failed.cause = context.Canceled
		failed.text = "cannot open the video room: the request was given up"
	case errors.Is(err, errNotLoopback):
		failed.Retryable = false
		failed.text = "cannot open the video room: " + errNotLoopback.Error()
	case errors.As(err, &dns):
		failed.Code = CodeNetworkUnavailable
		failed.text = fmt.Sprintf("cannot reach the backend: the name of %s cannot be resolved; check the network", host)
	case errors.As(err, &op) && op.Op == "dial":
		failed.Code = CodeNetworkUnavailable
		failed.text = fmt.Sprintf("cannot reach the backend: no connection to %s (%s); check the network", host, reason(op))
	case errors.As(err, &cert):
		// A clock that is not yet set makes a good certificate bad, so it is
		// worth another try.
		failed.text = fmt.Sprintf("cannot trust the backend: the certificate of %s is refused; check backend.ca_file and the clock", host)
	case timedOut(err):
		failed.text = fmt.Sprintf("cannot open the video room: the backend sent no whole answer within %v", timeout)
	default:
		failed.text = "cannot open the video room: the connection to the backend broke or speaks neither our TLS nor HTTP"
	}
	return failed
}

// reason is the kernel's word for a failed dial, without addresses.
func reason(op *net.OpError) string {
	var number syscall.Errno
	switch {
	case errors.As(op, &number):
		return number.Error()
	case op.Timeout():
		return "timed out"
	default:
		return "failed"
	}
}

func timedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}

// bodyProblem is why an answer's body is of no use.
type bodyProblem struct {
	retryable bool
	text      string
}

// body reads a JSON body of at most maxBody bytes.
func (c *Client) body(resp *http.Response) ([]byte, *bodyProblem) {
	if !jsonType(resp.Header.Get("Content-Type")) {
		// Often a page of a proxy or a captive portal: it may go away.
		return nil, &bodyProblem{true, "the backend's answer is not JSON"}
	}
	if resp.Header.Get("Content-Encoding") != "" {
		return nil, &bodyProblem{false, "the backend compressed its answer though it was not asked to"}
	}
	if resp.ContentLength > maxBody {
		return nil, tooLarge()
	}
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxBody+1))
	switch {
	case len(data) > maxBody:
		return nil, tooLarge()
	case err != nil && timedOut(err):
		return nil, &bodyProblem{true, fmt.Sprintf("the backend sent no whole answer within %v", c.timeout)}
	case err != nil:
		return nil, &bodyProblem{true, "the backend's answer broke off"}
	default:
		return data, nil
	}
}

func tooLarge() *bodyProblem {
	return &bodyProblem{false, fmt.Sprintf("the backend's answer is larger than %d KiB", maxBody>>10)}
}
