package sim

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Bounds of an issue report.
const (
	maxIssue   = 8 << 10   // bytes of the patient's words
	maxBundle  = 192 << 10 // bytes of bundle.json
	maxReport  = maxBundle + 32<<10
	maxParts   = 8
	maxReports = 128 // in one run
	maxKey     = 128
)

// Report is one issue report that the backend has, as GET /sim/reports lists it.
type Report struct {
	Time        time.Time       `json:"time"`
	Appointment string          `json:"appointment"`
	Key         string          `json:"key"`
	Issue       string          `json:"issue"`
	Bundle      json.RawMessage `json:"bundle"`
	Posts       int             `json:"posts"` // how often it came; stored is only the first
}

// reports are the received ones, oldest first.
type reports struct {
	mu    sync.Mutex
	items []Report
}

// add stores a report, or counts it where its key is known.
func (s *reports) add(r Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.items {
		if s.items[i].Key == r.Key {
			s.items[i].Posts++
			return nil
		}
	}
	if len(s.items) >= maxReports {
		return errors.New("cannot keep another report in this run: start clinicsim anew")
	}
	r.Posts = 1
	s.items = append(s.items, r)
	return nil
}

func (s *reports) list() []Report {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Report{}, s.items...)
}

// issueReport answers POST .../video-room/issue/report.
func (c *clinic) issueReport(w http.ResponseWriter, r *http.Request) {
	body, ok := c.admit(w, r, maxReport, http.MethodPost)
	if !ok {
		return
	}
	got, err := parseReport(r.Header.Get("Content-Type"), body)
	annotate(w, func(e *Entry) {
		e.Key, e.IssueBytes, e.BundleBytes = got.Key, len(got.Issue), len(got.Bundle)
	})
	told := c.behaviour.take(http.MethodPost)
	if told.Keep && err == nil {
		err = c.keep(r, got)
	}
	if c.misbehave(w, r, told) {
		return
	}
	if err == nil && r.Header.Get("Idempotency-Key") != got.Key {
		err = badReport("the Idempotency-Key header is not the field key")
	}
	if err == nil {
		err = c.keep(r, got)
	}
	if bad := badReport(""); errors.As(err, &bad) {
		writeJSON(w, http.StatusBadRequest, map[string]string{"error": string(bad)})
		return
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(http.StatusCreated)
}

func (c *clinic) keep(r *http.Request, got Report) error {
	got.Time, got.Appointment = time.Now().UTC(), r.PathValue("id")
	return c.reports.add(got)
}

// badReport is what is wrong with a report. It never quotes one.
type badReport string

func (b badReport) Error() string { return "cannot take the report: " + string(b) }

// parseReport reads the multipart body (RFC 7578) of a report: the fields
// issue and key, and the file bundle. Every error is a badReport; what was read
// before it is in the Report.
func parseReport(contentType string, body []byte) (Report, error) {
	var out Report
	kind, params, err := mime.ParseMediaType(contentType)
	if err != nil || kind != "multipart/form-data" || params["boundary"] == "" {
		return out, badReport("it is no multipart/form-data")
	}
	parts := multipart.NewReader(bytes.NewReader(body), params["boundary"])
	for n := 0; ; n++ {
		part, err := parts.NextRawPart()
		if errors.Is(err, io.EOF) {
			return out, out.check()
		}
		if err != nil || n >= maxParts {
			return out, badReport("its parts cannot be read")
		}
		if err := out.take(part); err != nil {
			return out, err
		}
	}
}

// take reads one part. A part of another name is ignored.
func (r *Report) take(part *multipart.Part) error {
	name, most := part.FormName(), maxIssue
	if name == "bundle" {
		most = maxBundle
	}
	b, err := io.ReadAll(io.LimitReader(part, int64(most)+1))
	if err != nil {
		return badReport("its parts cannot be read")
	}
	if len(b) > most {
		return badReport(fmt.Sprintf("a part is over its %d bytes", most))
	}
	switch name {
	case "issue":
		if r.Issue != "" {
			return badReport("it has the field issue twice")
		}
		r.Issue = string(b)
	case "key":
		if r.Key != "" {
			return badReport("it has the field key twice")
		}
		if !keyOfReport(string(b)) {
			return badReport("key is not 1 to 128 of A-Z a-z 0-9 . _ -")
		}
		r.Key = string(b)
	case "bundle":
		kind, _, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil || kind != "application/json" || part.FileName() != "bundle.json" {
			return badReport("bundle is not a file bundle.json of type application/json")
		}
		if r.Bundle != nil || !json.Valid(b) {
			return badReport("bundle is there twice or is no JSON")
		}
		r.Bundle = b
	}
	return nil
}

func (r *Report) check() error {
	switch {
	case strings.TrimSpace(r.Issue) == "":
		return badReport("issue_required") // the published code
	case !utf8.ValidString(r.Issue):
		return badReport("issue is no UTF-8")
	case r.Key == "":
		return badReport("key_required")
	case r.Bundle == nil:
		return badReport("bundle_required")
	}
	return nil
}

// keyOfReport tells whether s can be a report's id.
func keyOfReport(s string) bool {
	foreign := func(r rune) bool {
		plain := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !plain && !strings.ContainsRune("._-", r)
	}
	return s != "" && len(s) <= maxKey && !strings.ContainsFunc(s, foreign)
}
