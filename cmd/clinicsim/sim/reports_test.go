package sim_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"strings"
	"testing"

	"kioskd/cmd/clinicsim/sim"
)

const reportPath = roomPath + "/issue/report"

// part is one part of a report.
type part struct{ name, file, kind, content string }

func report(key, issue string) []part {
	return []part{{"issue", "", "", issue}, {"key", "", "", key}, {"bundle", "bundle.json", "application/json", `{"states":[1,2]}`}}
}

// post sends a report; key goes into the header.
func (r *running) post(t *testing.T, key string, parts []part) reply {
	t.Helper()
	var body bytes.Buffer
	w := multipart.NewWriter(&body)
	for _, p := range parts {
		h := textproto.MIMEHeader{}
		disposition := fmt.Sprintf("form-data; name=%q", p.name)
		if p.file != "" {
			disposition += fmt.Sprintf("; filename=%q", p.file)
		}
		h.Set("Content-Disposition", disposition)
		if p.kind != "" {
			h.Set("Content-Type", p.kind)
		}
		into, err := w.CreatePart(h)
		if err == nil {
			_, err = into.Write([]byte(p.content))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return r.do(t, http.MethodPost, reportPath, body.String(),
		"Authorization", "Bearer "+r.token, "Content-Type", w.FormDataContentType(), "Idempotency-Key", key)
}

func (r *running) reports(t *testing.T) []sim.Report {
	t.Helper()
	var out []sim.Report
	if err := json.Unmarshal([]byte(r.do(t, http.MethodGet, "/sim/reports", "", "Authorization", "Bearer "+r.Control).body), &out); err != nil {
		t.Fatal(err)
	}
	return out
}

func TestReports(t *testing.T) {
	clinic := start(t, sim.Config{})
	if got := clinic.do(t, http.MethodGet, "/sim/reports", "", "Authorization", "Bearer "+clinic.Control).body; strings.TrimSpace(got) != "[]" {
		t.Errorf("at first the reports are %s", got)
	}
	for _, c := range []struct{ key, issue string }{{"r-1", "No sound.\nGrüße"}, {"r-1", "Something else"}, {"r-2", "No picture"}} {
		if got := clinic.post(t, c.key, report(c.key, c.issue)); got.status != http.StatusCreated || got.body != "" {
			t.Errorf("%s: status %d, %s", c.key, got.status, got.body)
		}
	}
	got := clinic.reports(t)
	if len(got) != 2 || got[0].Key != "r-1" || got[0].Issue != "No sound.\nGrüße" || got[0].Posts != 2 || got[0].Appointment != "A-1" ||
		string(got[0].Bundle) != `{"states":[1,2]}` || got[0].Time.IsZero() || got[1].Key != "r-2" || got[1].Posts != 1 {
		t.Errorf("the reports are %+v", got)
	}
	e := clinic.log(t)[0]
	if e.Method != http.MethodPost || e.Path != reportPath || e.Key != "r-1" || e.IdempotencyKey != "r-1" || e.IssueBytes != len("No sound.\nGrüße") ||
		e.BundleBytes != len(`{"states":[1,2]}`) || e.Status != 201 {
		t.Errorf("the log says %+v", e)
	}
	if log := clinic.do(t, http.MethodGet, "/sim/log", "").body; strings.Contains(log, "No sound") {
		t.Error("the patient's words are in the log")
	}
}

func TestReportsAreChecked(t *testing.T) {
	clinic := start(t, sim.Config{})
	good := report("r", "words")
	cases := []struct {
		name  string
		key   string
		parts []part
		says  string
	}{
		{"no words", "r", report("r", " \n"), "issue_required"},
		{"no issue", "r", good[1:], "issue_required"},
		{"no key", "r", []part{good[0], good[2]}, "key_required"},
		{"no bundle", "r", good[:2], "bundle_required"},
		{"bad key", "a/b", report("a/b", "words"), "key is not"},
		{"long key", "r", report(strings.Repeat("k", 129), "words"), "key is not"},
		{"another key", "s", good, "Idempotency-Key"},
		{"no header", "", good, "Idempotency-Key"},
		{"two issues", "r", append(report("r", "words"), good[0]), "twice"},
		{"two keys", "r", append(report("r", "words"), good[1]), "twice"},
		{"two bundles", "r", append(report("r", "words"), good[2]), "twice"},
		{"no JSON", "r", append(report("r", "words")[:2], part{"bundle", "bundle.json", "application/json", "{"}), "no JSON"},
		{"a picture", "r", append(report("r", "words")[:2], part{"bundle", "bundle.json", "image/png", "{}"}), "bundle is not"},
		{"another file", "r", append(report("r", "words")[:2], part{"bundle", "x.json", "application/json", "{}"}), "bundle is not"},
		{"long words", "r", report("r", strings.Repeat("w", 8<<10+1)), "over its"},
		{"no UTF-8", "r", report("r", "\xff"), "UTF-8"},
		{"many parts", "r", append(report("r", "words"), make([]part, 6)...), "cannot be read"},
	}
	for _, c := range cases {
		if got := clinic.post(t, c.key, c.parts); got.status != http.StatusBadRequest || !strings.Contains(got.body, c.says) {
			t.Errorf("%s: status %d, %s", c.name, got.status, got.body)
		}
	}
	bundle := func(size int) []part {
		return append(report("r", "words")[:2], part{"bundle", "bundle.json", "application/json", `"` + strings.Repeat("b", size-2) + `"`})
	}
	if got := clinic.post(t, "r", bundle(192<<10+1)); got.status != http.StatusBadRequest {
		t.Errorf("a bundle over the bound: status %d", got.status)
	}
	if got := clinic.post(t, "r", bundle(300<<10)); got.status != http.StatusRequestEntityTooLarge {
		t.Errorf("a bundle far over the bound: status %d", got.status)
	}
	for _, kind := range []string{"", "application/json", "multipart/form-data", "multipart/mixed; boundary=x"} {
		got := clinic.do(t, http.MethodPost, reportPath, "--x--", "Authorization", "Bearer "+clinic.token, "Content-Type", kind, "Idempotency-Key", "r")
		if got.status != http.StatusBadRequest {
			t.Errorf("type %q: status %d", kind, got.status)
		}
	}
	if n := len(clinic.reports(t)); n != 0 {
		t.Errorf("%d refused reports are stored", n)
	}
	if got := clinic.post(t, "r", bundle(192<<10)); got.status != http.StatusCreated {
		t.Errorf("the biggest bundle: status %d, %s", got.status, got.body)
	}
}

// TestReportWhoseAnswerIsLost: the backend has it, the kiosk does not know and posts again.
func TestReportWhoseAnswerIsLost(t *testing.T) {
	clinic := start(t, sim.Config{})
	clinic.steer(t, "/sim/behave", `{"post":{"status":500,"times":2}}`)
	for range 2 {
		if got := clinic.post(t, "r", report("r", "words")); got.status != http.StatusInternalServerError {
			t.Errorf("status %d", got.status)
		}
	}
	if n := len(clinic.reports(t)); n != 0 {
		t.Errorf("%d reports are stored by a backend that failed", n)
	}
	clinic.steer(t, "/sim/behave", `{"post":{"status":500,"keep":true,"times":1}}`)
	for _, want := range []int{500, 201} {
		if got := clinic.post(t, "r", report("r", "words")); got.status != want {
			t.Errorf("status %d, want %d", got.status, want)
		}
	}
	if got := clinic.reports(t); len(got) != 1 || got[0].Posts != 2 {
		t.Errorf("the reports are %+v", got)
	}
}

func TestReportsAreBounded(t *testing.T) {
	clinic := start(t, sim.Config{})
	for i := range 128 {
		key := fmt.Sprint("r-", i)
		if got := clinic.post(t, key, report(key, "words")); got.status != http.StatusCreated {
			t.Fatalf("%s: status %d", key, got.status)
		}
	}
	if got := clinic.post(t, "more", report("more", "words")); got.status != http.StatusInternalServerError {
		t.Errorf("one more: status %d", got.status)
	}
	if got := clinic.post(t, "r-0", report("r-0", "words")); got.status != http.StatusCreated {
		t.Errorf("a known one: status %d", got.status)
	}
}
