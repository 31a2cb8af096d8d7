package backend_test

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"kioskd/daemon/backend"
)

func quality() backend.QualityPost {
	return backend.QualityPost{AppointmentID: canaryID, ID: "quality-1", Figures: map[string]string{"duration_seconds": "12.5", "end": "ended"}}
}

func TestPostQuality(t *testing.T) {
	var form url.Values
	var got *http.Request
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		b, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if form, err = url.ParseQuery(string(b)); err != nil {
			t.Error(err)
		}
		got = r
		w.WriteHeader(http.StatusCreated)
	})
	if err := s.PostQuality(t.Context(), quality()); err != nil {
		t.Fatal(err)
	}
	if path := "/api/v3/appointments/" + canaryID + "/video-room/video-quality"; got.Method != http.MethodPost || got.URL.Path != path {
		t.Errorf("request was %s %s", got.Method, got.URL)
	}
	for header, value := range map[string]string{
		"Authorization": "Bearer " + canaryToken, "Idempotency-Key": "quality-1", "Content-Type": "application/x-www-form-urlencoded",
	} {
		if got.Header.Get(header) != value {
			t.Errorf("%s is %q, want %q", header, got.Header.Get(header), value)
		}
	}
	if len(form) != 3 || form.Get("key") != "quality-1" || form.Get("duration_seconds") != "12.5" || form.Get("end") != "ended" {
		t.Errorf("the form is %v", form)
	}
}

// What each status means: had, not wanted, or to be posted again.
func TestQualityStatuses(t *testing.T) {
	for status, permanent := range map[int]bool{
		200: false, 201: false, 204: false, 400: true, 401: false, 404: true, 405: true, 410: true, 500: false, 503: false,
	} {
		s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body)
			w.WriteHeader(status)
			fmt.Fprint(w, canaryWords)
		})
		err := s.PostQuality(t.Context(), quality())
		if (err == nil) != (status < 300) || err != nil && backend.Permanent(err) != permanent {
			t.Errorf("status %d: %v, permanent %t", status, err, err != nil && backend.Permanent(err))
		}
		if err != nil {
			checkError(t, err)
		}
	}
}

func TestQualityBounds(t *testing.T) {
	s := newStage(t, func(http.ResponseWriter, *http.Request) { t.Error("it was posted") })
	for name, change := range map[string]func(*backend.QualityPost){
		"no id":     func(q *backend.QualityPost) { q.ID = "" },
		"lines":     func(q *backend.QualityPost) { q.ID = "a\r\nX: y" },
		"too much":  func(q *backend.QualityPost) { q.Figures["x"] = strings.Repeat("x", 9<<10) },
		"elsewhere": func(q *backend.QualityPost) { q.AppointmentID = "../x" },
	} {
		q := quality()
		change(&q)
		if err := s.PostQuality(t.Context(), q); err == nil || !backend.Permanent(err) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if q := quality(); strings.Contains(fmt.Sprintf("%v %+v %#v", q, q, q), canaryID) {
		t.Error("it prints its appointment")
	}
}
