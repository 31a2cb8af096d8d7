package backend_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"kioskd/daemon/backend"
)

// A 302 is followed with PUT, with the same headers, up to three times.
func TestRedirectIsFollowedWithPut(t *testing.T) {
	var hops []string
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		hops = append(hops, r.Method+" "+r.URL.Path+" "+r.Header.Get("X-Camera")+" "+r.Header.Get("Authorization"))
		switch {
		case strings.HasSuffix(r.URL.Path, "/video-room"):
			w.Header().Set("Location", "permissions?x=1#here")
		case strings.HasSuffix(r.URL.Path, "/permissions") && r.URL.RawQuery == "x=1":
			w.Header().Set("Location", "/two")
		case r.URL.Path == "/two":
			w.Header().Set("Location", "http://"+r.Host+"/three")
		default:
			writeScreen(t, w, goodDocument(r.Host))
			return
		}
		w.WriteHeader(http.StatusFound)
	})
	if _, err := s.open(t); err != nil {
		t.Fatal(err)
	}
	const rest = " Granted Bearer " + canaryToken
	path := "PUT /api/v3/appointments/" + canaryID
	wanted := []string{path + "/video-room" + rest, path + "/permissions" + rest, "PUT /two" + rest, "PUT /three" + rest}
	if strings.Join(hops, "\n") != strings.Join(wanted, "\n") {
		t.Errorf("went\n%s\nwant\n%s", strings.Join(hops, "\n"), strings.Join(wanted, "\n"))
	}
}

func TestRedirectLoopEnds(t *testing.T) {
	var requests atomic.Int32
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		requests.Add(1)
		http.Redirect(w, r, r.URL.Path, http.StatusFound)
	})
	_, err := s.open(t)
	unavailable(false, "more than 3 times").check(t, err)
	if requests.Load() != 4 {
		t.Errorf("asked %d times, want 4", requests.Load())
	}
}

// A redirect off the list reaches nobody, least of all with the token.
func TestRedirectOffTheList(t *testing.T) {
	var stolen atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stolen.Add(1)
		writeScreen(t, w, goodDocument(r.Host))
	}))
	defer other.Close()
	otherHost := other.Listener.Addr().String()
	_, otherPort, _ := strings.Cut(otherHost, ":")
	for location, says := range map[string]string{
		"":                                   "to no usable address",
		"http://" + otherHost + "/":          "not on the list",
		"//" + otherHost + "/":               "not on the list",
		"http://localhost:" + otherPort:      "not on the list",
		"http://[::1]:" + otherPort:          "not on the list",
		"http://u:p@" + otherHost + "/":      "not https",
		"https://clinic.example/" + canaryID: "not on the list",
		"http://clinic.example/":             "not https",
		"http://169.254.169.254/latest":      "not https",
		"file:///etc/passwd":                 "not https",
		"ftp://127.0.0.1/":                   "not https",
		"javascript:alert(1)":                "not https",
		"http:///x":                          "not https",
		"http://%zz/" + canaryID:             "to no usable address",
	} {
		s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", location)
			w.WriteHeader(http.StatusFound)
		})
		_, err := s.open(t)
		unavailable(false, says).check(t, err)
	}
	if stolen.Load() != 0 {
		t.Errorf("%d requests went to a host off the list", stolen.Load())
	}
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, other.URL+"/x", http.StatusFound)
	}, func(o *backend.Options) { o.AllowHosts = []string{strings.ToUpper(otherHost)} })
	// The room that the other host names is its own, thus allowed as well.
	if _, err := s.open(t); err != nil {
		t.Error(err)
	}
	if stolen.Load() != 1 {
		t.Errorf("the allowed host was asked %d times", stolen.Load())
	}
}

// From https there is no way back to plain http, not even to an allowed
// loopback host.
func TestRedirectKeepsTLS(t *testing.T) {
	var reached atomic.Int32
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { reached.Add(1) }))
	defer plain.Close()
	s := newTLSStage(t, func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, plain.URL, http.StatusFound)
	}, func(o *backend.Options) { o.AllowHosts = []string{plain.Listener.Addr().String()} })
	_, err := s.open(t)
	unavailable(false, "not https").check(t, err)
	if reached.Load() != 0 {
		t.Error("the plain host was asked")
	}
}
