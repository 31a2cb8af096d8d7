package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// axis is one property of a request: its good values, then its bad ones.
type axis struct {
	name      string
	good, bad []string
}

// rawRequest sends bytes as they are: net/http would not send some of these.
func rawRequest(t *testing.T, addr, request string) (status int, body string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		t.Fatal(err)
	}
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("no answer to %q: %v", request, err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(data)
}

// TestNoWebPageDrivesTheKiosk is promise X3: with the right cookie in every
// request, whatever else a foreign page, a rebound name or an odd client can
// send changes nothing and reads nothing.
func TestNoWebPageDrivesTheKiosk(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	addr := strings.TrimPrefix(s.base, "http://")
	_, port, _ := net.SplitHostPort(addr)
	resp, _ := s.ask(noFollow(t), http.MethodGet, strings.TrimPrefix(s.link(), s.base), "", "")
	cookie := resp.Cookies()[0].Name + "=" + resp.Cookies()[0].Value
	far.reset()

	hosts := axis{"host", []string{addr, "localhost:" + port}, []string{
		"evil.example", "evil.example:" + port, "localhost.:" + port, "127.1:" + port, "[::1]:" + port, "127.0.0.1", "127.0.0.1:1",
		"0.0.0.0:" + port, "2130706433:" + port, "127.0.0.1.nip.io:" + port, "LOCALHOST:" + port, "kioskd",
	}}
	origins := axis{"origin", []string{"same"}, []string{"null", "http://evil.example", "https://" + addr, "http://127.0.0.1:1", "file://", "http://" + addr + ".evil.example", "two"}}
	fetches := axis{"fetch", []string{"same-origin cors empty"}, []string{
		"cross-site cors empty", "cross-site no-cors empty", "cross-site navigate document", "same-site cors empty", "same-site navigate document",
		"none navigate document", "same-origin no-cors image", "same-origin navigate document", "same-origin navigate iframe", "same-origin websocket websocket", "same-origin no-cors script",
	}}
	calls := []string{"PUT /v1/session", "POST /v1/session/mute", "POST /v1/session/end-call", "GET /v1/status", "GET /v1/session", "POST /v1/views/self", "DELETE /v1/views/x"}
	tried := 0
	try := func(call, host, origin, fetch, kind, extra string) {
		t.Helper()
		tried++
		method, path, _ := strings.Cut(call, " ")
		status, body := rawRequest(t, addr, buildRequest(method, path, host, origin, fetch, kind, extra, cookie))
		if status < 400 || strings.Contains(body, canary) {
			t.Errorf("%s host=%q origin=%q fetch=%q type=%q extra=%q answered %d %q", call, host, origin, fetch, kind, extra, status, body)
		}
	}
	for _, call := range calls {
		kind := kindOf(call)
		for _, host := range hosts.bad {
			for _, origin := range append([]string{"same", ""}, origins.bad[:2]...) {
				try(call, host, origin, fetches.good[0], kind, "")
			}
		}
		for _, origin := range origins.bad {
			try(call, addr, origin, fetches.good[0], kind, "")
			try(call, addr, origin, "", kind, "")
		}
		for _, fetch := range fetches.bad {
			try(call, addr, "same", fetch, kind, "")
			try(call, addr, "", fetch, kind, "")
		}
		for _, extra := range []string{
			"Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: x\r\nSec-WebSocket-Version: 13", "Sec-WebSocket-Key: x",
			"Upgrade: h2c", "Connection: keep-alive, Upgrade", "Referer: http://evil.example/", "Sec-Fetch-Site: cross-site",
		} {
			try(call, addr, "same", fetches.good[0], kind, extra)
		}
		if !strings.HasPrefix(call, "GET") {
			try(call, addr, "", "", kind, "") // a write must say where it comes from
			for _, odd := range []string{"text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/json; charset=utf-7", "application/json, text/plain", ""} {
				if odd == kind {
					continue // a deletion has no body and no type
				}
				try(call, addr, "same", fetches.good[0], odd, "")
			}
		}
	}
	for _, call := range []string{"TRACE /v1/status", "CONNECT /v1/status", "OPTIONS /v1/session", "PROPFIND /v1/session", "GET http://kioskd/v1/status", "GET //v1/status", "GET /v1//status", "GET /v1/../v1/status", "GET /v1/status?x=1", "GET /v1/%73tatus/", "GET /v1/metrics", "PUT /v1/devices/roles/face"} {
		try(call, addr, "same", fetches.good[0], typeJSON, "")
	}
	if tried < 300 {
		t.Errorf("only %d combinations were tried", tried)
	}
	if got := far.all(); len(got) > 0 {
		t.Errorf("%d requests reached the daemon, the first: %+v", len(got), got[0])
	}
	// The same machinery lets the page itself through, or all of this means nothing.
	for _, host := range hosts.good {
		for _, call := range calls[:5] {
			method, path, _ := strings.Cut(call, " ")
			if status, body := rawRequest(t, addr, buildRequest(method, path, host, "same", fetches.good[0], kindOf(call), "", cookie)); status != 200 || !strings.Contains(body, canary) {
				t.Errorf("%s from the page itself answered %d %q", call, status, body)
			}
		}
	}
	t.Logf("%d combinations", tried)
}

func kindOf(call string) string {
	switch {
	case strings.HasPrefix(call, "GET"), strings.HasPrefix(call, "DELETE"):
		return ""
	case strings.Contains(call, "/views/"):
		return typeSDP
	}
	return typeJSON
}

func buildRequest(method, path, host, origin, fetch, kind, extra, cookie string) string {
	var b strings.Builder
	b.WriteString(method + " " + path + " HTTP/1.1\r\nHost: " + host + "\r\nCookie: " + cookie + "\r\nConnection: close\r\n")
	switch origin {
	case "":
	case "same":
		b.WriteString("Origin: http://" + host + "\r\n")
	case "two":
		b.WriteString("Origin: http://" + host + "\r\nOrigin: http://evil.example\r\n")
	default:
		b.WriteString("Origin: " + origin + "\r\n")
	}
	for i, f := range strings.Fields(fetch) {
		b.WriteString([]string{"Sec-Fetch-Site", "Sec-Fetch-Mode", "Sec-Fetch-Dest"}[i] + ": " + f + "\r\n")
	}
	if extra != "" {
		b.WriteString(extra + "\r\n")
	}
	body := ""
	if method != "GET" && (kind != "" || method == "POST" || method == "PUT") {
		body = "{}"
	}
	if kind != "" {
		b.WriteString("Content-Type: " + kind + "\r\n")
	}
	if body != "" {
		b.WriteString("Content-Length: 2\r\n")
	}
	return b.String() + "\r\n" + body
}

func TestFetchRefusal(t *testing.T) {
	tests := []struct {
		name, method, path      string
		site, mode, dest        string
		origin, purpose, refuse string
	}{
		{name: "page typed", method: "GET", path: "/", site: "none", mode: "navigate", dest: "document"},
		{name: "link typed", method: "GET", path: "/open/x", site: "none", mode: "navigate", dest: "document"},
		{name: "link from a file", method: "GET", path: "/open/x", site: "cross-site", mode: "navigate", dest: "document"},
		{name: "link in a frame", method: "GET", path: "/open/x", site: "cross-site", mode: "navigate", dest: "iframe", refuse: "fetch site"},
		{name: "link by fetch", method: "GET", path: "/open/x", site: "cross-site", mode: "no-cors", dest: "image", refuse: "fetch site"},
		{name: "page from elsewhere", method: "GET", path: "/", site: "cross-site", mode: "navigate", dest: "document", refuse: "fetch site"},
		{name: "another port", method: "GET", path: "/", site: "same-site", mode: "navigate", dest: "document", refuse: "fetch site"},
		{name: "style", method: "GET", path: "/assets/kiosk.css", site: "same-origin", mode: "no-cors", dest: "style"},
		{name: "style from elsewhere", method: "GET", path: "/assets/kiosk.css", site: "cross-site", mode: "no-cors", dest: "style", refuse: "fetch site"},
		{name: "API by fetch", method: "GET", path: "/v1/status", site: "same-origin", mode: "cors", dest: "empty"},
		{name: "API typed", method: "GET", path: "/v1/status", site: "none", mode: "navigate", dest: "document", refuse: "fetch site"},
		{name: "API as script", method: "GET", path: "/v1/status", site: "same-origin", mode: "no-cors", dest: "script", refuse: "fetch mode"},
		{name: "odd value", method: "GET", path: "/", site: "same-origin ", mode: "navigate", dest: "document", refuse: "fetch site"},
		{name: "no browser reads", method: "GET", path: "/v1/status"},
		{name: "no browser writes", method: "POST", path: "/v1/session/mute", refuse: "fetch site"},
		{name: "program writes with its origin", method: "POST", path: "/v1/session/mute", origin: "http://127.0.0.1:80"},
	}
	g := newGuard("127.0.0.1:80")
	for _, tt := range tests {
		r := httptest.NewRequest(tt.method, tt.path, nil)
		r.Host = "127.0.0.1:80"
		for name, value := range map[string]string{"Sec-Fetch-Site": tt.site, "Sec-Fetch-Mode": tt.mode, "Sec-Fetch-Dest": tt.dest, "Origin": tt.origin} {
			if value != "" {
				r.Header.Set(name, value)
			}
		}
		if got := g.refuse(r); got != tt.refuse {
			t.Errorf("%s: refused for %q, want %q", tt.name, got, tt.refuse)
		}
	}
}
