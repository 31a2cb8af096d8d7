package reach

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
)

// Failure is why there was no answer.
type Failure struct {
	// Network is true where no connection could be made.
	Network bool
	// Final is true where asking again is of no use.
	Final bool
	// Text says what happened and what to do, to stand behind "cannot ...: ".
	Text string
}

// Explain makes a Failure of a transport's error. It uses none of the library's
// text that may quote the server or the request's address: both may hold the
// appointment. host is "name" or "name:port"; timeout is the request's.
func Explain(err error, host string, timeout time.Duration) Failure {
	var op *net.OpError
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	switch {
	case errors.Is(err, context.Canceled):
		return Failure{Text: "the request was given up"}
	case errors.Is(err, errNotLoopback):
		return Failure{Final: true, Text: errNotLoopback.Error()}
	case errors.As(err, &dns):
		return Failure{Network: true, Text: fmt.Sprintf("the name of %s cannot be resolved; check the network", host)}
	case errors.As(err, &op) && op.Op == "dial":
		return Failure{Network: true, Text: fmt.Sprintf("no connection to %s (%s); check the network", host, reason(op))}
	case errors.As(err, &cert):
		// A clock that is not yet set makes a good certificate bad, so it is
		// worth another try.
		return Failure{Text: fmt.Sprintf("the certificate of %s is refused; check backend.ca_file and the clock", host)}
	case TimedOut(err):
		return Failure{Text: Late(timeout)}
	default:
		return Failure{Text: "the connection to the backend broke or speaks neither our TLS nor HTTP"}
	}
}

// Late says that there was no whole answer in time.
func Late(timeout time.Duration) string {
	return fmt.Sprintf("the backend sent no whole answer within %v", timeout)
}

// reason is the kernel's word for a failed dial, without addresses.
func reason(op *net.OpError) string {
	var number syscall.Errno
	switch {
	case errors.As(op, &number):
		return number.Error()
	case op.Timeout():
		return "timed out"
	default:
		return "failed"
	}
}

// TimedOut tells whether a deadline ended the request.
func TimedOut(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
