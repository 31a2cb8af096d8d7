package backend

import (
	"crypto/x509"
	"net/http"
)

// HTTP is a client with this backend's trust and rules (authorities, https or
// loopback, no proxy, no redirect), for the room's WebSocket.
func (c *Client) HTTP() *http.Client {
	return &http.Client{
		Transport:     c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Roots are the authorities of backend.ca_file, for the room's TURN servers; nil: the
// system's.
func (c *Client) Roots() *x509.CertPool { return c.transport.Roots() }
