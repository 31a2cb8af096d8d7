package api_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

func TestRootWHEP(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	r := ask(t, c, "POST", "/v1/views/self", apitest.Offer, "Content-Type", sdpType)
	for name, want := range map[string]string{
		"Content-Type": sdpType, "Location": "/v1/views/v1", "Etag": `"v1"`, "Accept-Patch": fragmentType,
	} {
		if got := r.header.Get(name); got != want {
			t.Errorf("%s is %q, want %q", name, got, want)
		}
	}
	if r.status != http.StatusCreated || string(r.body) != strings.TrimSpace(apitest.Answer) {
		t.Errorf("the offer was answered %v", r)
	}
	for _, p := range []struct {
		name, id, ifMatch string
		status            int
		code              string
	}{
		{"without If-Match", "v1", "", 204, ""},
		{"with the ETag", "v1", `"v1"`, 204, ""},
		{"of another ICE session", "v1", `"v0"`, 412, apitype.CodeStaleView},
		{"for an ICE restart", "v1", "*", 422, apitype.CodeNoICERestart},
		{"of no view", "v2", "", 404, apitype.CodeNotFound},
	} {
		headers := []string{"Content-Type", fragmentType}
		if p.ifMatch != "" {
			headers = append(headers, "If-Match", p.ifMatch)
		}
		r := ask(t, c, "PATCH", "/v1/views/"+p.id, "a=ice-ufrag:x", headers...)
		if r.status != p.status {
			t.Errorf("%s: %d, want %d", p.name, r.status, p.status)
		} else if p.code != "" && r.problem(t).Code != p.code {
			t.Errorf("%s: %v", p.name, r)
		}
	}
	if r := ask(t, c, "DELETE", "/v1/views/v1", ""); r.status != http.StatusOK || len(r.body) > 0 {
		t.Errorf("delete: %v", r)
	}
	if r := ask(t, c, "DELETE", "/v1/views/v1", ""); r.status != http.StatusNotFound {
		t.Errorf("delete again: %v", r)
	}
	if r := ask(t, c, "POST", "/v1/views/remote/p-1", apitest.Offer, "Content-Type", sdpType); r.status != http.StatusCreated {
		t.Errorf("remote: %v", r)
	}
	want := []string{"create self", "patch v1 a=ice-ufrag:x", "patch v1 a=ice-ufrag:x", "delete v1", "create remote/p-1"}
	if !slices.Equal(k.Views.Trail, want) {
		t.Errorf("the views were asked %q, want %q", k.Views.Trail, want)
	}
}

func TestRootViewsThatFail(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	for _, f := range []struct {
		who    string
		status int
		code   string
	}{
		{"nobody", http.StatusNotFound, apitype.CodeNotFound},
		{"broken", http.StatusInternalServerError, apitype.CodeInternal},
		{"panic", http.StatusInternalServerError, apitype.CodeInternal},
	} {
		r := ask(t, c, "POST", "/v1/views/remote/"+f.who, apitest.Offer, "Content-Type", sdpType)
		if p := r.problem(t); r.status != f.status || p.Code != f.code || strings.Contains(string(r.body), "secret inside") {
			t.Errorf("%s: %v, want %d %s without the cause", f.who, r, f.status, f.code)
		}
	}
	log := k.Log.String()
	if !strings.Contains(log, "secret inside") || !strings.Contains(log, "a view went mad") || !strings.Contains(log, "views.go") {
		t.Errorf("the causes are not in the log: %s", log)
	}
	if r := ask(t, c, "GET", "/v1/health", ""); r.status != http.StatusOK {
		t.Errorf("after a panic: %v", r)
	}
}
