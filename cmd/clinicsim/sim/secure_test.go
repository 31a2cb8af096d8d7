package sim_test

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"kioskd/cmd/clinicsim/sim"
)

// A kiosk on another machine reaches the clinic over TLS, trusts its authority and no
// other, and is sent to the signalling behind TLS too.
func TestTLS(t *testing.T) {
	ca := filepath.Join(t.TempDir(), "ca.pem")
	r := start(t, sim.Config{TLSListen: "127.0.0.1:0", CAFile: ca})
	if !strings.HasPrefix(r.Backend, "https://127.0.0.1:") || !strings.HasPrefix(r.Local, "http://127.0.0.1:") {
		t.Fatalf("the addresses are %s and %s", r.Backend, r.Local)
	}
	pem, err := os.ReadFile(ca)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		t.Fatal("the authority's file holds no certificate")
	}
	ask := func(base string, roots *x509.CertPool) (*http.Response, error) {
		transport := &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
		defer transport.CloseIdleConnections()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, base+"/api/v3/appointments/a-1/video-room", http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Authorization", "Bearer "+r.token)
		for _, h := range [][2]string{{"X-Camera", "Granted"}, {"X-Microphone", "Granted"}, {"X-Device", "Desktop"}} {
			req.Header.Set(h[0], h[1])
		}
		return (&http.Client{Transport: transport, Timeout: wait}).Do(req)
	}
	for base, want := range map[string]string{r.Backend: "wss://" + strings.TrimPrefix(r.Backend, "https://"), r.Local: "ws://" + strings.TrimPrefix(r.Local, "http://")} {
		resp, err := ask(base, roots)
		if err != nil {
			t.Fatal(err)
		}
		var screen struct{ Room struct{ URL string } }
		err = json.NewDecoder(resp.Body).Decode(&screen)
		_ = resp.Body.Close()
		if err != nil || screen.Room.URL != want+"/signal" {
			t.Errorf("over %s the room is %q (%v)", base, screen.Room.URL, err)
		}
	}
	if resp, err := ask(r.Backend, nil); err == nil {
		_ = resp.Body.Close()
		t.Error("a certificate of nobody's was trusted")
	}
}

func TestTLSRefusals(t *testing.T) {
	good := filepath.Join(t.TempDir(), "token")
	for _, c := range []struct {
		cfg  sim.Config
		want string
	}{
		{sim.Config{TokenFile: good, TLSListen: "127.0.0.1:0"}, "-ca"},
		{sim.Config{TokenFile: good, TLSListen: "example.org:1", CAFile: good + ".ca"}, "ADDRESS:PORT"},
		{sim.Config{TokenFile: good, TLSListen: "0.0.0.0:1", CAFile: good + ".ca"}, "names the address"},
		{sim.Config{TokenFile: good, TLSListen: "127.0.0.1:0", CAFile: filepath.Join(good, "x")}, "authority"},
	} {
		if err := sim.Run(t.Context(), c.cfg, nil); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%+v gave %v, want something of %q", c.cfg, err, c.want)
		}
	}
}
