package backend

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"regexp"
	"time"
	"unicode/utf8"
)

// Bounds of a report, in bytes.
const (
	maxIssue  = 2000
	maxBundle = 192 << 10
	// slowest is the uplink a report still gets through, per second: a bad Wi-Fi
	// that carries a call besides.
	slowest = 8 << 10
)

var reportID = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// PostReport hands one issue report over (POST
// /api/v3/appointments/{id}/video-room/issue/report, multipart/form-data: issue,
// key, bundle). nil means that the backend has it. The report's ID goes as
// Idempotency-Key (draft-ietf-httpapi-idempotency-key-header) and as key, so it
// may be posted again whenever it is not known whether the backend took it.
//
// Its errors are *Error or *StateError. Permanent ones will never work: the
// backend knows no such appointment, or refuses this report. Others may:
// Retryable ones after RetryAfter or a pause of the caller's, those AfterRenewal
// once the token is another one. Time is bounded by the client's timeout plus a
// second for each 8 KiB. When ctx ends first, the error also matches ctx.Err().
func (c *Client) PostReport(ctx context.Context, report ReportPost) error {
	target, err := c.room(taskReport, report.AppointmentID, "issue", "report")
	if err != nil {
		return err
	}
	body, kind, err := report.form()
	if err != nil {
		return err
	}
	header, err := c.header(taskReport)
	if err != nil {
		return err
	}
	header.Set("Content-Type", kind)
	header.Set("Idempotency-Key", report.ID)

	post := request{task: taskReport, method: http.MethodPost, target: target, header: header, body: body}
	post.limit = c.timeout + time.Duration(post.length())*time.Second/slowest
	limited, cancel := context.WithTimeout(ctx, post.limit)
	defer cancel()
	return callersEnd(ctx, c.exchange(limited, post, answer.posted))
}

// form checks the report and makes its body (RFC 7578) and the body's type. The
// bundle is not copied: it stands between the two other pieces.
func (r ReportPost) form() (body [][]byte, kind string, err error) {
	refuse := func(text string) error {
		return &Error{Code: CodeReportRefused, text: "cannot send the report: " + text}
	}
	switch {
	case !reportID.MatchString(r.ID):
		return nil, "", refuse("its id is not 1 to 64 characters of A-Z a-z 0-9 . _ -")
	case r.Text == "" || len(r.Text) > maxIssue || !utf8.ValidString(r.Text):
		return nil, "", refuse(fmt.Sprintf("its text is not 1 to %d bytes of UTF-8", maxIssue))
	case len(r.Bundle) == 0 || len(r.Bundle) > maxBundle:
		return nil, "", refuse(fmt.Sprintf("its bundle is not 1 byte to %d KiB", maxBundle>>10))
	}
	var around bytes.Buffer
	form := multipart.NewWriter(&around)
	err = errors.Join(form.WriteField("issue", r.Text), form.WriteField("key", r.ID))
	_, part := form.CreatePart(textproto.MIMEHeader{
		"Content-Disposition": {`form-data; name="bundle"; filename="bundle.json"`},
		"Content-Type":        {"application/json"},
	})
	before := around.Len()
	if err = errors.Join(err, part, form.Close()); err != nil { // memory takes everything
		return nil, "", refuse("its form cannot be made")
	}
	return [][]byte{around.Bytes()[:before], r.Bundle, around.Bytes()[before:]}, form.FormDataContentType(), nil
}

// posted judges the answer of a report by its status alone: the body of a good
// one says nothing, and once the status has come the backend has the report.
func (a answer) posted() error {
	switch a.StatusCode {
	case http.StatusOK, http.StatusCreated, http.StatusNoContent:
		return nil
	case http.StatusUnauthorized:
		return a.refused()
	case http.StatusNotFound, http.StatusGone:
		return a.fail(CodeAppointmentUnknown, false, "the backend does not know the appointment; the report has nowhere to go")
	case http.StatusMethodNotAllowed:
		return a.stateError()
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnsupportedMediaType, http.StatusUnprocessableEntity:
		return a.fail(CodeReportRefused, false, fmt.Sprintf("the backend refuses it for good (HTTP status %d); check that it takes reports of this form", a.StatusCode))
	case http.StatusFound:
		// Its words go where they were meant to go or nowhere.
		return a.fail(CodePrerequisiteMissing, true, "the backend wants another screen first; it is asked again")
	default:
		// A report is kept until it is sent: what has no clear meaning (a 409
		// while the same key is at work, a 403 of a gateway) is no reason to
		// drop the patient's words.
		return a.fail(CodeBackendUnavailable, true, fmt.Sprintf("the backend did not take it (HTTP status %d); it is asked again", a.StatusCode))
	}
}
