package reach_test

import (
	"net/url"
	"strings"
	"testing"

	"kioskd/daemon/backend/reach"
)

// Ports belong to the list: on loopback they tell services apart.
func TestAllow(t *testing.T) {
	for _, tt := range []struct {
		url, entry string
		allowed    bool
	}{
		{"https://clinic.example/x", "other.example", true}, // the base's own
		{"https://clinic.example:443/x", "other.example", true},
		{"wss://clinic.example/x", "other.example", true},
		{"https://clinic.example:444/x", "other.example", false},
		{"http://clinic.example/x", "other.example", false},
		{"wss://rooms.example/x", "rooms.example", true},
		{"wss://rooms.example:443/x", "rooms.example", true},
		{"wss://ROOMS.example/x", "Rooms.Example", true},
		{"wss://rooms.example/x", "rooms.example:443", true},
		{"wss://rooms.example:8443/x", "rooms.example", false},
		{"wss://rooms.example:8443/x", "rooms.example:8443", true},
		{"wss://evil-rooms.example/x", "rooms.example", false},
		{"wss://rooms.example.evil.example/x", "rooms.example", false},
		{"wss://[2001:db8::1]/x", "2001:db8::1", true},
		{"wss://[2001:db8::1]:8443/x", "[2001:db8::1]:8443", true},
		{"ws://localhost/x", "localhost", true},
		{"http://localhost:80/x", "localhost", true},
		{"ws://localhost:8080/x", "localhost", false},
		{"ws://rooms.example/x", "rooms.example", false},
		{"http://127.0.0.1/x", "127.0.0.1", true},
	} {
		list, err := reach.NewHosts(address(t, "https://clinic.example/base"), []string{tt.entry})
		if err != nil {
			t.Fatal(err)
		}
		if list.Allow(address(t, tt.url)) != tt.allowed {
			t.Errorf("%s with %q on the list is not %v", tt.url, tt.entry, tt.allowed)
		}
	}
	if (reach.Hosts{}).Allow(address(t, "https://clinic.example")) {
		t.Error("the zero list allows a host")
	}
}

func TestNewHostsRefuses(t *testing.T) {
	for _, entry := range []string{"", "a/b", "a:1:2", ":443", "a@b", "a b", "a?", "a#b", "[::1"} {
		_, err := reach.NewHosts(address(t, "https://clinic.example"), []string{"good.example", entry})
		if err == nil || !strings.HasPrefix(err.Error(), "cannot ") || !strings.Contains(err.Error(), "backend.allow_hosts") {
			t.Errorf("%q: %v", entry, err)
		}
	}
}

func TestResolve(t *testing.T) {
	const secure, plain = "https://clinic.example/a/b?c=d", "http://127.0.0.1:8080/a/b"
	for _, tt := range []struct{ from, reference, want, problem string }{
		{secure, "c", "https://clinic.example/a/c", ""},
		{secure, "../c?x=1#y", "https://clinic.example/c?x=1", ""},
		{secure, "?x", "https://clinic.example/a/b?x", ""},
		{secure, "#x", "https://clinic.example/a/b?c=d", ""},
		{secure, "//rooms.example/x", "https://rooms.example/x", ""},
		{secure, "HTTPS://CLINIC.example/x", "https://CLINIC.example/x", ""},
		{plain, "/x", "http://127.0.0.1:8080/x", ""},
		{plain, "https://rooms.example/x", "https://rooms.example/x", ""},
		{plain, "http://127.0.0.1:8080/x", "http://127.0.0.1:8080/x", ""},
		{secure, "", "", "no usable"},
		{secure, "http://%zz", "", "no usable"},
		{secure, "a\x00b", "", "no usable"},
		{secure, "http://127.0.0.1:8080/x", "", "not https"},
		{secure, "http://clinic.example/x", "", "not https"},
		{secure, "file:///etc/passwd", "", "not https"},
		{secure, "https:///x", "", "not https"},
		{secure, "https:x", "", "not https"},
		{secure, "javascript:alert(1)", "", "not https"},
		{secure, "https://u@clinic.example/", "", "not https"},
		{secure, "https://u:p@rooms.example/", "", "not https"},
		{secure, "https://elsewhere.example/", "", "not on the list"},
		{secure, "https://clinic.example:8443/", "", "not on the list"},
		{plain, "http://127.0.0.1:8081/x", "", "not on the list"},
		{plain, "http://[::1]:8080/x", "", "not on the list"},
		{plain, "http://localhost:8080/x", "", "not on the list"},
		{plain, "http://169.254.169.254/latest", "", "not https"},
	} {
		list, err := reach.NewHosts(address(t, tt.from), []string{"rooms.example", "127.0.0.1:8080"})
		if err != nil {
			t.Fatal(err)
		}
		got, problem := list.Resolve(address(t, tt.from), tt.reference)
		if tt.problem != "" {
			if got != nil || !strings.Contains(problem, tt.problem) || strings.Contains(problem, "example") {
				t.Errorf("%q: %v, %q", tt.reference, got, problem)
			}
			continue
		}
		if problem != "" || got.String() != tt.want {
			t.Errorf("%q: %v, %q; want %s", tt.reference, got, problem, tt.want)
		}
	}
}

func TestLoopback(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "LocalHost": true, "127.0.0.1": true, "127.9.9.9": true, "::1": true, "::ffff:127.0.0.1": true,
		"": false, "localhost.example": false, "0.0.0.0": false, "::": false, "128.0.0.1": false, "127.1": false, "::ffff:10.0.0.1": false,
	} {
		if reach.Loopback(host) != want {
			t.Errorf("%q is not %v", host, want)
		}
		if u := (&url.URL{Scheme: "http", Host: "[" + host + "]:1"}); strings.Contains(host, ":") && reach.Web(u) != want {
			t.Errorf("http to %q is not %v", u.Host, want)
		}
	}
}
