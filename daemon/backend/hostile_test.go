package backend_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/daemon/backend"
)

func TestStatuses(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   want
	}{
		{401, "", want{backend.CodeUnauthorized, false, backend.ErrUnauthorized, "refused the kiosk's token"}},
		{404, canaryID, want{backend.CodeAppointmentUnknown, false, backend.ErrAppointmentUnknown, "does not know"}},
		{500, "Internal error at " + canaryID, unavailable(true, "status 500")},
		{502, "<html>" + canaryTitle, unavailable(true, "status 502")},
		{503, "", unavailable(true, "status 503")},
		{429, "", unavailable(true, "status 429")},
		{400, canaryID, unavailable(false, "status 400")},
		{403, "", unavailable(false, "status 403")},
		{204, "", unavailable(false, "status 204")},
		{301, "", unavailable(false, "status 301")},
		{307, "", unavailable(false, "status 307")},
		{999, "", unavailable(true, "status 999")},
	} {
		t.Run(fmt.Sprint(tt.status), func(t *testing.T) {
			var requests atomic.Int32
			s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
				requests.Add(1)
				w.Header().Set("X-Forward", "https://login.example/"+canaryID)
				w.Header().Set("Location", r.URL.String())
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			_, err := s.open(t)
			tt.want.check(t, err)
			var own *backend.Error
			if errors.As(err, &own) && (own.Status != tt.status || time.Since(own.Date) > time.Hour) {
				t.Errorf("status %d, date %v", own.Status, own.Date)
			}
			if requests.Load() != 1 {
				t.Errorf("asked %d times", requests.Load())
			}
		})
	}
}

func TestStateForbids(t *testing.T) {
	for body, code := range map[string]string{
		`{"error":"appointment_cancelled","timestamp":"2026-11-22T10:00:00Z","patches":{}}`: "appointment_cancelled",
		`{"patches":{}}`:                              backend.CodeStateForbidden,
		`{"error":7}`:                                 backend.CodeStateForbidden,
		`{"error":"` + canaryTitle + `"}`:             backend.CodeStateForbidden,
		`{"error":"` + strings.Repeat("a", 65) + `"}`: backend.CodeStateForbidden,
		canaryID: backend.CodeStateForbidden,
		`{"error":"x"}` + strings.Repeat(" ", 1<<17): backend.CodeStateForbidden,
	} {
		s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(http.StatusMethodNotAllowed)
			io.WriteString(w, body)
		})
		_, err := s.open(t)
		var state *backend.StateError
		if !errors.As(err, &state) || state.Code != code || state.Date.IsZero() {
			t.Errorf("%.60s: %v, want code %s", body, err, code)
		}
	}
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) })
	if _, err := s.open(t); backend.Code(err) != backend.CodeStateForbidden || backend.Retryable(err) {
		t.Errorf("empty body: %v", err)
	}
}

// Bodies that are too much, too slow or of another kind. Each is over in a
// bounded time and with a bounded number of bytes.
func TestHostileBodies(t *testing.T) {
	bomb := gzipOf(t, 10<<20)
	endless := func(w http.ResponseWriter, r *http.Request) {
		line := []byte(strings.Repeat(canaryID+" ", 100))
		for {
			if _, err := w.Write(line); err != nil {
				return
			}
		}
	}
	for name, tt := range map[string]struct {
		kind  string
		write http.HandlerFunc
		want  want
	}{
		"endless": {"application/json", endless, unavailable(false, "larger than 64 KiB")},
		"10 MiB at once": {"application/json", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", fmt.Sprint(10<<20))
			endless(w, r)
		}, unavailable(false, "larger than 64 KiB")},
		"64 KiB and a byte": {"application/json", func(w http.ResponseWriter, r *http.Request) {
			d := goodDocument(r.Host).JSON(t)
			io.WriteString(w, d+strings.Repeat(" ", 64<<10+1-len(d)))
		}, unavailable(false, "larger than 64 KiB")},
		"gzip bomb, said": {"application/json", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(bomb)
		}, unavailable(false, "compressed")},
		"gzip bomb, unsaid": {"application/json", func(w http.ResponseWriter, r *http.Request) { w.Write(bomb) }, unavailable(false, "")},
		"plain text":        {"text/plain", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, canaryID) }, unavailable(true, "not JSON")},
		"no kind":           {"", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, goodDocument(r.Host).JSON(t)) }, unavailable(true, "not JSON")},
		"a page":            {"text/html", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "<title>"+canaryTitle) }, unavailable(true, "not JSON")},
		"cut off": {"application/json", func(w http.ResponseWriter, r *http.Request) {
			d := goodDocument(r.Host).JSON(t)
			w.Header().Set("Content-Length", fmt.Sprint(len(d)))
			io.WriteString(w, d[:len(d)/2])
			w.(http.Flusher).Flush()
			panic(http.ErrAbortHandler)
		}, unavailable(true, "broke off")},
		"huge header": {"application/json", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X-Big", strings.Repeat(canaryID, 10_000))
			io.WriteString(w, "{}")
		}, unavailable(true, "broke")},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header()["Content-Type"] = []string{tt.kind}
				tt.write(w, r)
			})
			start := time.Now()
			_, err := s.open(t)
			tt.want.check(t, err)
			if took := time.Since(start); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestWholeBodyFits(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		d := goodDocument(r.Host).JSON(t)
		io.WriteString(w, d+strings.Repeat(" ", 64<<10-len(d)))
	})
	if _, err := s.open(t); err != nil {
		t.Errorf("exactly 64 KiB: %v", err)
	}
}

// A server may be slow anywhere; the limit is for the whole.
func TestSlowServers(t *testing.T) {
	const limit = 300 * time.Millisecond
	drip := func(w http.ResponseWriter, r *http.Request, text string) {
		ticker := time.NewTicker(20 * time.Millisecond)
		defer ticker.Stop()
		for i := 0; ; i++ {
			select {
			case <-r.Context().Done():
				return
			case <-ticker.C:
			}
			fmt.Fprint(w, text[i%len(text):i%len(text)+1])
			w.(http.Flusher).Flush()
		}
	}
	for name, handler := range map[string]http.HandlerFunc{
		"never answers": func(w http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"drips its body": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			drip(w, r, "     ")
		},
		"slow redirects": func(w http.ResponseWriter, r *http.Request) {
			select {
			case <-r.Context().Done():
			case <-time.After(200 * time.Millisecond):
			}
			http.Redirect(w, r, r.URL.Path+"x", http.StatusFound)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, handler, func(o *backend.Options) { o.Timeout = limit })
			start := time.Now()
			_, err := s.open(t)
			unavailable(true, "no whole answer within 300ms").check(t, err)
			if took := time.Since(start); took < limit/2 || took > 5*time.Second {
				t.Errorf("took %v with a limit of %v", took, limit)
			}
		})
	}
}

func TestCallerGivesUp(t *testing.T) {
	arrived := make(chan struct{})
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		close(arrived)
		<-r.Context().Done()
	})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-arrived
		cancel()
	}()
	_, err := s.OpenRoom(ctx, backend.OpenRequest{AppointmentID: canaryID})
	checkError(t, err)
	if !errors.Is(err, context.Canceled) {
		t.Errorf("%v does not match context.Canceled", err)
	}
}

func TestNotHTTP(t *testing.T) {
	for name, answer := range map[string]string{
		"other words": canaryID + "\r\n\r\n", "nothing": "", "bad status": "HTTP/1.1 abc " + canaryID + "\r\n\r\n",
		"bad header": "HTTP/1.1 200 OK\r\n" + canaryID + "\r\n\r\n", "bad chunks": "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n" + canaryID,
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
				conn, _, err := w.(http.Hijacker).Hijack()
				if err != nil {
					t.Error(err)
					return
				}
				io.WriteString(conn, answer)
				conn.Close()
			})
			_, err := s.open(t)
			unavailable(true, "").check(t, err)
		})
	}
}

func TestNetworkUnavailable(t *testing.T) {
	network := func(says string) want {
		return want{backend.CodeNetworkUnavailable, true, backend.ErrNetwork, says}
	}
	s := newStage(t, func(http.ResponseWriter, *http.Request) {})
	s.server.Close()
	_, err := s.open(t)
	network("connection refused").check(t, err)

	named := newStage(t, func(http.ResponseWriter, *http.Request) {}, func(o *backend.Options) { o.URL = "https://backend.invalid" })
	_, err = named.open(t)
	network("backend.invalid").check(t, err)
}

func TestTLS(t *testing.T) {
	handler := func(w http.ResponseWriter, r *http.Request) {
		writeScreen(t, w, goodDocument("").With("room.url", "wss://"+r.Host+"/signal"))
	}
	t.Run("private CA", func(t *testing.T) {
		s := newTLSStage(t, handler)
		if _, err := s.open(t); err != nil {
			t.Error(err)
		}
	})
	t.Run("unknown CA", func(t *testing.T) {
		s := newTLSStage(t, handler, func(o *backend.Options) { o.CAFile = "" })
		_, err := s.open(t)
		unavailable(true, "certificate").check(t, err)
	})
	t.Run("another name", func(t *testing.T) {
		s := newTLSStage(t, handler, func(o *backend.Options) { o.URL = strings.Replace(o.URL, "127.0.0.1", "localhost", 1) })
		_, err := s.open(t)
		unavailable(true, "certificate of localhost").check(t, err)
	})
	t.Run("TLS 1.1", func(t *testing.T) {
		server := httptest.NewUnstartedServer(http.HandlerFunc(handler))
		server.TLS = &tls.Config{MinVersion: tls.VersionTLS10, MaxVersion: tls.VersionTLS11}
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		_, err := clientOf(t, server).open(t)
		unavailable(true, "TLS").check(t, err)
	})
	t.Run("plain server", func(t *testing.T) {
		s := newStage(t, handler, func(o *backend.Options) { o.URL = strings.Replace(o.URL, "http:", "https:", 1) })
		_, err := s.open(t)
		unavailable(true, "TLS").check(t, err)
	})
	t.Run("room without TLS", func(t *testing.T) {
		s := newTLSStage(t, func(w http.ResponseWriter, r *http.Request) {
			writeScreen(t, w, goodDocument("clinic.example"))
		})
		_, err := s.open(t)
		unavailable(false, "room.url is not wss").check(t, err)
	})
}

// No proxy of the environment sees a request: it is on no list.
func TestNoProxy(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, "http://"+listener.Addr().String())
	}
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {}, func(o *backend.Options) { o.URL = "https://backend.invalid" })
	_, err = s.open(t)
	want{backend.CodeNetworkUnavailable, true, backend.ErrNetwork, "backend.invalid"}.check(t, err)
}

// gzipOf packs n zeros.
func gzipOf(t *testing.T, n int) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := gzip.NewWriter(&buf)
	if _, err := w.Write(make([]byte, n)); err != nil {
		t.Fatal(err)
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}
