package api

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"kioskd/daemon/api/peer"
)

func TestEveryRouteHasARoleAndAHandler(t *testing.T) {
	seen := map[string]bool{}
	for _, r := range (&Server{}).table() {
		name := r.method + " " + r.path
		if r.role < peer.Screen || r.handle == nil || !strings.HasPrefix(r.path, "/v1/") {
			t.Errorf("row %s is not whole: role %v", name, r.role)
		}
		if seen[name] {
			t.Errorf("row %s is there twice", name)
		}
		seen[name] = true
	}
}

func TestMatch(t *testing.T) {
	long := strings.Repeat("a", 128)
	for _, c := range []struct {
		pattern, path, want string // want: the value, "-" no match
	}{
		{"/v1/status", "/v1/status", ""},
		{"/v1/status", "/v1/status/", "-"},
		{"/v1/status", "/v1//status", "-"},
		{"/v1/status", "/v1/Status", "-"},
		{"/v1/status", "", "-"},
		{"/v1/status", "*", "-"},
		{"/v1/views/{id}", "/v1/views/a-b_c.1", "a-b_c.1"},
		{"/v1/views/{id}", "/v1/views/", "-"},
		{"/v1/views/{id}", "/v1/views/.", "-"},
		{"/v1/views/{id}", "/v1/views/..", "-"},
		{"/v1/views/{id}", "/v1/views/a b", "-"},
		{"/v1/views/{id}", "/v1/views/é", "-"},
		{"/v1/views/{id}", "/v1/views/a/b", "-"},
		{"/v1/views/{id}", "/v1/views/" + long, long},
		{"/v1/views/{id}", "/v1/views/" + long + "a", "-"},
	} {
		values, ok := match(c.pattern, c.path)
		if got := values["id"]; ok != (c.want != "-") || ok && got != c.want {
			t.Errorf("match(%q, %q) is %q, %v; want %q", c.pattern, c.path, got, ok, c.want)
		}
	}
}

// Any path finds a row or none, without a panic, and a found value is an identifier.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"/v1/views/x", "/v1/views/remote/p1", "//", "/v1/views/%2e", "\x00"} {
		f.Add(s)
	}
	s := &Server{}
	s.routes = s.table()
	f.Fuzz(func(t *testing.T, path string) {
		r := httptest.NewRequestWithContext(t.Context(), http.MethodPatch, "/", nil)
		r.URL.Path = path
		if row, _ := s.find(r); row >= 0 && !identifier(r.PathValue("id")) {
			t.Errorf("path %q found %s with id %q", path, s.routes[row].path, r.PathValue("id"))
		}
	})
}
