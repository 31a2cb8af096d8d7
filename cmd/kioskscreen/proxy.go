package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"time"
)

// Bounds of a call to the daemon. The daemon's own are the same or wider.
const (
	maxRequestBody  = 64 << 10
	maxResponseBody = 1 << 20
	bodyTimeout     = 5 * time.Second
	callTimeout     = 15 * time.Second
	dialTimeout     = 2 * time.Second
	languageTimeout = time.Second // the page waits for it
	// The daemon's event stream says something every 5 s; silence for more than
	// two of these means that it hangs.
	streamIdle = 12 * time.Second
	// A browser that reads nothing for so long is gone.
	streamWrite = 5 * time.Second
)

// daemonHost is the Host that the daemon's guard takes for a program's.
const daemonHost = "kioskd"

// passUp and passDown list the headers that go through; all others stay here,
// above all Origin, Referer, Cookie and Sec-*, which the daemon refuses.
func passUp() []string {
	return []string{"Accept", "Content-Type", "Idempotency-Key", "If-Match", "Last-Event-Id"}
}

func passDown() []string {
	return []string{"Content-Type", "Location", "Etag", "Allow", "Retry-After"}
}

// proxy passes calls on to the daemon's Unix socket.
type proxy struct {
	transport  *http.Transport
	log        *slog.Logger
	streamIdle time.Duration
}

func newProxy(socket string, log *slog.Logger) *proxy {
	dialer := &net.Dialer{Timeout: dialTimeout}
	return &proxy{
		log:        log,
		streamIdle: streamIdle,
		transport: &http.Transport{
			DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
				return dialer.DialContext(ctx, "unix", socket)
			},
			DisableCompression:     true,
			MaxConnsPerHost:        32, // the daemon allows a user 64
			MaxIdleConns:           4,
			MaxIdleConnsPerHost:    4,
			IdleConnTimeout:        30 * time.Second,
			ResponseHeaderTimeout:  10 * time.Second,
			MaxResponseHeaderBytes: 16 << 10,
		},
	}
}

// language asks the daemon for the language of its texts; "" where it does not say.
func (p *proxy) language(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, languageTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+daemonHost+"/v1/status", nil)
	if err != nil {
		return ""
	}
	resp, err := p.transport.RoundTrip(req)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	var status struct {
		Language string `json:"language"`
	}
	_ = json.NewDecoder(io.LimitReader(resp.Body, maxResponseBody)).Decode(&status) // it does not say then
	return status.Language
}

func (p *proxy) close() { p.transport.CloseIdleConnections() }

// call passes one request on to path. The route has been chosen and the guard
// has passed it.
func (p *proxy) call(w http.ResponseWriter, r *http.Request, rt route, path string) {
	body, ok := readBody(w, r)
	if !ok {
		return
	}
	if !rt.bodyFits(r.Header, len(body)) {
		writeProblem(w, problemMediaType(rt))
		return
	}
	stream := rt.path == "/v1/events"
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	if !stream {
		ctx, cancel = context.WithTimeout(ctx, callTimeout)
		defer cancel()
	}
	//nolint:gosec // the transport knows kioskd's socket only, and path fits a route of our table
	up, err := http.NewRequestWithContext(ctx, rt.method, "http://"+daemonHost+path, bytes.NewReader(body))
	if err != nil {
		writeProblem(w, problemUnreachable())
		return
	}
	copyHeaders(up.Header, r.Header, passUp())
	up.Header.Set("User-Agent", "kioskscreen")
	resp, err := p.transport.RoundTrip(up)
	if err != nil {
		if r.Context().Err() == nil { // else the page is gone and hears nothing
			p.log.Debug("cannot reach kioskd", "error", err)
			writeProblem(w, problemUnreachable())
		}
		return
	}
	defer resp.Body.Close()
	copyHeaders(w.Header(), resp.Header, passDown())
	if l := w.Header().Get("Location"); l != "" && !strings.HasPrefix(l, apiPath+"views/") {
		w.Header().Del("Location") // only a new view has one
	}
	if stream && resp.StatusCode == http.StatusOK {
		p.stream(w, resp, cancel)
		return
	}
	p.answer(w, resp)
}

// readBody takes the whole body, bounded in size and time, before the daemon is
// asked: a slow page never holds one of the daemon's connections.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, bool) {
	if r.ContentLength == 0 {
		return nil, true
	}
	rc := http.NewResponseController(w)
	if err := rc.SetReadDeadline(time.Now().Add(bodyTimeout)); err != nil {
		writeProblem(w, problemBody())
		return nil, false
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBody))
	if err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			writeProblem(w, problemTooLarge())
		} else {
			writeProblem(w, problemBody())
		}
		return nil, false
	}
	// The next request on this connection has its own deadline (the server's).
	_ = rc.SetReadDeadline(time.Time{})
	return body, true
}

// answer passes a bounded response on. It is read whole first, so that a daemon
// that dies in the middle gives a clear problem and not half an answer.
func (p *proxy) answer(w http.ResponseWriter, resp *http.Response) {
	data, err := io.ReadAll(io.LimitReader(resp.Body, maxResponseBody+1))
	if err != nil || len(data) > maxResponseBody {
		for _, h := range passDown() {
			w.Header().Del(h)
		}
		writeProblem(w, problemUnreachable())
		return
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(data) // a page that is gone needs no answer
}

// stream passes events on as they come. It ends when either side does, when the
// daemon falls silent, or when the page does not read.
func (p *proxy) stream(w http.ResponseWriter, resp *http.Response, cancel context.CancelFunc) {
	idle := time.AfterFunc(p.streamIdle, cancel)
	defer idle.Stop()
	rc := http.NewResponseController(w)
	w.WriteHeader(resp.StatusCode)
	buf := make([]byte, 16<<10)
	for {
		if rc.Flush() != nil {
			return
		}
		n, err := resp.Body.Read(buf)
		idle.Reset(p.streamIdle)
		if n > 0 {
			if rc.SetWriteDeadline(time.Now().Add(streamWrite)) != nil {
				return
			}
			if _, werr := w.Write(buf[:n]); werr != nil {
				return
			}
		}
		if err != nil {
			_ = rc.Flush() // the last event before the end; the page may be gone
			return
		}
	}
}

func copyHeaders(to, from http.Header, names []string) {
	for _, name := range names {
		if v := from.Get(name); v != "" {
			to.Set(name, v)
		}
	}
}
