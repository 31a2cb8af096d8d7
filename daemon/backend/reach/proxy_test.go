package reach_test

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/coder/websocket"

	"kioskd/daemon/backend/reach"
	"kioskd/daemon/check/checktest"
)

// proxy is an HTTP proxy that tunnels every CONNECT to one address, and notes what was
// asked for.
type proxy struct {
	to string

	mu    sync.Mutex
	asked []string
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	p.asked = append(p.asked, r.Method+" "+r.RequestURI)
	p.mu.Unlock()
	if r.Method != http.MethodConnect {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	far, err := (&net.Dialer{}).DialContext(r.Context(), "tcp", p.to)
	if err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	defer far.Close()
	near, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return
	}
	defer near.Close()
	_, _ = io.WriteString(near, "HTTP/1.1 200 OK\r\n\r\n")
	done := make(chan struct{})
	go func() {
		_, _ = io.Copy(far, near)
		_ = far.Close()
		close(done)
	}()
	_, _ = io.Copy(near, far)
	_ = near.Close()
	<-done
}

// TestProxy: https goes through the proxy in a tunnel, with the far end's certificate
// checked by its own name; loopback does not.
func TestProxy(t *testing.T) {
	ca := checktest.NewAuthority(t)
	far, err := url.Parse(checktest.Server(t, ca.Sign(t, -1, 1, "clinic.example"), teapot))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{to: far.Host}
	server := httptest.NewServer(p)
	defer server.Close()
	transport, err := reach.NewTransport(ca.File, server.URL, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdle()
	try := func(address string) (int, error) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address+"/"+canary, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		resp, err := transport.RoundTrip(req)
		if err != nil {
			return 0, err
		}
		return resp.StatusCode, resp.Body.Close()
	}
	if status, err := try("https://clinic.example"); err != nil || status != http.StatusTeapot {
		t.Errorf("through the proxy: %d, %v", status, err)
	}
	if _, err := try("https://other.example"); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("another name's certificate was taken: %v", err)
	}
	if got := strings.Join(p.asked, ","); got != "CONNECT clinic.example:443,CONNECT other.example:443" {
		t.Errorf("the proxy was asked for %s", got)
	}
	near := httptest.NewServer(http.HandlerFunc(teapot))
	defer near.Close()
	if status, err := try(near.URL); err != nil || status != http.StatusTeapot || len(p.asked) != 2 {
		t.Errorf("plain loopback: %d, %v, the proxy was asked for %v", status, err, p.asked)
	}
	if _, err := try(far.String()); err == nil || len(p.asked) != 2 { // its certificate is for a name
		t.Errorf("loopback by https: %v, the proxy was asked for %v", err, p.asked)
	}
	for address, want := range map[string]bool{"https://clinic.example": true, "https://127.0.0.1": false, "http://localhost": false} {
		u, err := url.Parse(address)
		if err != nil || transport.Proxied(u) != want {
			t.Errorf("%s goes through the proxy: %v", address, !want)
		}
	}
}

func TestProxyIsRefused(t *testing.T) {
	for _, bad := range []string{"clinic:3128", "https://proxy:3128", "http://", "http://a:b@proxy:3128", "http://proxy:3128/x", "http://proxy:3128?x", "\x7f"} {
		if _, err := reach.NewTransport("", bad, time.Second); err == nil || !strings.HasPrefix(err.Error(), "cannot use the proxy") || strings.Contains(err.Error(), "a:b") {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

// The room's signalling, a WebSocket, goes the same way.
func TestWebSocketThroughTheProxy(t *testing.T) {
	ca := checktest.NewAuthority(t)
	far, err := url.Parse(checktest.Server(t, ca.Sign(t, -1, 1, "rooms.example"), func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, nil)
		if err != nil {
			return
		}
		_ = c.Write(r.Context(), websocket.MessageText, []byte("welcome")) // else the other side says so
		_ = c.Close(websocket.StatusNormalClosure, "")
	}))
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{to: far.Host}
	server := httptest.NewServer(p)
	defer server.Close()
	transport, err := reach.NewTransport(ca.File, server.URL, 10*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdle()
	c, _, err := websocket.Dial(t.Context(), "wss://rooms.example/signal", &websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	defer c.CloseNow()
	if _, text, err := c.Read(t.Context()); err != nil || string(text) != "welcome" {
		t.Errorf("it says %q, %v", text, err)
	}
	if got := strings.Join(p.asked, ","); got != "CONNECT rooms.example:443" {
		t.Errorf("the proxy was asked for %s", got)
	}
}
