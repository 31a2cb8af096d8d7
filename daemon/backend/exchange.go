package backend

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"

	"kioskd/daemon/backend/reach"
	"kioskd/daemon/backend/screen"
)

const (
	maxBody       = 64 << 10 // bytes of an answer, as it comes from the wire
	maxRetryAfter = time.Hour
)

// What errors say cannot be done.
const (
	taskOpen    = "open the video room"
	taskRefresh = "refresh the screen"
	taskReport  = "send the report"
	taskQuality = "send the call's figures"
)

// request is one request before it is sent.
type request struct {
	task   string // one of the tasks
	method string
	target *url.URL
	header http.Header
	body   [][]byte      // sent one after the other; nil: none
	limit  time.Duration // of the whole exchange; the context holds it
}

// message makes the request that a transport sends. GetBody lets the transport
// repeat itself where an idle connection was dead before anything was written;
// for every other broken connection the caller decides.
func (r request) message(ctx context.Context) *http.Request {
	req := &http.Request{Method: r.method, URL: r.target, Header: r.header, Host: r.target.Host, Body: http.NoBody}
	if r.body != nil {
		req.GetBody = func() (io.ReadCloser, error) { return r.reader(), nil }
		req.Body = r.reader()
		req.ContentLength = int64(r.length())
	}
	return req.WithContext(ctx)
}

// reader gives the body from its start.
func (r request) reader() io.ReadCloser {
	pieces := make([]io.Reader, 0, len(r.body))
	for _, piece := range r.body {
		pieces = append(pieces, bytes.NewReader(piece))
	}
	return io.NopCloser(io.MultiReader(pieces...))
}

// length is the body's, in bytes.
func (r request) length() (n int) {
	for _, piece := range r.body {
		n += len(piece)
	}
	return n
}

// answer is what came back, with what judging it needs.
type answer struct {
	*http.Response
	request
	client *Client
	date   time.Time // the Date header; zero where there is none
}

// exchange sends one request and gives its answer to read, which need not close
// it. It logs one line. ctx must end at the request's limit.
func (c *Client) exchange(ctx context.Context, r request, read func(answer) error) error {
	start := time.Now()
	resp, err := c.transport.RoundTrip(r.message(ctx))
	if err != nil {
		failure := reach.Explain(err, r.target.Host, r.limit)
		failed := &Error{Code: CodeBackendUnavailable, Retryable: !failure.Final, text: "cannot " + r.task + ": " + failure.Text}
		if failure.Network {
			failed.Code = CodeNetworkUnavailable
		}
		c.log.Warn("backend not reached", "method", r.method, "host", r.target.Host, "code", failed.Code, "reason", failure.Text, "took", time.Since(start))
		return failed
	}
	defer resp.Body.Close()
	a := answer{Response: resp, request: r, client: c, date: date(resp.Header.Get("Date"))}
	err = read(a)
	attrs := []any{"method", r.method, "host", r.target.Host, "status", resp.StatusCode, "code", Code(err), "took", time.Since(start)}
	if resp.StatusCode == http.StatusUnauthorized {
		attrs = append(attrs, "forward", forward(resp.Header.Get("X-Forward")))
	}
	c.log.Log(ctx, level(err), "backend answered", attrs...)
	return err
}

func level(err error) slog.Level {
	if err != nil {
		return slog.LevelWarn
	}
	return slog.LevelDebug
}

// callersEnd adds the caller's own cancellation to what errors.Is finds.
func callersEnd(ctx context.Context, err error) error {
	var own *Error
	if errors.As(err, &own) && ctx.Err() != nil && own.cause == nil {
		own.cause = ctx.Err()
	}
	return err
}

// date reads a time of RFC 9110, section 5.6.7; zero where it is none.
func date(value string) time.Time {
	t, err := http.ParseTime(value)
	if err != nil {
		return time.Time{}
	}
	return t
}

var hostName = regexp.MustCompile(`^[A-Za-z0-9.:\[\]-]{1,255}$`)

// forward is the host of X-Forward, the address at which a person renews the
// token. It is for the log only: nobody at a kiosk can log in there, and the
// rest of the address is not ours to write down.
func forward(value string) string {
	u, err := url.Parse(value)
	if err != nil || !hostName.MatchString(u.Host) {
		return ""
	}
	return u.Host
}

// fail makes an error of the answer.
func (a answer) fail(code string, retryable bool, text string) *Error {
	failed := &Error{Code: code, Retryable: retryable, Status: a.StatusCode, Date: a.date, text: "cannot " + a.task + ": " + text}
	if retryable {
		failed.RetryAfter = retryAfter(a.Header.Get("Retry-After"), a.date)
	}
	return failed
}

// refused is a 401.
func (a answer) refused() *Error {
	failed := a.fail(CodeUnauthorized, false, "the backend refused the kiosk's token; renew it")
	failed.AfterRenewal = true
	return failed
}

// unexpected judges a status that has no meaning of its own for the request.
func (a answer) unexpected() *Error {
	if a.StatusCode == http.StatusTooManyRequests || a.StatusCode >= http.StatusInternalServerError {
		return a.fail(CodeBackendUnavailable, true, fmt.Sprintf("the backend is out of order (HTTP status %d); it is asked again", a.StatusCode))
	}
	return a.fail(CodeBackendUnavailable, false, fmt.Sprintf("the backend answered with HTTP status %d; check backend.url and the backend", a.StatusCode))
}

// retryAfter reads Retry-After (RFC 9110, section 10.2.3): seconds, or a time,
// which is taken by the backend's own clock where it is known.
func retryAfter(value string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseUint(value, 10, 32); err == nil {
		return min(time.Duration(seconds)*time.Second, maxRetryAfter)
	}
	until := date(value)
	if until.IsZero() {
		return 0
	}
	if now.IsZero() {
		now = time.Now()
	}
	return min(max(until.Sub(now), 0), maxRetryAfter)
}

// stateError reads a 405. Where its body cannot be read, the status alone still
// says that the state forbids it.
func (a answer) stateError() *StateError {
	failed := &StateError{Code: CodeStateForbidden, Date: a.date, task: a.task}
	if data, problem := a.json(); problem == nil {
		refusal := screen.ParseRefusal(data, a.target, a.client.hosts)
		failed.Code = or(refusal.Code, CodeStateForbidden)
		failed.Patch = refusal.Patch
	}
	return failed
}

// json reads a JSON body of at most maxBody bytes.
func (a answer) json() ([]byte, *Error) {
	// Often a page of a proxy or a captive portal: it may go away.
	if kind, _, err := mime.ParseMediaType(a.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		return nil, a.fail(CodeBackendUnavailable, true, "the backend's answer is not JSON; check that backend.url is the backend's")
	}
	if a.Header.Get("Content-Encoding") != "" {
		return nil, a.fail(CodeBackendUnavailable, false, "the backend compressed its answer though it was not asked to")
	}
	if a.ContentLength > maxBody {
		return nil, a.tooLarge()
	}
	data, err := io.ReadAll(io.LimitReader(a.Body, maxBody+1))
	switch {
	case len(data) > maxBody:
		return nil, a.tooLarge()
	case err != nil && reach.TimedOut(err):
		return nil, a.fail(CodeBackendUnavailable, true, reach.Late(a.limit))
	case err != nil || a.untilClosed() && !json.Valid(data):
		return nil, a.fail(CodeBackendUnavailable, true, "the backend's answer broke off; it is asked again")
	default:
		return data, nil
	}
}

// untilClosed is true for a body that ends where the connection does (RFC 9112,
// section 6.3, rule 8), as with HTTP/1.0: a broken connection looks like its end.
func (a answer) untilClosed() bool { return a.ContentLength < 0 && len(a.TransferEncoding) == 0 }

func (a answer) tooLarge() *Error {
	return a.fail(CodeBackendUnavailable, false, fmt.Sprintf("the backend's answer is larger than %d KiB", maxBody>>10))
}
