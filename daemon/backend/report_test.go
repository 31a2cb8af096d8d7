package backend_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"mime"
	"mime/multipart"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/daemon/backend"
)

// clinic takes reports as a backend does: once a key.
type clinic struct {
	mu      sync.Mutex
	reports map[string]map[string]string // by Idempotency-Key: the form's parts, and "file" and "type" of the bundle
	posts   int
}

// take reads one report of the form and answers 201, also to a repeated key.
func (c *clinic) take(t *testing.T, w http.ResponseWriter, r *http.Request) {
	kind, params, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "multipart/form-data" || r.ContentLength <= 0 || len(r.TransferEncoding) != 0 {
		t.Errorf("type %q, %d bytes, %v: %v", kind, r.ContentLength, r.TransferEncoding, err)
	}
	data, err := io.ReadAll(r.Body)
	if err != nil || int64(len(data)) != r.ContentLength {
		return // a torn request is no report
	}
	got := map[string]string{}
	for form := multipart.NewReader(bytes.NewReader(data), params["boundary"]); ; {
		part, err := form.NextPart()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Error(err)
			break
		}
		text, _ := io.ReadAll(part)
		got[part.FormName()] = string(text)
		if part.FileName() != "" {
			got["file"], got["type"] = part.FileName(), part.Header.Get("Content-Type")
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.posts++
	if c.reports == nil {
		c.reports = map[string]map[string]string{}
	}
	if key := r.Header.Get("Idempotency-Key"); c.reports[key] == nil {
		c.reports[key] = got
	}
	w.WriteHeader(http.StatusCreated)
}

func TestPostReport(t *testing.T) {
	var got *http.Request
	backendOf := &clinic{}
	handler := func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		backendOf.take(t, w, r)
	}
	bundle := `{"states":["` + strings.Repeat("é\r\n--", 30_000) + `"]}`
	for name, s := range map[string]stage{"plain": newStage(t, handler, func(o *backend.Options) { o.URL += "/base" }), "TLS": newTLSStage(t, handler)} {
		words := "It is\ngreen. \"Quoted\"; é \r\n--boundary"
		err := s.PostReport(t.Context(), backend.ReportPost{AppointmentID: canaryID, ID: name, Text: words, Bundle: []byte(bundle)})
		if err != nil {
			t.Fatal(err)
		}
		if path := "/api/v3/appointments/" + canaryID + "/video-room/issue/report"; got.Method != http.MethodPost || strings.TrimPrefix(got.URL.Path, "/base") != path {
			t.Errorf("request was %s %s", got.Method, got.URL)
		}
		for header, value := range map[string]string{
			"Authorization": "Bearer " + canaryToken, "Idempotency-Key": name, "X-Device": "Desktop", "X-Platform": "kioskd", "Accept-Encoding": "",
		} {
			if got.Header.Get(header) != value {
				t.Errorf("%s is %q, want %q", header, got.Header.Get(header), value)
			}
		}
		form := backendOf.reports[name]
		if len(form) != 5 || form["issue"] != words || form["key"] != name || form["bundle"] != bundle || form["file"] != "bundle.json" || form["type"] != "application/json" {
			t.Errorf("%s: the report arrived as %.300q", name, form)
		}
	}
}

// A report may be posted again; the backend has it once.
func TestPostReportAgain(t *testing.T) {
	backendOf := &clinic{}
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) { backendOf.take(t, w, r) })
	for range 3 {
		if err := s.report(t); err != nil {
			t.Fatal(err)
		}
	}
	if backendOf.posts != 3 || len(backendOf.reports) != 1 {
		t.Errorf("%d posts made %d reports", backendOf.posts, len(backendOf.reports))
	}
}

func TestReportBounds(t *testing.T) {
	var posts atomic.Int32
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		posts.Add(1)
		io.Copy(io.Discard, r.Body)
		w.WriteHeader(http.StatusNoContent)
	})
	whole := backend.ReportPost{AppointmentID: "a", ID: "r", Text: "x", Bundle: []byte("{}")}
	for name, change := range map[string]func(*backend.ReportPost){
		"as it is":     func(*backend.ReportPost) {},
		"longest id":   func(r *backend.ReportPost) { r.ID = strings.Repeat("x", 64) },
		"longest text": func(r *backend.ReportPost) { r.Text = strings.Repeat("é", 1000) },
		"biggest":      func(r *backend.ReportPost) { r.Bundle = make([]byte, 192<<10) },
	} {
		report := whole
		change(&report)
		if err := s.PostReport(t.Context(), report); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	if posts.Swap(0) != 4 {
		t.Error("not each report was posted once")
	}
	for name, change := range map[string]func(*backend.ReportPost){
		"no id":       func(r *backend.ReportPost) { r.ID = "" },
		"long id":     func(r *backend.ReportPost) { r.ID = strings.Repeat("x", 65) },
		"lines in id": func(r *backend.ReportPost) { r.ID = "a\r\nX-Evil: " + canaryID },
		"no text":     func(r *backend.ReportPost) { r.Text = "" },
		"long text":   func(r *backend.ReportPost) { r.Text = canaryWords + strings.Repeat("é", 1000) },
		"not UTF-8":   func(r *backend.ReportPost) { r.Text = canaryWords + "\xff" },
		"no bundle":   func(r *backend.ReportPost) { r.Bundle = nil },
		"big bundle":  func(r *backend.ReportPost) { r.Bundle = make([]byte, 192<<10+1) },
	} {
		report := whole
		change(&report)
		err := s.PostReport(t.Context(), report)
		checkError(t, err)
		want{backend.CodeReportRefused, false, backend.ErrReportRefused, "cannot send the report: its "}.check(t, err)
		if !backend.Permanent(err) {
			t.Errorf("%s may work later", name)
		}
	}
	whole.AppointmentID = canaryID + "/../x"
	err := s.PostReport(t.Context(), whole)
	checkError(t, err)
	want{backend.CodeAppointmentUnknown, false, backend.ErrAppointmentUnknown, "cannot send the report"}.check(t, err)
	if posts.Load() != 0 {
		t.Errorf("%d wrong reports were posted", posts.Load())
	}
}

// What each status means for the report: had, for ever refused, or kept.
func TestReportStatuses(t *testing.T) {
	kept := func(says string) want { return unavailable(true, says) }
	for _, tt := range []struct {
		status    int
		want      want
		permanent bool
	}{
		{200, want{}, false},
		{201, want{}, false},
		{204, want{}, false},
		{202, kept("status 202"), false},
		{206, kept("status 206"), false},
		{301, kept("status 301"), false},
		{302, want{backend.CodePrerequisiteMissing, true, backend.ErrPrerequisiteMissing, "another screen"}, false},
		{307, kept("status 307"), false},
		{400, want{backend.CodeReportRefused, false, backend.ErrReportRefused, "status 400"}, true},
		{401, want{backend.CodeUnauthorized, false, backend.ErrUnauthorized, "token"}, false},
		{403, kept("status 403"), false},
		{404, want{backend.CodeAppointmentUnknown, false, backend.ErrAppointmentUnknown, "nowhere to go"}, true},
		{405, want{"too_late", false, nil, "cannot send the report: the appointment's state forbids it (too_late)"}, true},
		{408, kept("status 408"), false},
		{409, kept("status 409"), false},
		{410, want{backend.CodeAppointmentUnknown, false, backend.ErrAppointmentUnknown, "nowhere to go"}, true},
		{413, want{backend.CodeReportRefused, false, backend.ErrReportRefused, "status 413"}, true},
		{415, want{backend.CodeReportRefused, false, backend.ErrReportRefused, "status 415"}, true},
		{422, want{backend.CodeReportRefused, false, backend.ErrReportRefused, "status 422"}, true},
		{425, kept("status 425"), false},
		{429, kept("status 429"), false},
		{500, kept("status 500"), false},
		{503, kept("status 503"), false},
	} {
		var posts atomic.Int32
		s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
			posts.Add(1)
			w.Header().Set("Location", "/elsewhere")
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(tt.status)
			io.WriteString(w, `{"error":"too_late","text":"`+canaryWords+`"}`)
		})
		err := s.report(t)
		if posts.Load() != 1 {
			t.Errorf("%d: posted %d times", tt.status, posts.Load())
		}
		if tt.want.code == "" {
			if err != nil {
				t.Errorf("%d: %v", tt.status, err)
			}
			continue
		}
		tt.want.check(t, err)
		if backend.Permanent(err) != tt.permanent {
			t.Errorf("%d: permanent is not %v: %v", tt.status, tt.permanent, err)
		}
		var own *backend.Error
		if renewal := errors.As(err, &own) && own.AfterRenewal; renewal != (tt.status == 401) {
			t.Errorf("%d: after a renewal %v", tt.status, renewal)
		}
	}
}

// The uplink may be slow: time grows with the report. The answer may not.
func TestReportTakesItsTime(t *testing.T) {
	const limit = 300 * time.Millisecond
	taken := make(chan struct{})
	slow := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		buf := make([]byte, 4<<10)
		ticker := time.NewTicker(20 * time.Millisecond) // 200 KiB/s: longer than the limit alone
		defer ticker.Stop()
		for {
			<-ticker.C
			if _, err := io.ReadFull(r.Body, buf); err != nil {
				close(taken)
				w.WriteHeader(http.StatusCreated)
				return
			}
		}
	}, func(o *backend.Options) { o.Timeout = limit })
	start := time.Now()
	err := slow.PostReport(t.Context(), backend.ReportPost{AppointmentID: "a", ID: "r", Text: "x", Bundle: make([]byte, 128<<10)})
	if err != nil || time.Since(start) < limit {
		t.Errorf("%v after %v", err, time.Since(start))
	}
	<-taken

	silent := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}, func(o *backend.Options) { o.Timeout = limit })
	start = time.Now()
	unavailable(true, "no whole answer within").check(t, silent.report(t))
	if took := time.Since(start); took < limit || took > 10*time.Second {
		t.Errorf("took %v with a limit of %v", took, limit)
	}
}
