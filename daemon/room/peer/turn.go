package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"
)

// turnWithin bounds the way to a TURN server over TCP, its TLS included.
const turnWithin = 5 * time.Second

// turnDialer connects to TURN servers over TCP and TLS (RFC 8656, section 3.1). Pion
// has no place for trusted authorities: it leaves to the dialer what it is given, TLS
// as well, and says only where to.
type turnDialer struct {
	roots  *x509.CertPool  // nil: the system's
	secure map[string]bool // HOST:PORT that wants TLS
}

func newTurnDialer(servers []webrtc.ICEServer, roots *x509.CertPool) *turnDialer {
	d := &turnDialer{roots: roots, secure: map[string]bool{}}
	for _, s := range servers {
		for _, url := range s.URLs {
			if at, ok := strings.CutPrefix(strings.ToLower(url), "turns:"); ok {
				d.secure[turnsAddress(at)] = true
			}
		}
	}
	return d
}

// turnsAddress is the HOST:PORT of what stands behind "turns:" (RFC 7065, section 3.1).
func turnsAddress(at string) string {
	const port = "5349"
	at, _, _ = strings.Cut(at, "?")
	if host, p, err := net.SplitHostPort(at); err == nil {
		return net.JoinHostPort(host, p)
	}
	return net.JoinHostPort(strings.Trim(at, "[]"), port)
}

// Dial implements proxy.Dialer of golang.org/x/net.
func (d *turnDialer) Dial(network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(context.Background(), turnWithin)
	defer cancel()
	var plain net.Dialer
	conn, err := plain.DialContext(ctx, network, address)
	if err != nil {
		return nil, fmt.Errorf("cannot reach the TURN server: %w", err)
	}
	if !d.secure[strings.ToLower(address)] {
		return newStream(conn, conn, streamStuck), nil
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("cannot tell the TURN server's name: %w", err)
	}
	secure := tls.Client(conn, &tls.Config{ServerName: host, RootCAs: d.roots, MinVersion: tls.VersionTLS12})
	if err := secure.HandshakeContext(ctx); err != nil {
		_ = conn.Close() // never used
		return nil, fmt.Errorf("cannot trust the TURN server: %w", err)
	}
	return newStream(secure, conn, streamStuck), nil
}
