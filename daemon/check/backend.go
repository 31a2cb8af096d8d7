package check

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"strconv"
	"syscall"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/backend"
)

// certificateSoon is how long before a certificate's end it is spoken of.
const certificateSoon = 14 * 24 * time.Hour

// checkBackend asks the backend once: its name, its certificate, the token and the
// clock are all in that.
func (c *Checker) checkBackend(ctx context.Context, wanted func(string) bool) []finding {
	judges := []struct {
		code  string
		judge func(backend.Probe) finding
	}{
		{apitype.CheckDNS, c.judgeDNS},
		{apitype.CheckBackend, c.judgeBackend},
		{apitype.CheckToken, c.judgeToken},
		{apitype.CheckClock, judgeClock},
	}
	var found []finding
	var probe *backend.Probe
	for _, j := range judges {
		if !wanted(j.code) || c.o.Backend == nil {
			continue
		}
		if probe == nil {
			p := c.o.Backend(ctx)
			probe = &p
		}
		found = append(found, j.judge(*probe))
	}
	return found
}

// judgeDNS judges whether the backend's name could be resolved.
func (c *Checker) judgeDNS(p backend.Probe) finding {
	_, numeric := netip.ParseAddr(p.Name)
	var dns *net.DNSError
	switch {
	case p.Proxied:
		return skip(apitype.CheckDNS, "dns_proxied")
	case errors.As(p.Err, &dns):
		return fail(apitype.CheckDNS, "dns_failed", "getent hosts "+Quote(p.Name), "host", p.Name)
	case numeric == nil:
		return skip(apitype.CheckDNS, "dns_not_needed")
	default:
		return pass(apitype.CheckDNS, "host", p.Name)
	}
}

// judgeBackend judges the way from the connection to the answer.
func (c *Checker) judgeBackend(p backend.Probe) finding {
	const code = apitype.CheckBackend
	var dns *net.DNSError
	switch {
	case errors.As(p.Err, &dns) && !p.Proxied:
		return skip(code, "needs_dns")
	case p.Err != nil:
		return c.judgeFailure(p)
	case p.Status >= http.StatusInternalServerError:
		return fail(code, "backend_broken", "curl -sv "+Quote(p.Origin), "host", p.Host, "status", strconv.Itoa(p.Status))
	case !p.NotAfter.IsZero() && p.NotAfter.Sub(p.Middle) < certificateSoon:
		f := warn(code, "tls_expires_soon", dates(p), "host", p.Host, "date", p.NotAfter.UTC().Format(time.DateOnly))
		return f.with("milliseconds", float64(p.Took.Milliseconds()))
	default:
		return pass(code, "host", p.Host).with("milliseconds", float64(p.Took.Milliseconds()))
	}
}

// judgeFailure judges why there was no answer.
func (c *Checker) judgeFailure(p backend.Probe) finding {
	const code = apitype.CheckBackend
	var invalid x509.CertificateInvalidError
	var authority x509.UnknownAuthorityError
	var name x509.HostnameError
	var cert *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(p.Err, &invalid) && invalid.Reason == x509.Expired:
		// A clock that goes wrong makes a good certificate bad.
		return fail(code, "tls_expired", dates(p), "host", p.Host, "date", invalid.Cert.NotAfter.UTC().Format(time.DateOnly))
	case errors.As(p.Err, &name):
		return fail(code, "tls_name", c.edit(), "host", p.Host)
	case errors.As(p.Err, &authority):
		return fail(code, "tls_authority", c.edit(), "host", p.Host)
	case errors.As(p.Err, &cert):
		return fail(code, "tls_refused", dates(p), "host", p.Host)
	case p.Proxied:
		return fail(code, "proxy_failed", c.edit(), "host", p.Host)
	case errors.As(p.Err, &op) && op.Op == "dial" && errors.Is(p.Err, syscall.ECONNREFUSED):
		return fail(code, "backend_closed", "curl -sv "+Quote(p.Origin), "host", p.Host)
	case errors.As(p.Err, &op) && op.Op == "dial":
		return fail(code, "backend_unreachable", "ip route get "+Quote(p.Name), "host", p.Host)
	default:
		return fail(code, "backend_silent", "curl -sv "+Quote(p.Origin), "host", p.Host)
	}
}

// judgeToken judges what the backend says of the kiosk's token.
func (c *Checker) judgeToken(p backend.Probe) finding {
	const code = apitype.CheckToken
	command := "install -m 600 /dev/stdin "
	if c.o.TokenSealed {
		command = "systemd-creds encrypt --name=backend-token - "
	}
	command += Quote(c.o.TokenFile) + " && systemctl restart kioskd"
	hidden := errors.Is(p.TokenErr, fs.ErrPermission)
	switch {
	case hidden && c.o.Outside:
		f := skip(code, "token_hidden", "path", c.o.TokenFile)
		f.command = "sudo kioskctl doctor"
		return f
	case c.o.Outside && c.o.TokenSealed && errors.Is(p.TokenErr, fs.ErrNotExist):
		return skip(code, "token_sealed", "path", c.o.TokenFile)
	case hidden: // there may be a good one
		return fail(code, "token_missing", "chown kioskd "+Quote(c.o.TokenFile), "path", c.o.TokenFile)
	case p.TokenErr != nil:
		return fail(code, "token_missing", command, "path", c.o.TokenFile)
	case p.Err != nil || p.Status >= http.StatusInternalServerError:
		return skip(code, "needs_backend")
	case p.Status == http.StatusUnauthorized:
		return fail(code, "token_refused", command, "host", p.Host)
	default:
		return pass(code)
	}
}

// with adds a figure.
func (f finding) with(name string, value float64) finding {
	if f.figures == nil {
		f.figures = map[string]float64{}
	}
	f.figures[name] = value
	return f
}

// dates shows from when to when the backend's certificate is good, and whose it is.
func dates(p backend.Probe) string {
	return "openssl s_client -connect " + Quote(net.JoinHostPort(p.Name, p.Port)) + " -servername " + Quote(p.Name) +
		" </dev/null | openssl x509 -noout -subject -issuer -dates"
}
