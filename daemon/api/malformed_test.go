package api_test

import (
	"bufio"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

// TestRootMalformedChangesNothing sends what no client of ours sends, byte by
// byte, in a running session: each gets a clear problem and the session is as
// it was.
func TestRootMalformedChangesNothing(t *testing.T) {
	k, _ := active(t)
	before := state(t, k)
	post := func(path, headers, body string) string {
		return "POST " + path + " HTTP/1.1\r\nHost: kioskd\r\n" + headers + "\r\n" + body
	}
	sized := func(path, body string) string {
		return post(path, fmt.Sprintf("Content-Type: application/json\r\nContent-Length: %d\r\n", len(body)), body)
	}
	deep := strings.Repeat("[", 20000) + strings.Repeat("]", 20000)
	for _, c := range []struct{ name, request, status, code string }{
		{"a query where none is taken", sized("/v1/session/mute?muted=true", ""), "400", apitype.CodeBadRequest},
		{"a question mark alone", sized("/v1/session/end-call?", ""), "400", apitype.CodeBadRequest},
		{"a query with a strange word", "GET /v1/audit?more=1 HTTP/1.1\r\nHost: kioskd\r\n\r\n", "400", apitype.CodeBadRequest},
		{"a member twice", sized("/v1/session/mute", `{"muted":true,"muted":true}`), "400", apitype.CodeBadJSON},
		{"an unknown field", sized("/v1/session/mute", `{"muted":true,"loud":true}`), "400", apitype.CodeBadJSON},
		{"a wrong type", sized("/v1/session/mute", `{"muted":"true"}`), "400", apitype.CodeBadJSON},
		{"deep nesting", sized("/v1/session/mute", `{"muted":`+deep+`}`), "400", apitype.CodeBadJSON},
		{"trailing bytes", sized("/v1/session/mute", `{"muted":true}x`), "400", apitype.CodeBadJSON},
		{"broken UTF-8", sized("/v1/session/messages", "{\"text\":\"\xff\"}"), "400", apitype.CodeBadJSON},
		{"a body of 1 MiB", sized("/v1/session/messages", `{"text":"`+strings.Repeat("a", 1<<20)+`"}`), "413", apitype.CodeTooLarge},
		{"a body that says it is of 1 TiB", post("/v1/session/mute", "Content-Type: application/json\r\nContent-Length: 1099511627776\r\n", "{"), "413", apitype.CodeTooLarge},
		{"another Content-Type", post("/v1/session/mute", "Content-Type: text/plain\r\nContent-Length: 14\r\n", `{"muted":true}`), "415", apitype.CodeMediaType},
		{"two Content-Types", post("/v1/session/mute", "Content-Type: application/json\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n", `{"muted":true}`), "415", apitype.CodeMediaType},
		{"two keys", post("/v1/session/mute", "Idempotency-Key: a\r\nIdempotency-Key: b\r\nContent-Length: 0\r\n", ""), "400", apitype.CodeBadRequest},
		{"a second Content-Length", post("/v1/session/mute", "Content-Type: application/json\r\nContent-Length: 14\r\nContent-Length: 15\r\n", `{"muted":true}`), "400", apitype.CodeBadRequest},
		{"a Content-Length that is none", post("/v1/session/mute", "Content-Length: -1\r\n", ""), "400", apitype.CodeBadRequest},
		{"an unknown coding", post("/v1/session/mute", "Transfer-Encoding: gzip\r\n", ""), "501", apitype.CodeBadRequest},
		{"chunks that are none", post("/v1/session/mute", "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n", "zz\r\n"), "400", apitype.CodeBadRequest},
		{"no HTTP", "hello\r\n\r\n", "400", apitype.CodeBadRequest},
		{"HTTP/3.0", "GET /v1/status HTTP/3.0\r\nHost: kioskd\r\n\r\n", "505", apitype.CodeBadRequest},
		{"no Host", "POST /v1/session/mute HTTP/1.1\r\nContent-Length: 0\r\n\r\n", "400", apitype.CodeBadRequest},
		{"two Hosts", "POST /v1/session/mute HTTP/1.1\r\nHost: kioskd\r\nHost: evil.example\r\nContent-Length: 0\r\n\r\n", "400", apitype.CodeBadRequest},
		{"a header with a line feed in its name", post("/v1/session/mute", "X y: 1\r\n", ""), "400", apitype.CodeBadRequest},
		{"a header of 9 KiB", post("/v1/session/mute", "X-Pad: "+strings.Repeat("a", 9<<10)+"\r\n", ""), "431", apitype.CodeBadRequest},
	} {
		answer := firstAnswer(t, k, c.request)
		if !strings.HasPrefix(answer, "HTTP/1.1 "+c.status+" ") || !strings.Contains(answer, "Content-Type: "+apitype.TypeProblem) ||
			!strings.Contains(answer, `"code":"`+c.code+`"`) || !strings.Contains(answer, `"detail":"cannot `) {
			t.Errorf("%s: %.300q, want %s %s", c.name, answer, c.status, c.code)
		}
		if after := state(t, k); after != before {
			t.Fatalf("%s changed\n%s to\n%s", c.name, before, after)
		}
	}
}

// firstAnswer sends text, as much of it as is taken, and gives the first answer.
func firstAnswer(t *testing.T, k *apitest.Kiosk, text string) string {
	t.Helper()
	c, err := self.Dial(deadline(t), k.Socket)
	if err != nil {
		t.Fatal(err)
	}
	written := make(chan struct{})
	go func() { defer close(written); _, _ = io.WriteString(c, text) }()
	defer func() { _ = c.Close(); <-written }()
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	r, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("%.100q: %v", text, err)
	}
	defer r.Body.Close()
	b, err := httputil.DumpResponse(r, true)
	if err != nil {
		t.Fatalf("%.100q: %v", text, err)
	}
	return string(b)
}

// TestRootHalfRequests: whoever stops in the middle is told, within the bounds
// of time, and nothing is done.
func TestRootHalfRequests(t *testing.T) {
	k, _ := active(t)
	before := state(t, k)
	var wg sync.WaitGroup
	for _, c := range []struct {
		name, request, want string
		within              time.Duration
	}{
		{"half a first line", "POST /v1/sess", "HTTP/1.1 408 ", 5 * time.Second},
		{"half a head", "POST /v1/session/end-call HTTP/1.1\r\nHost: kioskd\r\nConte", "HTTP/1.1 408 ", 5 * time.Second},
		{"nothing", "", "", 5 * time.Second},
		{"half a body", "POST /v1/session/mute HTTP/1.1\r\nHost: kioskd\r\nContent-Type: application/json\r\nContent-Length: 14\r\n\r\n{\"muted\":", "HTTP/1.1 408 ", 10 * time.Second},
		{"a whole request, then half a one", "GET /v1/health HTTP/1.1\r\nHost: kioskd\r\n\r\nPOST /v1/sess", "HTTP/1.1 200 ", 5 * time.Second},
	} {
		wg.Go(func() {
			answer, took := raw(t, k, c.request)
			if !strings.HasPrefix(answer, c.want) || c.want == "" && answer != "" || took > c.within {
				t.Errorf("%s: %.200q in %v, want %q within %v", c.name, answer, took, c.want, c.within)
			}
			if strings.Contains(c.want, "408") && !strings.Contains(answer, `"code":"`+apitype.CodeSlow+`"`) {
				t.Errorf("%s: %q is no problem", c.name, answer)
			}
		})
	}
	wg.Wait()
	if after := state(t, k); after != before {
		t.Errorf("they changed\n%s to\n%s", before, after)
	}
}

// TestRootEndlessBody: chunks that never end are cut at 64 KiB.
func TestRootEndlessBody(t *testing.T) {
	k, _ := active(t)
	before := state(t, k)
	c, err := self.Dial(deadline(t), k.Socket)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(15 * time.Second)); err != nil {
		t.Fatal(err)
	}
	answered := make(chan string, 1)
	go func() {
		b := make([]byte, 4096)
		n, _ := io.ReadAtLeast(c, b, 12)
		answered <- string(b[:n])
	}()
	_, _ = io.WriteString(c, "POST /v1/session/mute HTTP/1.1\r\nHost: kioskd\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
	chunk := fmt.Sprintf("%x\r\n%s\r\n", 1000, strings.Repeat(" ", 1000))
	sent := 0
	for sent < 64<<20 {
		if _, err := io.WriteString(c, chunk); err != nil {
			break // hung up: that is what is wanted
		}
		sent += 1000
	}
	if answer := <-answered; !strings.HasPrefix(answer, "HTTP/1.1 413 ") || sent > 8<<20 {
		t.Errorf("after %d bytes: %.100q", sent, answer)
	}
	if after := state(t, k); after != before {
		t.Errorf("it changed\n%s to\n%s", before, after)
	}
}
