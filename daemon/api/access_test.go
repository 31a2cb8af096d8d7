package api_test

import (
	"net/http"
	"strings"
	"testing"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

// everything is each route of the API with a request that it takes, and paths
// and methods that there are not.
var everything = []struct {
	method, path, body, contentType string
	status                          int // for who may; no session, no view
}{
	{"GET", "/v1/status", "", "", 200},
	{"GET", "/v1/events", "", "", 200},
	{"GET", "/v1/session", "", "", 200},
	{"PUT", "/v1/session", `{"appointment_id":"."}`, jsonType, 400},
	{"POST", "/v1/session/mute", "", "", 409},
	{"POST", "/v1/session/disable-video", "", "", 409},
	{"POST", "/v1/session/end-call", "", "", 409},
	{"POST", "/v1/views/self", apitest.Offer, sdpType, 201},
	{"POST", "/v1/views/remote/p1", apitest.Offer, sdpType, 201},
	{"PATCH", "/v1/views/gone", "a=x", fragmentType, 404},
	{"DELETE", "/v1/views/gone", "", "", 404},
	{"GET", "/v1/devices", "", "", 200},
	{"GET", "/v1/health", "", "", 200},

	{"GET", "/", "", "", 404},
	{"GET", "/v1", "", "", 404},
	{"GET", "/v2/status", "", "", 404},
	{"GET", "/v1/views", "", "", 404},
	{"POST", "/v1/views/remote/a%2Fb", apitest.Offer, sdpType, 404},
	{"GET", "/v1/../etc/passwd", "", "", 404},
	{"HEAD", "/v1/status", "", "", 405},
	{"POST", "/v1/status", "", "", 405},
	{"OPTIONS", "/v1/session", "", "", 405},
	{"TRACE", "/v1/session", "", "", 405},
	{"GET", "/v1/views/self", "", "", 405},
	{"PUT", "/v1/session/mute", "", "", 405},
}

// roles are the ways to be somebody, and whether a screen's route lets one in.
var roles = []struct {
	name string
	user apitest.User
	in   bool
}{
	{"root", apitest.User{}, true},
	{"screen", apitest.User{UID: 61011, GID: apitest.ScreenGID}, true},
	{"screen by supplementary group", apitest.User{UID: 61012, GID: 61012, Groups: []uint32{apitest.ScreenGID}}, true},
	{"technician", apitest.User{UID: 61013, GID: apitest.ScreenGID, Groups: []uint32{apitest.TechnicianGID}}, true},
	{"technician by supplementary groups", apitest.User{UID: 61014, GID: 61014, Groups: []uint32{apitest.ScreenGID, apitest.TechnicianGID}}, true},
	{"wrong group", apitest.User{UID: 61015, GID: 61015, Groups: []uint32{1, 2, 3}}, false},
	{"nobody", apitest.User{UID: 65534, GID: 65534}, false},
	{"root's group only", apitest.User{UID: 61016, GID: 0, Groups: []uint32{0}}, false},
}

// TestRootEveryRouteForEveryRole asks everything as everybody, over a real
// socket with the kernel's word for who asks.
func TestRootEveryRouteForEveryRole(t *testing.T) {
	k := start(t)
	for _, who := range roles {
		t.Run(who.name, func(t *testing.T) {
			c := clientOf(t, k, who.user)
			for _, e := range everything {
				want := e.status
				if !who.in {
					want = http.StatusForbidden
				}
				r := askFirst(t, c, e.method, e.path, e.body, e.contentType)
				if r.status != want {
					t.Errorf("%s %s: %d, want %d", e.method, e.path, r.status, want)
				}
				if want == http.StatusMethodNotAllowed && r.header.Get("Allow") == "" {
					t.Errorf("%s %s: no Allow", e.method, e.path)
				}
				if want >= 400 && e.method != "HEAD" {
					if p := r.problem(t); !who.in && p.Code != apitype.CodeForbidden {
						t.Errorf("%s %s: code %s", e.method, e.path, p.Code)
					}
				}
			}
		})
	}
	if m := k.Runner.Model(); m.Exists() {
		t.Errorf("a session came out of it: %v", m.State)
	}
}

// askFirst is ask, but does not wait for the end of an event stream.
func askFirst(t *testing.T, c *http.Client, method, path, body, contentType string) reply {
	t.Helper()
	if path != "/v1/events" {
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
		r.body = make([]byte, resp.ContentLength)
		if _, err := resp.Body.Read(r.body); err != nil && len(r.body) == 0 {
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
	if m := k.Runner.Model(); m.Exists() || len(k.Views.Trail) > 0 {
		t.Errorf("something came of it: %v, %v", m.State, k.Views.Trail)
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
