package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"kioskd/daemon/api/apitype"
)

// noFollow shows redirects instead of following them.
func noFollow(t *testing.T) *http.Client {
	t.Helper()
	transport := &http.Transport{}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
}

func problemOf(t *testing.T, resp *http.Response, body string) apitype.Problem {
	t.Helper()
	var p apitype.Problem
	if got := resp.Header.Get("Content-Type"); got != apitype.TypeProblem {
		t.Errorf("Content-Type %q, want %q: %s", got, apitype.TypeProblem, body)
	}
	if err := json.Unmarshal([]byte(body), &p); err != nil {
		t.Fatalf("cannot read the problem %q: %v", body, err)
	}
	if p.Status != resp.StatusCode || p.Detail == "" || p.Hint == "" {
		t.Errorf("the problem is not whole: %+v", p)
	}
	return p
}

func TestLinkOpensOnce(t *testing.T) {
	s := startScreen(t, newFarSide(t).socket)
	c := noFollow(t)
	first := s.link()
	if info, err := os.Stat(s.launch); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("the launch file has mode %v (%v), want 0600", info.Mode(), err)
	}
	resp, _ := s.ask(c, http.MethodGet, strings.TrimPrefix(first, s.base), "", "")
	if resp.StatusCode != http.StatusSeeOther || resp.Header.Get("Location") != "/" {
		t.Fatalf("the link answered %d to %q", resp.StatusCode, resp.Header.Get("Location"))
	}
	cookies := resp.Cookies()
	if len(cookies) != 1 {
		t.Fatalf("%d cookies", len(cookies))
	}
	k := cookies[0]
	if !k.HttpOnly || k.SameSite != http.SameSiteStrictMode || k.Path != "/" || k.MaxAge != 0 || !k.Expires.IsZero() {
		t.Errorf("the cookie is %q: want HttpOnly, SameSite=Strict, Path=/, no lifetime", resp.Header.Get("Set-Cookie"))
	}
	if len(k.Value) != 43 { // 256 bits in base64 without padding
		t.Errorf("the token has %d characters", len(k.Value))
	}
	resp, body := s.ask(c, http.MethodGet, strings.TrimPrefix(first, s.base), "", "")
	if resp.StatusCode != http.StatusGone || !strings.Contains(body, "This link was already used") || len(resp.Cookies()) > 0 {
		t.Errorf("the second use answered %d %q", resp.StatusCode, body)
	}
	second := s.link()
	if second == first {
		t.Error("the launch file still has the spent link")
	}
	resp, _ = s.ask(c, http.MethodGet, strings.TrimPrefix(second, s.base), "", "")
	if resp.StatusCode != http.StatusSeeOther || resp.Cookies()[0].Value != k.Value {
		t.Error("the new link does not open the same screen")
	}
}

func TestLinkIsNotSpentByLoadingAhead(t *testing.T) {
	s := startScreen(t, newFarSide(t).socket)
	c := noFollow(t)
	path := strings.TrimPrefix(s.link(), s.base)
	for _, h := range [][2]string{{"Sec-Purpose", "prefetch;prerender"}, {"Purpose", "prefetch"}} {
		if resp, _ := s.ask(c, http.MethodGet, path, "", "", h[0], h[1]); resp.StatusCode != http.StatusForbidden {
			t.Errorf("%s: status %d", h, resp.StatusCode)
		}
	}
	if resp, _ := s.ask(c, http.MethodHead, path, "", ""); resp.StatusCode != http.StatusForbidden {
		t.Errorf("HEAD: status %d", resp.StatusCode)
	}
	if resp, _ := s.ask(c, http.MethodGet, path, "", ""); resp.StatusCode != http.StatusSeeOther {
		t.Errorf("the link was spent: status %d", resp.StatusCode)
	}
}

func TestWrongCodes(t *testing.T) {
	s := startScreen(t, newFarSide(t).socket)
	c := noFollow(t)
	path := strings.TrimPrefix(s.link(), s.base)
	for _, wrong := range []string{openPath, openPath + "x", path + "x", path[:len(path)-1], path[:len(path)-1] + "!"} {
		if resp, _ := s.ask(c, http.MethodGet, wrong, "", ""); resp.StatusCode != http.StatusGone || len(resp.Cookies()) > 0 {
			t.Errorf("%q answered %d", wrong, resp.StatusCode)
		}
	}
	if s.link() != s.base+path {
		t.Error("a wrong code changed the link")
	}
}

func TestWithoutTheKey(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	c := noFollow(t)
	name := "kioskscreen-" + s.base[strings.LastIndex(s.base, ":")+1:]
	for _, cookie := range []string{"", name + "=", name + "=" + strings.Repeat("A", 43), "other=x", name + "=a; " + name + "=b"} {
		resp, body := s.ask(c, http.MethodGet, "/", "", "", "Cookie", cookie)
		if resp.StatusCode != http.StatusUnauthorized || !strings.Contains(body, "This screen is locked") {
			t.Errorf("cookie %q: the page answered %d", cookie, resp.StatusCode)
		}
		for _, rt := range routes() {
			resp, body := s.ask(c, rt.method, strings.ReplaceAll(rt.path, "*", "x"), rt.body, "{}", "Cookie", cookie)
			if resp.StatusCode != http.StatusUnauthorized || problemOf(t, resp, body).Code != codeClosed {
				t.Errorf("cookie %q: %s %s answered %d", cookie, rt.method, rt.path, resp.StatusCode)
			}
		}
		if resp, _ := s.ask(c, http.MethodGet, "/words.json", "", "", "Cookie", cookie); resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("cookie %q: the words answered %d", cookie, resp.StatusCode)
		}
	}
	if n := len(far.all()); n > 0 {
		t.Errorf("%d requests reached the daemon", n)
	}
}

func TestHeadersOfEveryAnswer(t *testing.T) {
	s := startScreen(t, newFarSide(t).socket)
	c := s.client()
	for _, path := range []string{"/", "/words.json", "/assets/main.js", "/assets/kiosk.css", "/v1/status", "/nope", "/v1/nope", openPath + "x", "/assets/none.js"} {
		resp, _ := s.ask(c, http.MethodGet, path, "", "")
		want := map[string]string{
			"X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer",
			"Cache-Control": "no-store", "Cross-Origin-Resource-Policy": "same-origin", "Content-Security-Policy": contentPolicy(),
		}
		for name, value := range want {
			if got := resp.Header.Get(name); got != value {
				t.Errorf("%s: %s is %q, want %q", path, name, got, value)
			}
		}
		if resp.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s allows other origins", path)
		}
	}
	if !strings.HasPrefix(contentPolicy(), "default-src 'none'") || strings.Contains(contentPolicy(), "unsafe") {
		t.Error("the content policy is loose")
	}
}

func TestPlainFiles(t *testing.T) {
	s := startScreen(t, newFarSide(t).socket)
	c := s.client()
	tests := []struct {
		path   string
		status int
		kind   string
	}{
		{"/assets/main.js", 200, "text/javascript; charset=utf-8"},
		{"/assets/kiosk.css", 200, "text/css; charset=utf-8"},
		{"/assets/index.html", 404, ""}, // a template
		{"/assets/", 404, ""},
		{"/assets/../door.go", 404, ""},
		{"/assets/%2e%2e/door.go", 404, ""},
		{"/index.html", 404, ""},
		{"/favicon.ico", 404, ""},
	}
	for _, tt := range tests {
		resp, body := s.ask(c, http.MethodGet, tt.path, "", "")
		if resp.StatusCode != tt.status || tt.kind != "" && resp.Header.Get("Content-Type") != tt.kind {
			t.Errorf("%s: %d %s", tt.path, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		if tt.status == 404 && !strings.Contains(body, "Nothing here") {
			t.Errorf("%s: not in plain words: %s", tt.path, body)
		}
	}
	if resp, _ := s.ask(c, http.MethodPost, "/", typeJSON, "{}"); resp.StatusCode != http.StatusMethodNotAllowed || resp.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST / answered %d", resp.StatusCode)
	}
}

// Every module and file the page names must be there.
func TestPageNamesOnlyFilesThereAre(t *testing.T) {
	entries, err := assets.ReadDir("assets")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		data, err := assets.ReadFile("assets/" + e.Name())
		if err != nil {
			t.Fatal(err)
		}
		for _, word := range strings.FieldsFunc(string(data), func(r rune) bool { return strings.ContainsRune("\"'` ()", r) }) {
			name, isFile := strings.CutPrefix(word, "/assets/")
			if !isFile {
				name, isFile = strings.CutPrefix(word, "./")
			}
			if !isFile {
				continue
			}
			if _, err := assets.ReadFile("assets/" + name); err != nil {
				t.Errorf("%s names %s: %v", e.Name(), word, err)
			}
		}
		if strings.Contains(string(data), "innerHTML") || strings.Contains(string(data), "://") && !strings.Contains(string(data), "http://www.w3.org/2000/svg") {
			t.Errorf("%s writes HTML from text or names another host", e.Name())
		}
	}
}

func TestWordsFollowTheLanguage(t *testing.T) {
	far := newFarSide(t)
	free := startScreen(t, far.socket, func(o *options) { o.lang = "" })
	german := startScreen(t, far.socket, func(o *options) { o.lang = "de" })
	daemons, odd := newFarSide(t), newFarSide(t)
	daemons.status.Language, odd.status.Language = "es", "tlh"
	spanish := startScreen(t, daemons.socket, func(o *options) { o.lang = "" })
	told := startScreen(t, daemons.socket, func(o *options) { o.lang = "de" })
	strange := startScreen(t, odd.socket, func(o *options) { o.lang = "" })
	tests := []struct {
		s            *screen
		query, asked string
		want         string
	}{
		{free, "", "es-MX,es;q=0.9", "es"},
		{free, "", "", "en"},
		{free, "?lang=de", "es", "de"},
		{free, "?lang=tlh", "es", "es"},
		{german, "", "es", "de"},
		{german, "?lang=es", "en", "es"},
		{spanish, "", "de", "es"},
		{spanish, "?lang=en", "de", "en"},
		{told, "", "en", "de"},
		{strange, "", "de", "de"},
	}
	for _, tt := range tests {
		_, body := tt.s.ask(tt.s.client(), http.MethodGet, "/words.json"+tt.query, "", "", "Accept-Language", tt.asked)
		var got wordsAnswer
		if err := json.Unmarshal([]byte(body), &got); err != nil {
			t.Fatal(err)
		}
		if got.Lang != tt.want || len(got.Texts) < 80 || len(got.Languages) != 3 {
			t.Errorf("%q %q: language %s with %d texts", tt.query, tt.asked, got.Lang, len(got.Texts))
		}
	}
	_, page := german.ask(german.client(), http.MethodGet, "/", "", "")
	if !strings.Contains(page, `<html lang="de">`) || !strings.Contains(page, "<title>Videosprechstunde</title>") {
		t.Error("the page itself is not in German")
	}
	daemons.stop()
	if _, page := spanish.ask(spanish.client(), http.MethodGet, "/", "", ""); !strings.Contains(page, `<html lang="es">`) {
		t.Error("without the daemon the page forgets its language")
	}
}

// The token and the code are in no page, no answer and no line of the log.
func TestSecretsStayPut(t *testing.T) {
	far := newFarSide(t)
	s := startScreen(t, far.socket)
	code := s.link()[strings.LastIndex(s.link(), "/")+1:]
	c := noFollow(t)
	resp, body := s.ask(c, http.MethodGet, openPath+code, "", "")
	token := resp.Cookies()[0].Value
	cookie := fmt.Sprintf("%s=%s", resp.Cookies()[0].Name, token)
	seen := body
	for _, path := range []string{"/", "/words.json", "/assets/main.js", "/v1/status", "/v1/nope", openPath + code} {
		_, body := s.ask(c, http.MethodGet, path, "", "", "Cookie", cookie)
		seen += body
	}
	newCode := s.link()[strings.LastIndex(s.link(), "/")+1:]
	for name, secret := range map[string]string{"token": token, "code": code, "new code": newCode} {
		if strings.Contains(seen, secret) || strings.Contains(s.logs.String(), secret) {
			t.Errorf("the %s is in an answer or in the log", name)
		}
		if data, err := os.ReadFile("/proc/self/cmdline"); err != nil || strings.Contains(string(data), secret) {
			t.Errorf("the %s is in the command line (%v)", name, err)
		}
	}
	for _, r := range far.all() {
		if text := fmt.Sprint(r.header); strings.Contains(text, token) {
			t.Error("the token went to the daemon")
		}
	}
}

// The launch file as a page: the step over our own page lets the strict cookie
// come along.
func TestLinkFromAForeignPage(t *testing.T) {
	s := startScreen(t, newFarSide(t).socket)
	c := noFollow(t)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.link(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"} {
		req.Header.Set(name, value)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode != http.StatusOK || len(resp.Cookies()) != 1 || !strings.Contains(string(body), `content="0;url=/"`) {
		t.Errorf("status %d, %d cookies, %v: %s", resp.StatusCode, len(resp.Cookies()), err, body)
	}
}
