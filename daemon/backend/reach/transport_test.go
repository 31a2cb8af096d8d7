package reach_test

import (
	"context"
	"crypto/tls"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/backend/reach"
)

const canary = "canary-appointment-7f3a"

// get sends one GET for the canary through a new transport.
func get(t *testing.T, caFile, base string, timeout time.Duration) (int, error) {
	t.Helper()
	transport, err := reach.NewTransport(caFile, "", timeout)
	if err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdle()
	ctx, cancel := context.WithTimeout(t.Context(), timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/"+canary, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return 0, err
	}
	return resp.StatusCode, resp.Body.Close()
}

func quiet(server *httptest.Server) *httptest.Server {
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	return server
}

func teapot(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) }

func TestAuthorities(t *testing.T) {
	server := quiet(httptest.NewTLSServer(http.HandlerFunc(teapot)))
	defer server.Close()
	dir := t.TempDir()
	file := filepath.Join(dir, "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	if status, err := get(t, file, server.URL, 10*time.Second); err != nil || status != http.StatusTeapot {
		t.Errorf("a trusted server: %d, %v", status, err)
	}
	_, err := get(t, "", server.URL, 10*time.Second)
	if got := reach.Explain(err, "h:1", time.Second); err == nil || got.Network || got.Final || !strings.Contains(got.Text, "the certificate of h:1 is refused") {
		t.Errorf("an unknown server: %+v of %v", got, err)
	}
	for name, text := range map[string]string{"empty": "", "words": "no certificate", "key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte{1}}))} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := reach.NewTransport(path, "", time.Second); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := reach.NewTransport(filepath.Join(dir, "none"), "", time.Second); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
}

// Every way not to get an answer has a text of ours, without the address.
func TestExplain(t *testing.T) {
	closed := httptest.NewServer(http.HandlerFunc(teapot))
	closed.Close()
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() }))
	defer silent.Close()
	broken := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
	defer broken.Close()
	old := httptest.NewUnstartedServer(http.HandlerFunc(teapot))
	old.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
	quiet(old).StartTLS()
	defer old.Close()
	for name, tt := range map[string]struct {
		base    string
		timeout time.Duration
		want    reach.Failure
	}{
		"nobody there":   {closed.URL, 10 * time.Second, reach.Failure{Network: true, Text: "no connection to h (connection refused); check the network"}},
		"no such name":   {"https://backend.invalid", 10 * time.Second, reach.Failure{Network: true, Text: "the name of h cannot be resolved; check the network"}},
		"not loopback":   {"http://192.0.2.1", 10 * time.Second, reach.Failure{Final: true, Text: "plain http goes to loopback addresses only"}},
		"silence":        {silent.URL, 200 * time.Millisecond, reach.Failure{Text: "the backend sent no whole answer within 200ms"}},
		"breaks":         {broken.URL, 10 * time.Second, reach.Failure{Text: "the connection to the backend broke or speaks neither our TLS nor HTTP"}},
		"old TLS":        {old.URL, 10 * time.Second, reach.Failure{Text: "the connection to the backend broke or speaks neither our TLS nor HTTP"}},
		"TLS to no TLS":  {strings.Replace(broken.URL, "http:", "https:", 1), 10 * time.Second, reach.Failure{Text: "the connection to the backend broke or speaks neither our TLS nor HTTP"}},
		"HTTP to TLS":    {strings.Replace(old.URL, "https:", "http:", 1), 10 * time.Second, reach.Failure{}},
		"unroutable TLS": {"https://0.0.0.0:1", 10 * time.Second, reach.Failure{Network: true, Text: "no connection to h (connection refused); check the network"}},
	} {
		status, err := get(t, "", tt.base, tt.timeout)
		if tt.want.Text == "" {
			if err != nil || status != http.StatusBadRequest { // Go's TLS server answers in plain HTTP
				t.Errorf("%s: %d, %v", name, status, err)
			}
			continue
		}
		if got := reach.Explain(err, "h", tt.timeout); err == nil || got != tt.want {
			t.Errorf("%s: %+v of %v", name, got, err)
		}
	}
}

func TestExplainErrors(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("x: %w", context.Canceled), "the request was given up"},
		{&net.OpError{Op: "dial", Err: errors.New(canary)}, "no connection to h (failed)"},
		{&net.OpError{Op: "dial", Err: os.ErrDeadlineExceeded}, "no connection to h (timed out)"},
		{&net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "no whole answer within 1s"},
		{errors.New(canary), "the connection to the backend broke"},
	} {
		if got := reach.Explain(tt.err, "h", time.Second); !strings.Contains(got.Text, tt.want) || strings.Contains(got.Text, canary) || got.Final {
			t.Errorf("%v: %+v, want %q", tt.err, got, tt.want)
		}
	}
}

// A header is bounded, and so are the informational answers before it.
func TestHeaderIsBounded(t *testing.T) {
	for name, write := range map[string]func(conn net.Conn){
		"one header": func(conn net.Conn) {
			fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nX-Big: %s\r\nContent-Length: 0\r\n\r\n", strings.Repeat("a", 64<<10))
		},
		"endless 100 Continue": func(conn net.Conn) {
			for {
				if _, err := fmt.Fprint(conn, "HTTP/1.1 100 Continue\r\nX-Some: "+canary+"\r\n\r\n"); err != nil {
					return // the client had enough
				}
			}
		},
		"endless header": func(conn net.Conn) {
			fmt.Fprint(conn, "HTTP/1.1 200 OK\r\n")
			for {
				if _, err := fmt.Fprint(conn, "X-Some: "+canary+"\r\n"); err != nil {
					return
				}
			}
		},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			conn, _, err := w.(http.Hijacker).Hijack()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			write(conn)
		}))
		start := time.Now()
		_, err := get(t, "", server.URL, 20*time.Second)
		if err == nil || reach.TimedOut(err) {
			t.Errorf("%s: %v after %v", name, err, time.Since(start))
		}
		server.Close()
	}
}
