package sim

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"

	"kioskd/cmd/clinicsim/authority"
)

// listenTLS opens the second door, for kiosks that are not on this machine: the same
// clinic behind TLS, with a certificate of an authority that is made here and whose
// own certificate goes into CAFile. No TLSListen, no door: nil.
func listenTLS(ctx context.Context, cfg Config) (net.Listener, error) {
	if cfg.TLSListen == "" {
		return nil, nil //nolint:nilnil // no door is no failure
	}
	host, _, err := net.SplitHostPort(cfg.TLSListen)
	if err != nil || net.ParseIP(host) == nil || net.ParseIP(host).IsUnspecified() {
		return nil, fmt.Errorf("cannot listen on %q: want ADDRESS:PORT, e.g. 192.0.2.1:0; the certificate names the address", cfg.TLSListen)
	}
	if cfg.CAFile == "" {
		return nil, errors.New("cannot listen with TLS: nobody could trust it, name a file for the authority's certificate with -ca")
	}
	made, err := authority.New(net.ParseIP(host))
	if err != nil {
		return nil, err
	}
	pair, err := tls.X509KeyPair(made.Cert, made.Key)
	if err != nil {
		return nil, fmt.Errorf("cannot use the certificate: %w", err)
	}
	if err := os.WriteFile(cfg.CAFile, made.CA, 0o644); err != nil { //nolint:gosec // a certificate is for everybody
		return nil, fmt.Errorf("cannot write the authority's certificate: %w", err)
	}
	plain, err := (&net.ListenConfig{}).Listen(ctx, "tcp", cfg.TLSListen)
	if err != nil {
		return nil, fmt.Errorf("cannot listen on %s: %w", cfg.TLSListen, err)
	}
	return tls.NewListener(plain, &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}), nil
}
