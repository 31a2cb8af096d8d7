package backend_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/daemon/backend"
)

// raw answers each request with bytes of its own and closes the connection.
func raw(t *testing.T, answer func(conn net.Conn)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		defer conn.Close()
		answer(conn)
	}
}

// say gives an answer of one text.
func say(text string) func(net.Conn) { return func(conn net.Conn) { io.WriteString(conn, text) } }

// Torn and strange answers: none is taken for a good one, each is worth asking
// again, and all three operations end in time.
func TestTornAnswers(t *testing.T) {
	const head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
	for name, answer := range map[string]func(net.Conn){
		"nothing":              say(""),
		"half a status":        say("HTTP/1.1 20"),
		"other words":          say(canaryID + "\r\n\r\n"),
		"half a header":        say("HTTP/1.1 201 Created\r\nContent-Le"),
		"bad header":           say("HTTP/1.1 201 Created\r\n" + canaryID + "\r\n\r\n"),
		"header in two lines":  say("HTTP/1.1 401 Unauthorized\r\nX-Forward: https://a\r\n.example/\r\n\r\n"),
		"huge header":          say(head + "X-Big: " + strings.Repeat(canaryID, 10_000) + "\r\n\r\n{}"),
		"only 100 Continue":    say("HTTP/1.1 100 Continue\r\n\r\n"),
		"two lengths":          say("HTTP/1.1 201 Created\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab"),
		"unknown encoding":     say("HTTP/1.1 201 Created\r\nTransfer-Encoding: canary\r\n\r\n"),
		"endless 103 and more": func(conn net.Conn) { flood(conn, "HTTP/1.1 103 Early Hints\r\nLink: </"+canaryID+">\r\n\r\n") },
	} {
		for task, do := range operations() {
			t.Run(name+"/"+task, func(t *testing.T) {
				s := newStage(t, raw(t, answer))
				start := time.Now()
				unavailable(true, "broke").check(t, do(s, t))
				if took := time.Since(start); took > 8*time.Second {
					t.Errorf("took %v", took)
				}
			})
		}
	}
}

// flood writes until the client has had enough.
func flood(conn net.Conn, text string) {
	for {
		if _, err := io.WriteString(conn, text); err != nil {
			return
		}
	}
}

// The documents of PUT and PATCH cut in the middle, whole but of HTTP/1.0, or
// with an informational answer before them.
func TestCutBodies(t *testing.T) {
	whole := func(r *http.Request) string {
		if r.Method == http.MethodPatch {
			return `{"patches":{"title":{"value":"` + canaryTitle + `"}},"timeout":60}`
		}
		return goodDocument(r.Host).JSON(t)
	}
	for name, tt := range map[string]struct {
		text func(body string) string
		cut  bool
	}{
		"cut, length": {func(b string) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(b), b[:9])
		}, true},
		"cut, chunks": {func(b string) string {
			return fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n", len(b), b)
		}, true},
		"cut, HTTP/1.0": {func(b string) string {
			return "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + b[:len(b)/2]
		}, true},
		"cut, no length": {func(b string) string {
			return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n" + b[:len(b)-1]
		}, true},
		"whole, HTTP/1.0": {func(b string) string { return "HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + b }, false},
		"whole, 100s before": {func(b string) string {
			return strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 3) + fmt.Sprintf("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(b), b)
		}, false},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, func(w http.ResponseWriter, r *http.Request) { raw(t, say(tt.text(whole(r))))(w, r) })
			_, opened := s.open(t)
			_, refreshed := s.refresh(t, "/")
			for _, err := range []error{opened, refreshed} {
				if tt.cut {
					unavailable(true, "broke off").check(t, err)
				} else if err != nil {
					t.Error(err)
				}
			}
		})
	}
}

// Was the report taken? Where the status has not come, it is posted again with
// the same key; where it has, the rest of the answer does not matter.
func TestReportCutOff(t *testing.T) {
	backendOf := &clinic{}
	var tries atomic.Int32
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		if tries.Add(1) == 1 {
			backendOf.take(t, discard{}, r)
			panic(http.ErrAbortHandler) // taken, but nobody heard
		}
		backendOf.take(t, w, r)
	})
	unavailable(true, "broke").check(t, s.report(t))
	if err := s.report(t); err != nil || backendOf.posts != 2 || len(backendOf.reports) != 1 {
		t.Errorf("%v after %d posts, %d reports", err, backendOf.posts, len(backendOf.reports))
	}
	for _, text := range []string{
		"HTTP/1.1 201 Created\r\nContent-Length: 1000\r\n\r\n{", "HTTP/1.0 201 Created\r\n\r\n", "HTTP/1.1 204 No Content\r\n\r\n",
		"HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz", "HTTP/1.1 201 Created\r\nContent-Encoding: gzip\r\n\r\n" + canaryID,
	} {
		if err := newStage(t, raw(t, say(text))).report(t); err != nil {
			t.Errorf("%.40q: %v", text, err)
		}
	}
	endless := newStage(t, raw(t, func(conn net.Conn) {
		io.WriteString(conn, "HTTP/1.1 201 Created\r\n\r\n")
		flood(conn, canaryWords)
	}))
	if err := endless.report(t); err != nil {
		t.Error(err)
	}
}

// discard is a ResponseWriter that sends nothing.
type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(p []byte) (int, error) { return len(p), nil }
func (discard) WriteHeader(int)             {}

// Connections that the server closes between two posts cost no report: where the
// transport does not notice by itself, the error says to post again.
func TestReportSurvivesStaleConnections(t *testing.T) {
	backendOf := &clinic{}
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) { backendOf.take(t, w, r) })
	for range 20 {
		err := s.report(t)
		for range 3 {
			if err == nil {
				break
			}
			unavailable(true, "broke").check(t, err)
			err = s.report(t)
		}
		if err != nil {
			t.Fatal(err)
		}
		s.server.CloseClientConnections()
	}
	if len(backendOf.reports) != 1 {
		t.Errorf("%d reports", len(backendOf.reports))
	}
}

func TestDrippedHeaders(t *testing.T) {
	const limit = 300 * time.Millisecond
	for task, do := range operations() {
		s := newStage(t, raw(t, func(conn net.Conn) {
			ticker := time.NewTicker(20 * time.Millisecond)
			defer ticker.Stop()
			for _, b := range []byte("HTTP/1.1 200 OK\r\nX-A: " + strings.Repeat("a", 10_000)) {
				<-ticker.C
				if _, err := conn.Write([]byte{b}); err != nil {
					return
				}
			}
		}), func(o *backend.Options) { o.Timeout = limit })
		start := time.Now()
		unavailable(true, "no whole answer within").check(t, do(s, t))
		if took := time.Since(start); took < limit/2 || took > 8*time.Second {
			t.Errorf("%s took %v with a limit of %v", task, took, limit)
		}
	}
}

func TestCallerGivesUpEach(t *testing.T) {
	arrived := make(chan struct{}, 1)
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		arrived <- struct{}{}
		<-r.Context().Done()
	})
	for task, do := range map[string]func(context.Context) error{
		"refresh": func(ctx context.Context) error {
			_, err := s.Refresh(ctx, backend.RefreshRequest{URL: s.server.URL})
			return err
		},
		"report": func(ctx context.Context) error {
			return s.PostReport(ctx, backend.ReportPost{AppointmentID: canaryID, ID: theReport, Text: canaryWords, Bundle: []byte("{}")})
		},
	} {
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			<-arrived
			cancel()
		}()
		err := do(ctx)
		checkError(t, err)
		if !errors.Is(err, context.Canceled) || backend.Permanent(err) || !strings.Contains(err.Error(), "given up") {
			t.Errorf("%s: %v", task, err)
		}
	}
}

// Without a good token nothing is sent, and what waits is kept.
func TestTokenOfEach(t *testing.T) {
	for task, do := range operations() {
		for _, token := range []string{"", canaryToken + "\r\nX-Evil: 1"} {
			var asked atomic.Int32
			s := newStage(t, func(http.ResponseWriter, *http.Request) { asked.Add(1) }, func(o *backend.Options) {
				o.Token = func() (string, error) { return token, nil }
			})
			err := do(s, t)
			want{backend.CodeUnauthorized, false, backend.ErrUnauthorized, "backend.token_file"}.check(t, err)
			if backend.Permanent(err) || asked.Load() != 0 {
				t.Errorf("%s: %v, asked %d times", task, err, asked.Load())
			}
		}
	}
}

// X-Forward is for the log, its host alone; nobody goes there.
func TestForwardIsOnlyLogged(t *testing.T) {
	for value, host := range map[string]string{
		"https://login.example/" + canaryID + "?t=" + canaryToken: "login.example",
		"https://user:" + canaryToken + "@login.example:8443/":    "login.example:8443",
		"https://" + strings.Repeat("a", 256):                     "",
		"https://a b/":                                            "",
		"https://%0aevil/":                                        "",
		canaryID:                                                  "",
		"":                                                        "",
	} {
		for task, do := range operations() {
			s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("X-Forward", value)
				w.WriteHeader(http.StatusUnauthorized)
			})
			want{backend.CodeUnauthorized, false, backend.ErrUnauthorized, "cannot "}.check(t, do(s, t))
			if !strings.Contains(s.log.String(), `"forward":"`+host+`"`) {
				t.Errorf("%s, %.40q: the log lacks %q:\n%s", task, value, host, s.log)
			}
		}
	}
}

// How long the backend wants to be left alone, bounded by an hour.
func TestRetryAfter(t *testing.T) {
	for value, wanted := range map[string]time.Duration{
		"": 0, "0": 0, "7": 7 * time.Second, "3600": time.Hour, "3601": time.Hour, "4294967295": time.Hour, "99999999999999999999": 0,
		"-1": 0, "1.5": 0, "soon": 0,
		"Sun, 22 Nov 2026 10:00:30 GMT": 30 * time.Second, "Sun, 22 Nov 2026 09:00:00 GMT": 0, "Fri, 31 Dec 9999 23:59:59 GMT": time.Hour,
	} {
		for task, do := range operations() {
			for status, counts := range map[int]bool{429: true, 503: true, 401: false, 400: false} {
				s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Date", "Sun, 22 Nov 2026 10:00:00 GMT")
					w.Header().Set("Retry-After", value)
					w.WriteHeader(status)
				})
				err := do(s, t)
				if got := backend.RetryAfter(err); counts && got != wanted || !counts && got != 0 {
					t.Errorf("%s, %d, %q: %v, want %v", task, status, value, got, wanted)
				}
			}
		}
	}
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) { // by our own clock, where there is no other
		w.Header()["Date"] = nil
		w.Header().Set("Retry-After", time.Now().Add(30*time.Minute).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	if got := backend.RetryAfter(s.report(t)); got < 20*time.Minute || got > 30*time.Minute {
		t.Errorf("without a Date: %v", got)
	}
	if backend.RetryAfter(nil) != 0 || backend.RetryAfter(errors.New("x")) != 0 {
		t.Error("a strange error asks for time")
	}
}

// Printing, logging or wrapping requests and errors shows nobody.
func TestNewTypesPrintNobody(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		writePatch(w, http.StatusMethodNotAllowed, `{"patches":{"title":{"value":"`+canaryTitle+`"}},"update":"/`+canaryID+`"}`)
	})
	_, state := s.refresh(t, "/"+canaryID)
	var out bytes.Buffer
	values := []any{
		backend.RefreshRequest{URL: "https://a/" + canaryID},
		&backend.RefreshRequest{URL: canaryID},
		backend.ReportPost{AppointmentID: canaryID, ID: theReport, Text: canaryWords, Bundle: []byte(canaryName)},
		&backend.ReportPost{Text: canaryWords},
		state, &backend.Error{Code: backend.CodeRoomUnavailable, Title: canaryTitle}, fmt.Errorf("wrapped: %w", state),
	}
	for _, v := range values {
		slog.New(slog.NewTextHandler(&out, nil)).Info("x", "v", v)
		slog.New(slog.NewJSONHandler(&out, nil)).Info("x", "v", v)
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
	}
	if word := canaryIn(out.String()); word != "" {
		t.Errorf("%q is in\n%s", word, out.String())
	}
	if !strings.Contains(out.String(), theReport) || !strings.Contains(out.String(), backend.CodeStateForbidden) {
		t.Errorf("nothing useful is in\n%s", out.String())
	}
	if backend.Title(nil) != "" || backend.Title(errors.New("x")) != "" || backend.Permanent(nil) || backend.Permanent(errors.New("x")) {
		t.Error("a strange error has a title or is permanent")
	}
}
