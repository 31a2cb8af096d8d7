package backend_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"kioskd/daemon/backend"
)

// get sends one GET with the client of the rooms.
func get(t *testing.T, client *http.Client, url string) (*http.Response, error) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := client.Do(req)
	if err == nil {
		resp.Body.Close()
	}
	return resp, err
}

// The rooms' client trusts the backend's authorities and follows nothing: a
// room's address was checked, where it redirects to was not.
func TestHTTPTrustsAndStays(t *testing.T) {
	var hops atomic.Int32
	s := newTLSStage(t, func(w http.ResponseWriter, r *http.Request) {
		hops.Add(1)
		http.Redirect(w, r, "/elsewhere", http.StatusFound)
	})
	resp, err := get(t, s.HTTP(), s.server.URL)
	if err != nil || resp.StatusCode != http.StatusFound || hops.Load() != 1 {
		t.Errorf("got %v, %v after %d requests", resp, err, hops.Load())
	}
	stranger := newTLSStage(t, func(http.ResponseWriter, *http.Request) {}, func(o *backend.Options) { o.CAFile = "" })
	if _, err := get(t, stranger.HTTP(), stranger.server.URL); err == nil || !strings.Contains(err.Error(), "certificate") {
		t.Errorf("unknown authority: %v", err)
	}
}

// Plain http goes to loopback addresses, whatever the name says.
func TestHTTPKeepsPlainOnLoopback(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(http.StatusTeapot) })
	if resp, err := get(t, s.HTTP(), s.server.URL); err != nil || resp.StatusCode != http.StatusTeapot {
		t.Errorf("loopback: %v, %v", resp, err)
	}
	// 192.0.2.0/24 is for documentation (RFC 5737): nobody is there, and nobody
	// must be asked.
	for _, url := range []string{"http://192.0.2.1/", "http://0.0.0.0:80/", "http://[2001:db8::1]/"} {
		if _, err := get(t, s.HTTP(), url); err == nil || !strings.Contains(err.Error(), "loopback addresses only") {
			t.Errorf("%s: %v", url, err)
		}
	}
	// The server of another client is loopback, too: no list here.
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer other.Close()
	if _, err := get(t, s.HTTP(), other.URL); err != nil {
		t.Error(err)
	}
}
