package main

import (
	"bufio"
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
)

func TestEveryRoutePasses(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	c := s.client()
	far.talk(apitype.Message{ID: "m1", Text: canary})
	for _, rt := range routes() {
		if rt.path == "/v1/events" || strings.HasPrefix(rt.path, "/v1/views/") && rt.method == http.MethodPost {
			continue // streams and views have tests of their own
		}
		path, body := strings.ReplaceAll(rt.path, "*", "a%20b"), ""
		if rt.body != "" {
			body = `{"x":1}`
		}
		far.reset()
		resp, answer := s.ask(c, rt.method, path, rt.body, body, "Idempotency-Key", "k1", "Referer", s.base+"/", "Sec-Fetch-Site", "same-origin",
			"Sec-Fetch-Mode", "cors", "Sec-Fetch-Dest", "empty", "X-Other", "y", "User-Agent", "Browser/1")
		if resp.StatusCode != http.StatusOK || !strings.Contains(answer, canary) {
			t.Errorf("%s %s answered %d %s", rt.method, path, resp.StatusCode, answer)
			continue
		}
		got := far.all()[0]
		if got.method != rt.method || got.path != path || got.body != body || got.host != "kioskd" {
			t.Errorf("%s %s arrived as %s %s on %s with %q", rt.method, path, got.method, got.path, got.host, got.body)
		}
		for name := range got.header {
			if !slices.Contains([]string{"Accept", "Content-Type", "Content-Length", "Idempotency-Key", "User-Agent"}, name) {
				t.Errorf("%s %s: the daemon got the header %s", rt.method, path, name)
			}
		}
		if got.header.Get("Idempotency-Key") != "k1" || got.header.Get("User-Agent") != "kioskscreen" {
			t.Errorf("%s %s: headers %v", rt.method, path, got.header)
		}
	}
}

func TestMethodsPathsAndTypes(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	c := s.client()
	far.reset()
	tests := []struct {
		method, path, kind, body string
		status                   int
		code                     string
	}{
		{"DELETE", "/v1/session", "", "", 405, apitype.CodeMethod},
		{"POST", "/v1/status", typeJSON, "{}", 405, apitype.CodeMethod},
		{"GET", "/v1/views/self", "", "", 405, apitype.CodeMethod},
		{"GET", "/v1/metrics", "", "", 404, apitype.CodeNotFound},
		{"GET", "/v1/audit", "", "", 404, apitype.CodeNotFound},
		{"POST", "/v1/reload", typeJSON, "{}", 404, apitype.CodeNotFound},
		{"GET", "/v1/config", "", "", 404, apitype.CodeNotFound},
		{"GET", "/v1/openapi.json", "", "", 404, apitype.CodeNotFound},
		{"GET", "/v1/reports", "", "", 404, apitype.CodeNotFound},
		{"GET", "/v1/reports/r1", "", "", 404, apitype.CodeNotFound},
		{"GET", "/v1/session/report-issue", "", "", 405, apitype.CodeMethod},
		{"GET", "/v1/session/permissions", "", "", 405, apitype.CodeMethod},
		{"DELETE", "/v1/session/messages", "", "", 405, apitype.CodeMethod},
		{"POST", "/v1/session/messages", "", "", 415, apitype.CodeMediaType},
		{"POST", "/v1/session/messages", "text/plain", "{}", 415, apitype.CodeMediaType},
		{"PUT", "/v1/session/permissions", "", "", 415, apitype.CodeMediaType},
		{"GET", "/v1/devices/x/snapshot", "", "", 404, apitype.CodeNotFound}, // a technician's, as those below
		{"GET", "/v1/devices/x/level", "", "", 404, apitype.CodeNotFound},
		{"POST", "/v1/devices/x/tone", "", "", 404, apitype.CodeNotFound},
		{"PUT", "/v1/devices/x/controls", typeJSON, `{"controls":{"zoom_absolute":100}}`, 404, apitype.CodeNotFound},
		{"PUT", "/v1/devices/roles/face", typeJSON, `{"device":"x"}`, 404, apitype.CodeNotFound},
		{"PUT", "/v1/devices", typeJSON, "{}", 405, apitype.CodeMethod},
		{"POST", "/v1/views/remote/a%2Fb", typeSDP, "v=0", 404, apitype.CodeNotFound},
		{"POST", "/v1/views/remote/%00", typeSDP, "v=0", 404, apitype.CodeNotFound},
		{"POST", "/v1/views/remote/" + strings.Repeat("a", 129), typeSDP, "v=0", 404, apitype.CodeNotFound},
		{"PUT", "/v1/session", "", "", 415, apitype.CodeMediaType},
		{"PUT", "/v1/session", "text/plain", "{}", 415, apitype.CodeMediaType},
		{"POST", "/v1/session/mute", "", "{}", 415, apitype.CodeMediaType},
		{"POST", "/v1/views/self", typeJSON, "{}", 415, apitype.CodeMediaType},
		{"PATCH", "/v1/views/x", typeSDP, "a=b", 415, apitype.CodeMediaType},
		{"DELETE", "/v1/views/x", typeJSON, "{}", 415, apitype.CodeMediaType},
		{"PUT", "/v1/session", typeJSON, strings.Repeat("x", maxRequestBody+1), 413, apitype.CodeTooLarge},
	}
	for _, tt := range tests {
		resp, body := s.ask(c, tt.method, tt.path, tt.kind, tt.body)
		if p := problemOf(t, resp, body); resp.StatusCode != tt.status || p.Code != tt.code {
			t.Errorf("%s %.40s %s: %d %s, want %d %s", tt.method, tt.path, tt.kind, resp.StatusCode, p.Code, tt.status, tt.code)
		}
		if tt.status == 405 && resp.Header.Get("Allow") == "" {
			t.Errorf("%s %s: no Allow", tt.method, tt.path)
		}
	}
	if n := len(far.all()); n > 0 {
		t.Errorf("%d requests reached the daemon", n)
	}
	for _, ok := range []struct{ path, kind, body string }{
		{"/v1/session", "application/json; charset=UTF-8", "{}"}, {"/v1/session", typeJSON, strings.Repeat("x", maxRequestBody)},
	} {
		if resp, _ := s.ask(c, http.MethodPut, ok.path, ok.kind, ok.body); resp.StatusCode != 200 {
			t.Errorf("PUT %s %s answered %d", ok.path, ok.kind, resp.StatusCode)
		}
	}
}

func TestDaemonsAnswersAreNarrowed(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	c := s.client()
	set := func(h http.HandlerFunc) { far.mu.Lock(); far.raw = h; far.mu.Unlock() }
	set(func(w http.ResponseWriter, _ *http.Request) {
		for name, value := range map[string]string{"Set-Cookie": "a=b", "Location": "http://evil.example/", "X-Other": "x", "ETag": `"1"`, "Access-Control-Allow-Origin": "*", "Content-Security-Policy": "none"} {
			w.Header().Set(name, value)
		}
		w.WriteHeader(http.StatusConflict)
		_, _ = io.WriteString(w, "{}")
	})
	resp, _ := s.ask(c, http.MethodGet, "/v1/status", "", "")
	if resp.StatusCode != http.StatusConflict || resp.Header.Get("ETag") != `"1"` {
		t.Errorf("status %d, ETag %q", resp.StatusCode, resp.Header.Get("ETag"))
	}
	for _, name := range []string{"Set-Cookie", "Location", "X-Other", "Access-Control-Allow-Origin"} {
		if resp.Header.Get(name) != "" {
			t.Errorf("%s came through", name)
		}
	}
	set(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", "/v1/views/v1")
		w.WriteHeader(201)
	})
	if resp, _ := s.ask(c, http.MethodPost, "/v1/views/self", typeSDP, "v=0"); resp.StatusCode != 201 || resp.Header.Get("Location") != "/v1/views/v1" {
		t.Errorf("a view answered %d at %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	for name, h := range map[string]http.HandlerFunc{
		"too large": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(make([]byte, maxResponseBody+1)) },
		"cut short": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
			panic(http.ErrAbortHandler)
		},
		"cut at once": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
	} {
		set(h)
		resp, body := s.ask(c, http.MethodGet, "/v1/status", "", "")
		if p := problemOf(t, resp, body); p.Code != codeUnreachable || resp.StatusCode != http.StatusBadGateway {
			t.Errorf("%s: %d %s", name, resp.StatusCode, p.Code)
		}
	}
}

func TestDaemonAwayAndBack(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	c := s.client()
	far.stop()
	for _, path := range []string{"/v1/status", "/v1/events"} {
		resp, body := s.ask(c, http.MethodGet, path, "", "")
		if p := problemOf(t, resp, body); resp.StatusCode != http.StatusBadGateway || p.Code != codeUnreachable {
			t.Errorf("%s without a daemon: %d %s", path, resp.StatusCode, p.Code)
		}
	}
	if resp, _ := s.ask(c, http.MethodGet, "/", "", ""); resp.StatusCode != 200 {
		t.Errorf("the page without a daemon: %d", resp.StatusCode)
	}
	far.start()
	if resp, _ := s.ask(c, http.MethodGet, "/v1/status", "", ""); resp.StatusCode != 200 {
		t.Errorf("with a new daemon: %d", resp.StatusCode)
	}
}

// watch opens the event stream and gives its lines.
func watch(t *testing.T, s *screen, c *http.Client) (lines <-chan string, status int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.base+"/v1/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Last-Event-ID", "e-7")
	resp, err := (&http.Client{Jar: c.Jar, Transport: c.Transport}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	ch, done := make(chan string, 256), make(chan struct{})
	go func() {
		defer close(done)
		defer close(ch)
		defer resp.Body.Close()
		for scan := bufio.NewScanner(resp.Body); scan.Scan(); {
			ch <- scan.Text()
		}
	}()
	t.Cleanup(func() { cancel(); <-done })
	if got := resp.Header.Get("Content-Type"); got != typeEvents {
		t.Errorf("the stream is %q", got)
	}
	return ch, resp.StatusCode
}

func next(t *testing.T, lines <-chan string, prefix string) string {
	t.Helper()
	limit := time.After(5 * time.Second)
	for {
		select {
		case line, ok := <-lines:
			if !ok {
				t.Fatalf("the stream ended before %q", prefix)
			}
			if strings.HasPrefix(line, prefix) {
				return line
			}
		case <-limit:
			t.Fatalf("no %q within 5 s", prefix)
		}
	}
}

func ends(t *testing.T, lines <-chan string, within time.Duration) {
	t.Helper()
	limit := time.After(within)
	for {
		select {
		case _, ok := <-lines:
			if !ok {
				return
			}
		case <-limit:
			t.Fatalf("the stream did not end within %s", within)
		}
	}
}

func TestEventsComeAtOnceAndEndWithTheDaemon(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	lines, status := watch(t, s, s.client())
	if status != 200 {
		t.Fatalf("status %d", status)
	}
	next(t, lines, "event: snapshot")
	if got := far.await(http.MethodGet, "/v1/events").header.Get("Last-Event-Id"); got != "e-7" {
		t.Errorf("Last-Event-ID arrived as %q", got)
	}
	far.change(call(apitype.StateActive))
	next(t, lines, "event: change")
	if data := next(t, lines, "data: "); !strings.Contains(data, `"state":"active"`) {
		t.Errorf("the change is %s", data)
	}
	far.stop()
	ends(t, lines, time.Second)
}

// A daemon that hangs says nothing more: the stream is cut so that the page
// knows.
func TestSilentStreamIsCut(t *testing.T) {
	far := newFarSide(t)
	p := newProxy(far.socket, slog.New(slog.DiscardHandler))
	p.streamIdle = 100 * time.Millisecond
	t.Cleanup(p.close)
	done := make(chan struct{})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		p.call(w, r, route{method: http.MethodGet, path: "/v1/events"}, "/v1/events")
	}))
	t.Cleanup(srv.Close)
	resp, err := srv.Client().Get(srv.URL)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || !strings.Contains(string(body), "event: snapshot") {
		t.Errorf("got %q, %v", body, err)
	}
	select {
	case <-done:
	case <-time.After(5 * time.Second):
		t.Error("the silent stream was not cut")
	}
}

func FuzzFind(f *testing.F) {
	for _, rt := range routes() {
		f.Add(rt.method, rt.path)
	}
	f.Add("POST", "/v1/views/remote/%2e%2e")
	f.Add("GET", "/v1/views/%zz?x#y")
	table := routes()
	f.Fuzz(func(t *testing.T, method, target string) {
		u, err := url.ParseRequestURI(target)
		if err != nil {
			return
		}
		rt, path, _ := find(table, method, u)
		if rt.method == "" {
			return
		}
		if rt.method != method || !strings.HasPrefix(path, "/v1/") || strings.Contains(path, "..") && !strings.Contains(rt.path, "*") {
			t.Fatalf("%s %q became %s %q", method, target, rt.method, path)
		}
		clean, err := url.ParseRequestURI(path)
		if err != nil {
			t.Fatalf("%q became %q, which is no path: %v", target, path, err)
		}
		again, samePath, _ := find(table, method, clean)
		if again != rt || samePath != path {
			t.Fatalf("%q became %q, and that %q", target, path, samePath)
		}
		if strings.Count(path, "/") != strings.Count(rt.path, "/") {
			t.Fatalf("%q has other elements than %q", path, rt.path)
		}
	})
}
