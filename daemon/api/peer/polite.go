package peer

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"sync"
	"time"

	"kioskd/daemon/api/apitype"
)

// net/http answers a head that it cannot read with a line of plain text, and one
// that does not come with nothing. Here everybody is told what was wrong, in the
// form of all other errors (RFC 9457), so a connection watches what goes over it.

// manners is what a connection knows of its current request.
type manners struct {
	mu      sync.Mutex
	unread  int  // bytes of a head that came since the last answer
	serving bool // the head is whole; the answer is the handler's
}

// Read notes that a head is on its way. When it has not come in time, the peer
// hears so.
func (c *peerConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.serving {
		return n, err
	}
	c.unread += n
	if c.unread > 0 && n == 0 && errors.Is(err, os.ErrDeadlineExceeded) {
		c.unread = 0
		_ = c.SetWriteDeadline(time.Now().Add(50 * time.Millisecond))
		_, _ = c.Conn.Write(answerOf(http.StatusRequestTimeout, apitype.CodeSlow,
			"cannot wait any longer for the request's head", "send it within 2 seconds"))
	}
	return n, err
}

// Write puts net/http's own error answers into the form of ours. It writes such
// a one at once, and begins it as no handler of ours does.
func (c *peerConn) Write(p []byte) (int, error) {
	c.mu.Lock()
	if !bytes.HasPrefix(p, []byte("HTTP/1.1 100 ")) { // an answer, and no mere invitation to send the body
		c.serving, c.unread = false, 0
	}
	c.mu.Unlock()
	status, ok := plainError(p)
	if !ok {
		return c.Conn.Write(p)
	}
	detail, hint := "cannot understand the request", "send HTTP/1.1 as RFC 9112 has it"
	if status == http.StatusRequestHeaderFieldsTooLarge {
		detail, hint = "cannot take a head of more than 8 KiB", "send fewer or shorter headers"
	}
	if _, err := c.Conn.Write(answerOf(status, apitype.CodeBadRequest, detail, hint)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// heard tells a connection that the head of a request is whole.
func (c *peerConn) heard() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.serving = true
}

// plainError reads the status of an error answer that net/http makes itself:
// "HTTP/1.1 400 Bad Request", then just two headers in this order.
func plainError(p []byte) (status int, ok bool) {
	line, rest, _ := bytes.Cut(p, []byte("\r\n"))
	if !bytes.HasPrefix(rest, []byte("Content-Type: text/plain; charset=utf-8\r\nConnection: close\r\n\r\n")) || len(line) < 12 {
		return 0, false
	}
	status, err := strconv.Atoi(string(line[9:12]))
	return status, err == nil && status >= 400 && bytes.HasPrefix(line, []byte("HTTP/1.1 "))
}

// answerOf is a whole problem answer that ends its connection.
func answerOf(status int, code, detail, hint string) []byte {
	body, err := json.Marshal(apitype.NewProblem(status, code, detail, hint))
	if err != nil {
		return nil
	}
	retry := ""
	if status == http.StatusServiceUnavailable {
		retry = "Retry-After: 1\r\n"
	}
	return fmt.Appendf(nil, "HTTP/1.1 %d %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n%s",
		status, http.StatusText(status), apitype.TypeProblem, len(body), retry, body)
}
