package check_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
	"kioskd/daemon/check"
)

// authority signs certificates for tests.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string // PEM
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "Clinic CA"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour * 9000), NotAfter: time.Now().Add(9000 * time.Hour), KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	a := &authority{key: key, file: filepath.Join(t.TempDir(), "ca.pem")}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(a.file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return a
}

// sign makes a certificate for 127.0.0.1 or a name, good from and until then.
func (a *authority) sign(t *testing.T, from, until time.Duration, name string) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(2), NotBefore: time.Now().Add(from), NotAfter: time.Now().Add(until),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	if ip := net.ParseIP(name); ip != nil {
		template.IPAddresses = []net.IP{ip}
	} else {
		template.DNSNames = []string{name}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// server is a backend with a certificate.
func server(t *testing.T, cert tls.Certificate, answer http.HandlerFunc) string {
	t.Helper()
	s := httptest.NewUnstartedServer(answer)
	s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	s.Config.ErrorLog = log.New(io.Discard, "", 0)
	s.StartTLS()
	t.Cleanup(s.Close)
	return s.URL
}

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
		day   = 24 * time.Hour
	)
	ours, theirs := newAuthority(t), newAuthority(t)
	good := ours.sign(t, -day, 90*day, "127.0.0.1")
	closed := "https://127.0.0.1:9"
	proxied := newProxy(t)
	for _, tt := range []struct {
		name string
		o    backend.Options
		want string // code result fault
		with string // in the command
	}{
		{"well", backend.Options{URL: server(t, good, ok), CAFile: ours.file}, "backend pass ", ""},
		{"well, token", backend.Options{URL: server(t, good, ok), CAFile: ours.file}, "token pass ", ""},
		{"well, clock", backend.Options{URL: server(t, good, ok), CAFile: ours.file}, "clock pass ", ""},
		{"expired", backend.Options{URL: server(t, ours.sign(t, -90*day, -day, "127.0.0.1"), ok), CAFile: ours.file}, "backend fail tls_expired", "openssl s_client -connect 127.0.0.1:"},
		{"not yet", backend.Options{URL: server(t, ours.sign(t, day, 90*day, "127.0.0.1"), ok), CAFile: ours.file}, "backend fail tls_expired", "-dates"},
		{"ends soon", backend.Options{URL: server(t, ours.sign(t, -day, 3*day, "127.0.0.1"), ok), CAFile: ours.file}, "backend warn tls_expires_soon", "openssl s_client"},
		{"another authority", backend.Options{URL: server(t, theirs.sign(t, -day, 90*day, "127.0.0.1"), ok), CAFile: ours.file}, "backend fail tls_authority", edit},
		{"the system's authorities", backend.Options{URL: server(t, good, ok)}, "backend fail tls_authority", edit},
		{"another name", backend.Options{URL: server(t, ours.sign(t, -day, 90*day, "clinic.example"), ok), CAFile: ours.file}, "backend fail tls_name", edit},
		{"no token", backend.Options{URL: server(t, good, ok), CAFile: ours.file, Token: backend.FileToken("/nowhere")}, "token fail token_missing", token},
		{"token refused", backend.Options{URL: server(t, good, status(401)), CAFile: ours.file}, "token fail token_refused", token},
		{"token refused, backend well", backend.Options{URL: server(t, good, status(401)), CAFile: ours.file}, "backend pass ", ""},
		{"out of order", backend.Options{URL: server(t, good, status(503)), CAFile: ours.file}, "backend fail backend_broken", "curl -sv https://127.0.0.1:"},
		{"nobody listens", backend.Options{URL: closed}, "backend fail backend_closed", "curl -sv https://127.0.0.1:9/"},
		{"nobody listens, token", backend.Options{URL: closed}, "token skip needs_backend", ""},
		{"no TLS there", backend.Options{URL: strings.Replace(plain(t), "http:", "https:", 1)}, "backend fail backend_silent", "curl -sv"},
		{"no such name", backend.Options{URL: "https://kioskd-test.invalid"}, "dns fail dns_failed", "getent hosts kioskd-test.invalid"},
		{"no such name, backend", backend.Options{URL: "https://kioskd-test.invalid"}, "backend skip needs_dns", ""},
		{"an address", backend.Options{URL: closed}, "dns skip dns_not_needed", ""},
		{"a clock of last year", backend.Options{URL: server(t, good, dated(-365*day)), CAFile: ours.file}, "clock fail clock_ahead", "timedatectl set-ntp true"},
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

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// dated answers with a Date that is off.
func dated(off time.Duration) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", time.Now().Add(off).UTC().Format(http.TimeFormat))
		w.WriteHeader(http.StatusMethodNotAllowed)
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
	s := httptest.NewServer(status(http.StatusForbidden))
	t.Cleanup(s.Close)
	return s.URL
}
