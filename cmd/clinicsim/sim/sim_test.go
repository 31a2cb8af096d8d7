package sim_test

import (
	"context"
	"encoding/json"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kioskd/cmd/clinicsim/assets"
	"kioskd/cmd/clinicsim/sim"
	"kioskd/cmd/kioskscreen/begin"
)

func TestTokenFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	first := start(t, sim.Config{TokenFile: path})
	checkMode(t, path)
	if len(first.token) < 20 {
		t.Errorf("a token of %d characters", len(first.token))
	}
	again := start(t, sim.Config{TokenFile: path})
	if again.token != first.token {
		t.Error("the second run made another token")
	}
	again.openRoom(t, "A-1")
}

func checkMode(t *testing.T, path string) {
	t.Helper()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("%s has mode %v", filepath.Base(path), info.Mode())
	}
}

func TestLaunchFile(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "launch.json")
	t.Run("run", func(t *testing.T) {
		clinic := start(t, sim.Config{LaunchFile: path})
		checkMode(t, path)
		b, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var a sim.Addresses
		if err := json.Unmarshal(b, &a); err != nil || a != clinic.Addresses {
			t.Errorf("the file says %s (%v)", b, err)
		}
	})
	left, err := os.ReadDir(dir)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v (%v)", left, err)
	}
}

func TestRunRefuses(t *testing.T) {
	dir := t.TempDir()
	file := func(name, content string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	good := file("good", "secret\n")
	taken := start(t, sim.Config{})
	cases := []struct {
		cfg  sim.Config
		says string
	}{
		{sim.Config{Listen: "0.0.0.0:0", TokenFile: good}, "loopback"},
		{sim.Config{Listen: "example.org:80", TokenFile: good}, "loopback"},
		{sim.Config{Listen: "8080", TokenFile: good}, "ADDRESS:PORT"},
		{sim.Config{Listen: strings.TrimPrefix(taken.Backend, "http://"), TokenFile: good}, "cannot listen"},
		{sim.Config{}, "token file"},
		{sim.Config{TokenFile: dir}, "cannot read the token file"},
		{sim.Config{TokenFile: filepath.Join(dir, "no", "token")}, "cannot make the token file"},
		{sim.Config{TokenFile: file("empty", "\n")}, "cannot use the token"},
		{sim.Config{TokenFile: file("spaces", "CANARY two\n")}, "cannot use the token"},
		{sim.Config{TokenFile: file("long", strings.Repeat("x", 4097))}, "cannot use the token"},
		{sim.Config{TokenFile: good, LaunchFile: filepath.Join(dir, "no", "launch")}, "cannot write the launch file"},
		{sim.Config{TokenFile: good, LaunchFile: dir}, "cannot write the launch file"},
	}
	for _, c := range cases {
		err := sim.Run(context.Background(), c.cfg, func(sim.Addresses) { t.Errorf("ready with %+v", c.cfg) })
		if err == nil || !strings.HasPrefix(err.Error(), "cannot ") || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), "CANARY") {
			t.Errorf("%+v: %v", c.cfg, err)
		}
	}
}

func TestDoorOpensOnce(t *testing.T) {
	clinic := start(t, sim.Config{Name: "Dr. Żak"})
	for _, path := range []string{"/clinician", "/clinician/desk"} {
		if got := clinic.do(t, http.MethodGet, path, ""); got.status != http.StatusUnauthorized {
			t.Errorf("%s without the cookie: status %d", path, got.status)
		}
	}
	if got := clinic.do(t, http.MethodGet, "/open/AAAA", ""); got.status != http.StatusNotFound || !strings.Contains(got.body, "opens nothing") {
		t.Errorf("a wrong code: status %d", got.status)
	}
	got := clinic.do(t, http.MethodGet, clinic.Clinician, "")
	if got.status != http.StatusOK || got.url != clinic.Backend+"/clinician" || !strings.Contains(got.body, "<video") {
		t.Errorf("the right code led to %s, status %d", got.url, got.status)
	}
	var desk struct{ Token, Peer, Name string }
	if err := json.Unmarshal([]byte(clinic.do(t, http.MethodGet, "/clinician/desk", "").body), &desk); err != nil ||
		desk.Token == "" || desk.Peer == "" || desk.Name != "Dr. Żak" {
		t.Errorf("desk %q %q (%v)", desk.Peer, desk.Name, err)
	}
	got = clinic.do(t, http.MethodGet, clinic.Clinician, "")
	if got.status != http.StatusGone || !strings.Contains(got.body, "It works once") {
		t.Errorf("the second use: status %d, %s", got.status, got.body)
	}
}

func TestCookieIsStrict(t *testing.T) {
	clinic := start(t, sim.Config{})
	clinic.client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	got := clinic.do(t, http.MethodGet, clinic.Clinician, "")
	cookie := got.header.Get("Set-Cookie")
	for _, want := range []string{"HttpOnly", "SameSite=Strict", "Path=/"} {
		if !strings.Contains(cookie, want) {
			t.Errorf("the cookie has no %s", want)
		}
	}
	if got.status != http.StatusSeeOther || got.header.Get("Location") != "/clinician" {
		t.Errorf("status %d to %s", got.status, got.header.Get("Location"))
	}
}

func TestBrowserDefences(t *testing.T) {
	clinic := start(t, sim.Config{})
	host := strings.TrimPrefix(clinic.Backend, "http://")
	port := host[strings.LastIndexByte(host, ':'):]
	for _, name := range []string{"evil.example", "evil.example" + port, "localhost", "localhost." + port, "127.0.0.2" + port, "127.1" + port} {
		for _, path := range []string{"/clinician", "/sim/log", roomPath, "/assets/blocks.js"} {
			if got := clinic.do(t, http.MethodGet, path, "", "Host", name); got.status != http.StatusMisdirectedRequest {
				t.Errorf("host %s, %s: status %d", name, path, got.status)
			}
		}
	}
	got := clinic.do(t, http.MethodGet, "/assets/blocks.js", "", "Host", "localhost"+port)
	if got.status != http.StatusOK {
		t.Errorf("localhost: status %d", got.status)
	}
	policy := got.header.Get("Content-Security-Policy")
	if !strings.HasPrefix(policy, "default-src 'none'; script-src 'self' "+begin.Source()+"; style-src 'self'") || strings.Contains(policy, "unsafe") || strings.Contains(policy, "*") {
		t.Errorf("policy %q", policy)
	}
	for name, want := range map[string]string{"X-Content-Type-Options": "nosniff", "X-Frame-Options": "DENY", "Referrer-Policy": "no-referrer"} {
		if got.header.Get(name) != want {
			t.Errorf("%s is %q", name, got.header.Get(name))
		}
	}
}

func TestAssetsAreServed(t *testing.T) {
	clinic := start(t, sim.Config{})
	types := map[string]string{".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".html": "text/html"}
	err := fs.WalkDir(assets.Files(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		got := clinic.do(t, http.MethodGet, "/assets/"+path, "")
		want := types[filepath.Ext(path)]
		if got.status != http.StatusOK || want == "" || !strings.HasPrefix(got.header.Get("Content-Type"), want) {
			t.Errorf("%s: status %d, %s", path, got.status, got.header.Get("Content-Type"))
		}
		// The strict policy would block these without a word on the screen.
		if strings.Contains(got.body, " style=") || strings.Contains(got.body, " onclick=") {
			t.Errorf("%s has an inline style or handler", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if body := clinic.do(t, http.MethodGet, "/assets/blocks.js", "").body; body != assets.Blocks() || strings.Contains(body, "import ") {
		t.Error("blocks.js is not the text that tests inject, or imports something")
	}
}
