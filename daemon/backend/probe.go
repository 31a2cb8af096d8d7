package backend

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Probe is what one request to the backend found out about the way to it.
type Probe struct {
	// Host is "name" or "name:port" of the backend's address, Name and Port its parts,
	// Origin the scheme and Host.
	Host, Name, Port, Origin string
	// Proxied tells that the way leads through backend.proxy.
	Proxied bool
	// TokenErr is why there is no token to send; the request went without one then.
	TokenErr error
	// Err is the transport's, for judging and not for printing; nil where an answer came.
	Err error
	// Status, Date (zero where there is none) and NotAfter, the end of the
	// certificate's life (zero without TLS), are the answer's.
	Status         int
	Date, NotAfter time.Time
	// Took is from the first byte sent to the head of the answer, Middle its middle.
	Took   time.Duration
	Middle time.Time
}

// probeID is an appointment that there is not.
const probeID = "kioskd-check"

// Probe asks the backend for something that changes nothing: GET of the room of an
// appointment that there is not. The backend's word about the kiosk's token comes
// before everything else (401); whatever else it answers is well.
func (c *Client) Probe(ctx context.Context) Probe {
	p := Probe{Host: c.base.Host, Name: c.base.Hostname(), Port: c.base.Port(), Origin: c.base.Scheme + "://" + c.base.Host + "/", Proxied: c.transport.Proxied(c.base)}
	if p.Port == "" {
		p.Port = map[string]string{"https": "443", "http": "80"}[c.base.Scheme]
	}
	target, err := c.room("ask the backend", probeID)
	if err != nil { // the id is ours and fits
		p.Err = err
		return p
	}
	header, err := c.header("ask the backend")
	if err != nil {
		p.TokenErr = err
		header = http.Header{"Accept": {"application/json"}}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	start := time.Now()
	resp, err := c.transport.RoundTrip(request{method: http.MethodGet, target: target, header: header}.message(ctx))
	p.Took = time.Since(start)
	p.Middle = start.Add(p.Took / 2)
	if err != nil {
		p.Err = fmt.Errorf("cannot ask the backend: %w", err)
		return p
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, io.LimitReader(resp.Body, maxBody)) // so that the connection can be kept
	p.Status, p.Date = resp.StatusCode, date(resp.Header.Get("Date"))
	if resp.TLS != nil && len(resp.TLS.PeerCertificates) > 0 {
		p.NotAfter = resp.TLS.PeerCertificates[0].NotAfter
	}
	return p
}
