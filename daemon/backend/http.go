package backend

import "net/http"

// HTTP is a client with this backend's trust and rules (authorities, https or
// loopback, no proxy, no redirect), for the room's WebSocket.
func (c *Client) HTTP() *http.Client {
	return &http.Client{
		Transport:     c.transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}
