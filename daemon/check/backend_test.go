package check_test

import (
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
	"kioskd/daemon/check"
	"kioskd/daemon/check/checktest"
)

func ok(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusMethodNotAllowed) }

// examined runs all checks of a backend, by code.
func examined(t *testing.T, o backend.Options) map[string]apitype.Check {
	t.Helper()
	if o.Token == nil {
		o.Token = func() (string, error) { return "token", nil }
	}
	c, err := backend.New(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	got, err := check.New(check.Options{
		Texts: texts(t, "en"), Backend: c.Probe, ConfigFile: "/etc/kioskd/kioskd.toml", TokenFile: "/etc/kioskd/backend-token",
	}).Run(t.Context(), apitype.ChecksRequest{}, "")
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]apitype.Check{}
	for _, c := range got.Checks {
		whole(t, c)
		out[c.Code] = c
	}
	return out
}

// TestBackendFaults brings each fault about with a real server, and asks for its name and for
// the command that mends it.
func TestBackendFaults(t *testing.T) {
	const (
		edit  = "sudoedit /etc/kioskd/kioskd.toml && systemctl restart kioskd"
		token = "install -m 600 /dev/stdin /etc/kioskd/backend-token && systemctl restart kioskd"
	)
	ours, theirs := checktest.NewAuthority(t), checktest.NewAuthority(t)
	good := ours.Sign(t, -1, 90, "127.0.0.1")
	closed := "https://127.0.0.1:9"
	proxied := newProxy(t)
	for _, tt := range []struct {
		name string
		o    backend.Options
		want string // code result fault
		with string // in the command
	}{
		{"well", backend.Options{URL: checktest.Server(t, good, ok), CAFile: ours.File}, "backend pass ", ""},
		{"well, token", backend.Options{URL: checktest.Server(t, good, ok), CAFile: ours.File}, "token pass ", ""},
		{"well, clock", backend.Options{URL: checktest.Server(t, good, ok), CAFile: ours.File}, "clock pass ", ""},
		{"expired", backend.Options{URL: checktest.Server(t, ours.Sign(t, -90, -1, "127.0.0.1"), ok), CAFile: ours.File}, "backend fail tls_expired", "openssl s_client -connect 127.0.0.1:"},
		{"not yet", backend.Options{URL: checktest.Server(t, ours.Sign(t, 1, 90, "127.0.0.1"), ok), CAFile: ours.File}, "backend fail tls_expired", "-dates"},
		{"ends soon", backend.Options{URL: checktest.Server(t, ours.Sign(t, -1, 3, "127.0.0.1"), ok), CAFile: ours.File}, "backend warn tls_expires_soon", "openssl s_client"},
		{"another authority", backend.Options{URL: checktest.Server(t, theirs.Sign(t, -1, 90, "127.0.0.1"), ok), CAFile: ours.File}, "backend fail tls_authority", edit},
		{"the system's authorities", backend.Options{URL: checktest.Server(t, good, ok)}, "backend fail tls_authority", edit},
		{"another name", backend.Options{URL: checktest.Server(t, ours.Sign(t, -1, 90, "clinic.example"), ok), CAFile: ours.File}, "backend fail tls_name", edit},
		{"no token", backend.Options{URL: checktest.Server(t, good, ok), CAFile: ours.File, Token: backend.FileToken("/nowhere")}, "token fail token_missing", token},
		{"token not for the daemon", backend.Options{URL: closed, Token: func() (string, error) { return "", fs.ErrPermission }}, "token fail token_missing", "chown kioskd /etc/kioskd/backend-token"},
		{"token refused", backend.Options{URL: checktest.Server(t, good, checktest.Status(401)), CAFile: ours.File}, "token fail token_refused", token},
		{"token refused, backend well", backend.Options{URL: checktest.Server(t, good, checktest.Status(401)), CAFile: ours.File}, "backend pass ", ""},
		{"out of order", backend.Options{URL: checktest.Server(t, good, checktest.Status(503)), CAFile: ours.File}, "backend fail backend_broken", "curl -sv https://127.0.0.1:"},
		{"nobody listens", backend.Options{URL: closed}, "backend fail backend_closed", "curl -sv https://127.0.0.1:9/"},
		{"nobody listens, token", backend.Options{URL: closed}, "token skip needs_backend", ""},
		{"no TLS there", backend.Options{URL: strings.Replace(plain(t), "http:", "https:", 1)}, "backend fail backend_silent", "curl -sv"},
		{"no such name", backend.Options{URL: "https://kioskd-test.invalid"}, "dns fail dns_failed", "getent hosts kioskd-test.invalid"},
		{"no such name, backend", backend.Options{URL: "https://kioskd-test.invalid"}, "backend skip needs_dns", ""},
		{"an address", backend.Options{URL: closed}, "dns skip dns_not_needed", ""},
		{"a clock of last year", backend.Options{URL: checktest.Server(t, good, checktest.Dated(-365*24*time.Hour)), CAFile: ours.File}, "clock fail clock_ahead", "timedatectl set-ntp true"},
		{"proxy refuses", backend.Options{URL: "https://clinic.invalid", Proxy: proxied}, "backend fail proxy_failed", edit},
		{"proxy resolves", backend.Options{URL: "https://clinic.invalid", Proxy: proxied}, "dns skip dns_proxied", ""},
		{"proxy unknown", backend.Options{URL: "https://clinic.invalid", Proxy: "http://kioskd-proxy.invalid:3128"}, "backend fail proxy_failed", edit},
	} {
		code, rest, _ := strings.Cut(tt.want, " ")
		result, fault, _ := strings.Cut(rest, " ")
		got := examined(t, tt.o)[code]
		if got.Result != result || got.Fault != fault || !strings.Contains(got.Command, tt.with) || tt.with == "" && got.Command != "" {
			t.Errorf("%s: got %+v, want %s, command with %q", tt.name, got, tt.want, tt.with)
		}
	}
}

// TestTokenCommands: no command overwrites a token that only cannot be read, or writes to
// where it would be of no use.
func TestTokenCommands(t *testing.T) {
	const sealed = "/etc/kioskd/backend-token.sealed"
	for _, tt := range []struct {
		name  string
		o     check.Options
		probe backend.Probe
		want  string // result fault command
	}{
		{"not for us", check.Options{Outside: true}, backend.Probe{TokenErr: fs.ErrPermission}, "skip token_hidden sudo kioskctl doctor"},
		{"not for the daemon", check.Options{}, backend.Probe{TokenErr: fs.ErrPermission}, "fail token_missing chown kioskd /etc/kioskd/backend-token"},
		{"none", check.Options{Outside: true}, backend.Probe{TokenErr: fs.ErrNotExist}, "fail token_missing install -m 600 /dev/stdin /etc/kioskd/backend-token && systemctl restart kioskd"},
		{"sealed", check.Options{Outside: true, TokenSealed: true, TokenFile: sealed}, backend.Probe{TokenErr: fs.ErrNotExist}, "skip token_sealed "},
		{
			"sealed, refused",
			check.Options{TokenSealed: true, TokenFile: sealed},
			backend.Probe{Status: http.StatusUnauthorized},
			"fail token_refused systemd-creds encrypt --name=backend-token - " + sealed + " && systemctl restart kioskd",
		},
	} {
		tt.o.Backend = func(context.Context) backend.Probe { return tt.probe }
		if tt.o.TokenFile == "" {
			tt.o.TokenFile = "/etc/kioskd/backend-token"
		}
		got := one(t, tt.o, apitype.CheckToken)
		if have := got.Result + " " + got.Fault + " " + got.Command; have != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, have, tt.want)
		}
	}
}

func plain(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(http.HandlerFunc(ok))
	t.Cleanup(s.Close)
	return s.URL
}

// newProxy is one that lets nobody through.
func newProxy(t *testing.T) string {
	t.Helper()
	s := httptest.NewServer(checktest.Status(http.StatusForbidden))
	t.Cleanup(s.Close)
	return s.URL
}
