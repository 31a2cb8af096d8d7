// Command hammer is one user's share of the load on the control API: clients that ask
// and measure, readers that read nothing, heads that never end, dialers without end. The
// load test starts one for each user. It prints what it saw as JSON.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// Seen is what a hammer prints.
type Seen struct {
	Micros  []int64 `json:"micros"`  // of each answer, from the request's first byte to the answer's last
	Errors  int     `json:"errors"`  // answers that are none of those wanted
	Refused int     `json:"refused"` // connections that the caps turned away, and those that were cut
	First   string  `json:"first"`   // the first error
}

type hammer struct {
	socket string
	mode   string
	pause  time.Duration
	end    time.Time

	mu   sync.Mutex
	seen Seen
}

func main() {
	h := &hammer{}
	flag.StringVar(&h.socket, "socket", "", "the control socket")
	flag.StringVar(&h.mode, "mode", "read", "read, write, fresh, churn, watch, stall, slow or dial")
	flag.DurationVar(&h.pause, "pause", 0, "between two requests of a client")
	clients := flag.Int("clients", 1, "how many")
	lasts := flag.Duration("for", time.Second, "how long")
	after := flag.Duration("after", 0, "before it begins")
	flag.Parse()
	time.Sleep(*after)
	h.end = time.Now().Add(*lasts)
	var all sync.WaitGroup
	for n := range *clients {
		all.Go(func() { h.run(n) })
	}
	all.Wait()
	if err := json.NewEncoder(os.Stdout).Encode(h.seen); err != nil {
		fmt.Fprintln(os.Stderr, "hammer:", err)
		os.Exit(1)
	}
}

// run is one client.
func (h *hammer) run(n int) {
	time.Sleep(h.pause * time.Duration(n%16) / 16) // not all in step
	switch h.mode {
	case "watch":
		h.watch()
	case "stall":
		h.stall()
	case "slow":
		h.slow()
	case "dial":
		h.dial()
	default:
		h.ask(n)
	}
}

// paths are what clients read by turns.
var paths = []string{"/v1/status", "/v1/session", "/v1/health", "/v1/devices"}

// ask asks and measures: read over one connection, fresh over one each, write a command.
func (h *hammer) ask(n int) {
	var c *conn
	defer func() { c.close() }()
	for time.Now().Before(h.end) {
		request, want := "GET "+paths[n%len(paths)]+" HTTP/1.1\r\nHost: kioskd\r\n\r\n", http.StatusOK
		if h.mode == "churn" { // nothing is bound: nothing but an event comes of it
			request = "PUT /v1/devices/roles/face HTTP/1.1\r\nHost: kioskd\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"device\":\"\"}"
		}
		if h.mode == "write" { // without a session it is refused, and stored as refused
			request, want = "POST /v1/session/mute HTTP/1.1\r\nHost: kioskd\r\nContent-Length: 0\r\n\r\n", http.StatusConflict
		}
		n++
		start := time.Now()
		if c == nil {
			c = h.connect()
		}
		status, err := c.do(request)
		took := time.Since(start)
		if err != nil || status != want {
			h.fail(err, status)
			c.close()
			c = nil
		} else {
			h.mu.Lock()
			h.seen.Micros = append(h.seen.Micros, took.Microseconds())
			h.mu.Unlock()
		}
		if h.mode == "fresh" {
			c.close()
			c = nil
		}
		time.Sleep(h.pause)
	}
}

func (h *hammer) fail(err error, status int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.Errors++
	if h.seen.First == "" {
		h.seen.First = fmt.Sprintf("status %d, %v", status, err)
	}
}

// conn is one connection.
type conn struct {
	net.Conn
	in *bufio.Reader
}

func (c *conn) close() {
	if c != nil {
		_ = c.Close()
	}
}

// answerWithin is when an answer counts as none.
const answerWithin = 20 * time.Second

func (c *conn) do(request string) (int, error) {
	if c == nil {
		return 0, errors.New("cannot connect")
	}
	if err := c.SetDeadline(time.Now().Add(answerWithin)); err != nil {
		return 0, err
	}
	if _, err := io.WriteString(c, request); err != nil {
		return 0, err
	}
	resp, err := http.ReadResponse(c.in, nil)
	if err != nil {
		return 0, err
	}
	_, err = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode, errors.Join(err, resp.Body.Close())
}

// connect dials; nil where it is refused until the end. A full queue is tried again, as
// the project's own client does.
func (h *hammer) connect() *conn {
	var d net.Dialer
	for time.Now().Before(h.end.Add(answerWithin)) {
		c, err := d.DialContext(context.Background(), "unix", h.socket)
		if err == nil {
			return &conn{c, bufio.NewReader(c)}
		}
		if !errors.Is(err, syscall.EAGAIN) {
			return nil
		}
		time.Sleep(2 * time.Millisecond)
	}
	return nil
}

// watch reads the events and holds their numbers together: one that is left out is an
// error. It counts events where others count answers.
func (h *hammer) watch() {
	c := h.connect()
	defer func() { c.close() }()
	if c == nil {
		h.fail(errors.New("cannot connect"), 0)
		return
	}
	if err := c.SetDeadline(h.end.Add(time.Second)); err != nil {
		h.fail(err, 0)
		return
	}
	if _, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: kioskd\r\n\r\n"); err != nil {
		h.fail(err, 0)
		return
	}
	last := -1
	for time.Now().Before(h.end) {
		line, err := c.in.ReadString('\n')
		if err != nil {
			if time.Now().Before(h.end) {
				h.fail(err, 0)
			}
			return
		}
		_, digits, isID := strings.Cut(strings.TrimSpace(line), "-")
		if !strings.HasPrefix(line, "id: ") || !isID {
			continue
		}
		n, err := strconv.Atoi(digits)
		if err != nil || last >= 0 && n != last+1 {
			h.fail(fmt.Errorf("event %d after %d: %w", n, last, err), 0)
		}
		last = n
		h.mu.Lock()
		h.seen.Micros = append(h.seen.Micros, 0)
		h.mu.Unlock()
	}
}

// stall opens event streams and reads nothing of them; where the far end cuts one,
// another follows.
func (h *hammer) stall() {
	for time.Now().Before(h.end) {
		c := h.connect()
		if c == nil {
			return
		}
		_, err := io.WriteString(c, "GET /v1/events HTTP/1.1\r\nHost: kioskd\r\n\r\n")
		for err == nil && time.Now().Before(h.end) { // a byte more tells whether it was cut
			time.Sleep(200 * time.Millisecond)
			_, err = c.Write(nil)
			if raw, ok := c.Conn.(*net.UnixConn); ok && err == nil {
				err = hungUp(raw)
			}
		}
		h.refused(err)
		c.close()
	}
}

// hungUp tells whether the far end has closed, without reading what waits.
func hungUp(c *net.UnixConn) error {
	raw, err := c.SyscallConn()
	if err != nil {
		return err
	}
	var gone error
	err = raw.Control(func(fd uintptr) {
		// Nothing is sent: the call says whether it could be.
		if e := syscall.Sendto(int(fd), nil, syscall.MSG_DONTWAIT|syscall.MSG_NOSIGNAL, nil); errors.Is(e, syscall.EPIPE) {
			gone = e
		}
	})
	return errors.Join(err, gone)
}

// slow sends a head byte by byte, and begins anew where it is cut.
func (h *hammer) slow() {
	const head = "GET /v1/status HTTP/1.1\r\nHost: kioskd\r\nX-Slow: "
	for time.Now().Before(h.end) {
		c := h.connect()
		if c == nil {
			return
		}
		var err error
		for i := 0; err == nil && time.Now().Before(h.end); i++ {
			_, err = c.Write([]byte{head[min(i, len(head)-1)]})
			time.Sleep(100 * time.Millisecond)
		}
		h.refused(err)
		c.close()
	}
}

// dial connects, waits for what comes, and connects again.
func (h *hammer) dial() {
	for time.Now().Before(h.end) {
		c := h.connect()
		if c == nil {
			return
		}
		_ = c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
		_, err := c.in.ReadByte()
		h.refused(err)
		c.close()
	}
}

func (h *hammer) refused(error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seen.Refused++
}
