package backend_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"kioskd/daemon/backend"
)

// authority is a private CA as a clinic has one.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	file string
}

// certify makes a certificate by the template, signed by the parent; nil is
// itself.
func certify(t *testing.T, template *x509.Certificate, parent *authority) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template.NotBefore, template.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	template.BasicConstraintsValid = true
	signer, signKey := template, key
	if parent != nil {
		signer, signKey = parent.cert, parent.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, signer, &key.PublicKey, signKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600); err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key, file}
}

// All operations work with a server of a private CA and of no other, and nothing
// of a request reaches a server that is not trusted.
func TestPrivateAuthority(t *testing.T) {
	root := func(name string) *authority {
		return certify(t, &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, IsCA: true, KeyUsage: x509.KeyUsageCertSign}, nil)
	}
	ours, theirs := root("ours"), root("theirs")
	leaf := certify(t, &x509.Certificate{
		SerialNumber: big.NewInt(2), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, KeyUsage: x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, ours)
	backendOf := &clinic{}
	serve := func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodPut:
			writeScreen(t, w, goodDocument("").With("room.url", "wss://"+r.Host+"/signal"))
		case http.MethodPatch:
			writePatch(w, http.StatusOK, `{"timeout":60}`)
		default:
			backendOf.take(t, w, r)
		}
	}
	for name, tt := range map[string]struct {
		authority *authority
		trusted   bool
	}{"ours": {ours, true}, "theirs": {theirs, false}, "leaf of another": {certify(t, &x509.Certificate{SerialNumber: big.NewInt(3)}, theirs), false}} {
		asked := 0
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			asked++
			serve(w, r)
		}))
		server.TLS = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{leaf.cert.Raw}, PrivateKey: leaf.key}}, MinVersion: tls.VersionTLS13}
		server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
		server.StartTLS()
		s := clientOf(t, server, func(o *backend.Options) { o.CAFile = tt.authority.file })
		for task, do := range operations() {
			err := do(s, t)
			if tt.trusted && err != nil {
				t.Errorf("%s, %s: %v", name, task, err)
			}
			if !tt.trusted {
				unavailable(true, "certificate").check(t, err)
			}
		}
		if tt.trusted != (asked == 3) || !tt.trusted && asked != 0 {
			t.Errorf("%s: asked %d times", name, asked)
		}
	}
}
