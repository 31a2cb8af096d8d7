package api_test

import (
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

// expected is one method on one path, for who may: written down here by hand, so
// that a row of the route table that changes fails here.
type expected struct {
	method, path, body, contentType string
	least                           string // role
	status                          int    // for who may; no session, no view, no report
}

// everything is each route of the API with a request that reaches its handler and
// changes nothing.
var everything = []expected{
	{"GET", "/v1/status", "", "", "screen", 200},
	{"GET", "/v1/events", "", "", "screen", 200},
	{"GET", "/v1/session", "", "", "screen", 200},
	{"PUT", "/v1/session", `{"appointment_id":"."}`, jsonType, "screen", 400},
	{"PUT", "/v1/session/permissions", `{"camera":"granted","microphone":"granted"}`, jsonType, "screen", 409},
	{"POST", "/v1/session/mute", "", "", "screen", 409},
	{"POST", "/v1/session/disable-video", "", "", "screen", 409},
	{"POST", "/v1/session/swap-camera", "", "", "screen", 409},
	{"POST", "/v1/session/chat", "", "", "screen", 409},
	{"GET", "/v1/session/messages", "", "", "screen", 200},
	{"POST", "/v1/session/messages", `{"text":"hello"}`, jsonType, "screen", 409},
	{"POST", "/v1/session/report-issue", "", "", "screen", 409},
	{"POST", "/v1/session/end-call", "", "", "screen", 409},
	{"POST", "/v1/views/self", "v=", sdpType, "screen", 400},
	{"POST", "/v1/views/remote/p1", "v=", sdpType, "screen", 400},
	{"PATCH", "/v1/views/gone", "a=x", fragmentType, "screen", 404},
	{"DELETE", "/v1/views/gone", "", "", "screen", 404},
	{"GET", "/v1/devices", "", "", "screen", 200},
	{"PUT", "/v1/devices/roles/face", `{"device":"gone"}`, jsonType, "technician", 404},
	{"PUT", "/v1/devices/gone/controls", `{"controls":{"zoom_absolute":100}}`, jsonType, "technician", 404},
	{"GET", "/v1/devices/gone/snapshot", "", "", "technician", 404},
	{"GET", "/v1/devices/gone/level", "", "", "technician", 404},
	{"POST", "/v1/devices/gone/tone", "", "", "technician", 404},
	{"POST", "/v1/checks", "", "", "screen", 200},
	{"GET", "/v1/metrics", "", "", "screen", 200},
	{"GET", "/v1/health", "", "", "screen", 200},
	{"GET", "/v1/openapi.json", "", "", "screen", 200},
	{"GET", "/v1/reports", "", "", "technician", 200},
	{"GET", "/v1/reports/gone", "", "", "technician", 404},
	{"GET", "/v1/audit", "", "", "technician", 200},
	{"GET", "/v1/config", "", "", "technician", 200},
	{"POST", "/v1/reload", "", "", "technician", 200},
}

// nowhere are paths that there are not, near those that there are.
var nowhere = []string{
	"/", "/v1", "/v2/status", "/v1/views", "/v1/views/remote/a%2Fb", "/v1/../etc/passwd", "/v1/session/", "/v1//session",
	"/v1/session/mute/x", "/v1/reports/", "/v1/reports/..", "/V1/status", "/v1/audit/1", "/v1/config/x", "/v1/reload/x", "/v1/metrics/x",
	"/v1/devices/roles", "/v1/devices/gone", "/v1/devices/gone/controls/x", "/v1/devices/../snapshot", "/v1/devices/a%2Fb/tone",
}

// methods are all that RFC 9110 section 9 and RFC 5789 know, and one that nobody does.
var methods = []string{"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT", "MAKEITSO"}

// roles are the ways to be somebody, and how much each may.
var roles = []struct {
	name  string
	user  apitest.User
	level int // 0 none, 1 screen, 2 technician, 3 root
}{
	{"root", apitest.User{}, 3},
	{"screen", apitest.User{UID: 61011, GID: apitest.ScreenGID}, 1},
	{"screen by supplementary group", apitest.User{UID: 61012, GID: 61012, Groups: []uint32{apitest.ScreenGID}}, 1},
	{"technician", apitest.User{UID: 61013, GID: apitest.ScreenGID, Groups: []uint32{apitest.TechnicianGID}}, 2},
	{"technician by supplementary groups", apitest.User{UID: 61014, GID: 61014, Groups: []uint32{apitest.ScreenGID, apitest.TechnicianGID}}, 2},
	{"wrong group", apitest.User{UID: 61015, GID: 61015, Groups: []uint32{1, 2, 3}}, 0},
	{"nobody", apitest.User{UID: 65534, GID: 65534}, 0},
	{"root's group only", apitest.User{UID: 61016, GID: 0, Groups: []uint32{0}}, 0},
}

// matrix gives what a role is answered for a method on a path, from the tables
// above and from nothing else.
func matrix(level int, method, path string) (want expected, status int) {
	known := false
	for _, e := range everything {
		if e.path != path && (path != "/v1/views/self" || e.path != "/v1/views/gone") {
			continue
		}
		known = true
		if e.method != method {
			continue
		}
		switch {
		case level == 0, level == 1 && e.least == "technician":
			return e, http.StatusForbidden
		default:
			return e, e.status
		}
	}
	switch {
	case level == 0:
		return expected{}, http.StatusForbidden
	case known:
		return expected{}, http.StatusMethodNotAllowed
	}
	return expected{}, http.StatusNotFound
}

// TestRootMatrix asks every path with every method as everybody, over a real
// socket with the kernel's word for who asks: routes x roles x methods.
func TestRootMatrix(t *testing.T) {
	k := start(t)
	paths := map[string]bool{}
	for _, e := range everything {
		paths[e.path] = true
	}
	for _, p := range nowhere {
		paths[p] = true
	}
	before := state(t, k)
	asked := 0
	for _, who := range roles {
		c := clientOf(t, k, who.user)
		for path := range paths {
			for _, method := range methods {
				asked++
				e, status := matrix(who.level, method, path)
				r := askFirst(t, c, method, path, e.body, e.contentType)
				if r.status != status {
					t.Errorf("%s: %s %s: %d, want %d", who.name, method, path, r.status, status)
				}
				if status == http.StatusMethodNotAllowed && r.header.Get("Allow") == "" {
					t.Errorf("%s: %s %s: no Allow", who.name, method, path)
				}
				if status >= 400 && method != "HEAD" {
					if p := r.problem(t); status == http.StatusForbidden && p.Code != apitype.CodeForbidden {
						t.Errorf("%s: %s %s: code %s", who.name, method, path, p.Code)
					}
				}
			}
		}
	}
	if want := len(roles) * len(paths) * len(methods); asked != want {
		t.Errorf("%d combinations were asked, want %d", asked, want)
	}
	t.Logf("%d combinations of %d paths, %d methods, %d users", asked, len(paths), len(methods), len(roles))
	if after := state(t, k); after != before {
		t.Errorf("something came of it: %s, before %s", after, before)
	}
}

// state is all that a request could change, as text.
func state(t *testing.T, k *apitest.Kiosk) string {
	t.Helper()
	b, err := k.Runner.Model().Encode()
	if err != nil {
		t.Fatal(err)
	}
	last := regexp.MustCompile(`"last_at":"[^"]*",`)
	return string(last.ReplaceAll(b, nil)) + k.Views.State() + k.Store.State() + k.Tools.State()
}

// TestRootDeniedChangesAreAudited: who was turned away from a change stands in
// the audit, once a second at most and all counted; who only looked does not.
func TestRootDeniedChangesAreAudited(t *testing.T) {
	k := start(t)
	nobody := clientOf(t, k, apitest.User{UID: 65534, GID: 65534})
	screen := clientOf(t, k, apitest.User{UID: 61011, GID: apitest.ScreenGID})
	ask(t, nobody, "GET", "/v1/status", "")
	ask(t, screen, "GET", "/v1/audit", "")
	if got := k.Audit.Texts(); len(got) > 0 {
		t.Errorf("who looked is in the audit: %q", got)
	}
	const flood = 50
	for range flood {
		ask(t, nobody, "POST", "/v1/session/mute", "")
	}
	ask(t, screen, "POST", "/v1/views/remote/"+apitest.Canary, "", "Origin", "http://evil.example")
	count := regexp.MustCompile(`suppressed=(\d+)`)
	told := func() (entries, sum int) {
		for _, text := range k.Audit.Texts() {
			if strings.HasPrefix(text, "denied ") {
				entries++
				sum++
				if m := count.FindStringSubmatch(text); m != nil {
					n, _ := strconv.Atoi(m[1])
					sum += n
				}
			}
		}
		return entries, sum
	}
	ctx := deadline(t)
	for { // the rest is told when the flood is over
		entries, sum := told()
		if sum == flood+1 && entries < flood/2 {
			break
		}
		select {
		case <-ctx.Done():
			t.Fatalf("%d entries for %d denials, want all of %d: %q", entries, sum, flood+1, k.Audit.Texts())
		case <-time.After(10 * time.Millisecond):
		}
	}
	all := strings.Join(k.Audit.Texts(), "\n")
	if !strings.Contains(all, "denied method=POST route=/v1/session/mute code=forbidden by: uid=65534 gid=65534 pid=") ||
		!strings.Contains(all, "route=/v1/views/remote/{participant} code=forbidden_origin") || strings.Contains(all, apitest.Canary) {
		t.Errorf("the audit is\n%s", all)
	}
}

// askFirst is ask, but does not wait for the end of an event stream.
func askFirst(t *testing.T, c *http.Client, method, path, body, contentType string) reply {
	t.Helper()
	if path != "/v1/events" && !strings.HasSuffix(path, "/level") || method != "GET" {
		return ask(t, c, method, path, body, "Content-Type", contentType)
	}
	req, err := http.NewRequestWithContext(deadline(t), method, "http://localhost"+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	r := reply{status: resp.StatusCode, header: resp.Header}
	if r.status != http.StatusOK {
		if r.body, err = io.ReadAll(resp.Body); err != nil {
			t.Fatal(err)
		}
	}
	return r
}

// TestRootNoBrowserGetsIn: whatever a page could send changes nothing and
// reads nothing, on every route.
func TestRootNoBrowserGetsIn(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	open(t, k, c)
	before := state(t, k)
	for _, bad := range [][]string{
		{"Origin", "http://localhost"},
		{"Origin", "null"},
		{"Origin", ""},
		{"Origin", "http://kioskd"},
		{"Referer", "http://kioskd/"},
		{"Referer", ""},
		{"Host", "127.0.0.1"},
		{"Host", "[::1]"},
		{"Host", "localhost."},
		{"Host", "localhost:80"},
		{"Host", "kioskd.example"},
		{"Host", "LOCALHOST"},
		{"Host", "evil.example"},
	} {
		for _, e := range everything {
			headers := append([]string{"Content-Type", e.contentType}, bad...)
			r := ask(t, c, e.method, e.path, strings.Replace(e.body, `"."`, `"valid"`, 1), headers...)
			if r.status != http.StatusForbidden {
				t.Errorf("%s %s with %v: %d", e.method, e.path, bad, r.status)
			}
			if e.method == "HEAD" {
				continue
			}
			if p := r.problem(t); p.Code != apitype.CodeForbiddenOrigin {
				t.Errorf("%s %s with %v: code %s", e.method, e.path, bad, p.Code)
			}
		}
	}
	if after := state(t, k); after != before {
		t.Errorf("something came of it: %s, before %s", after, before)
	}
	for _, host := range []string{"kioskd", "localhost"} {
		if r := ask(t, c, "GET", "/v1/status", "", "Host", host); r.status != http.StatusOK {
			t.Errorf("host %s: %d", host, r.status)
		}
	}
}

func TestRootAnswersAreNotForBrowsers(t *testing.T) {
	k := start(t)
	r := ask(t, clientOf(t, k, self), "GET", "/v1/status", "")
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store", "Access-Control-Allow-Origin": ""} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
}
