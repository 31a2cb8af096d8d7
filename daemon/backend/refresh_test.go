package backend_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/daemon/backend"
)

// writePatch answers with the text as application/json.
func writePatch(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	io.WriteString(w, text)
}

func TestRefresh(t *testing.T) {
	var got *http.Request
	var body []byte
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		body, _ = io.ReadAll(r.Body)
		w.Header().Set("Date", "Sun, 22 Nov 2020 10:00:00 GMT")
		writePatch(w, http.StatusOK, `{"patches":{"title":{"value":"`+canaryTitle+`"},"report-issue":{"visible":false}},"update":"next?n=2","timeout":12.5}`)
	})
	patch, err := s.refresh(t, "/api/"+canaryID+"/room?n=1")
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPatch || got.URL.String() != "/api/"+canaryID+"/room?n=1" || string(body) != "update=timeout" || got.ContentLength != 14 {
		t.Errorf("request was %s %s with %q", got.Method, got.URL, body)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + canaryToken, "X-Camera": "Granted", "X-Microphone": "Denied", "X-Device": "Desktop", "X-Platform": "kioskd",
		"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json", "Accept-Encoding": "", "Expect": "",
	} {
		if got.Header.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), value)
		}
	}
	no, title := false, canaryTitle
	wanted := backend.Patch{
		Title: &title, Controls: map[string]backend.ControlPatch{"report-issue": {Visible: &no}},
		Update: s.server.URL + "/api/" + canaryID + "/next?n=2", Timeout: 12500 * time.Millisecond,
		Date: time.Date(2020, 11, 22, 10, 0, 0, 0, time.UTC),
	}
	if !reflect.DeepEqual(patch, wanted) {
		t.Errorf("patch %#v", patch)
	}
}

// The cycle: what one answer names is where the next PATCH goes, over TLS with a
// private authority, too.
func TestRefreshCycleOverTLS(t *testing.T) {
	var paths []string
	s := newTLSStage(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.Method+" "+r.URL.RequestURI())
		if r.Method == http.MethodPut {
			d := goodDocument("").With("room.url", "wss://"+r.Host+"/signal").With("update", "?n=1").With("timeout", 1)
			writeScreen(t, w, d)
			return
		}
		answer := map[string]string{"1": `{"update":"?n=2","timeout":1}`, "2": `{"update":"` + "https://" + r.Host + `/three?n=3","timeout":1}`, "3": `{}`}
		writePatch(w, http.StatusOK, answer[r.URL.Query().Get("n")])
	})
	screen, err := s.open(t)
	if err != nil {
		t.Fatal(err)
	}
	patch := screen.Patch
	for patch.Timeout > 0 {
		if patch, err = s.Refresh(t.Context(), backend.RefreshRequest{URL: patch.Update}); err != nil {
			t.Fatal(err)
		}
	}
	room := "/api/v3/appointments/" + canaryID + "/video-room"
	wanted := []string{"PUT " + room, "PATCH " + room + "?n=1", "PATCH " + room + "?n=2", "PATCH /three?n=3"}
	if !reflect.DeepEqual(paths, wanted) {
		t.Errorf("went\n%s\nwant\n%s", strings.Join(paths, "\n"), strings.Join(wanted, "\n"))
	}
}

func TestRefreshStatuses(t *testing.T) {
	for _, tt := range []struct {
		status int
		body   string
		want   want
	}{
		{302, "", want{backend.CodePrerequisiteMissing, false, backend.ErrPrerequisiteMissing, "another screen first"}},
		{401, "", want{backend.CodeUnauthorized, false, backend.ErrUnauthorized, "refused the kiosk's token"}},
		{404, "", want{backend.CodeAppointmentUnknown, false, backend.ErrAppointmentUnknown, "any more"}},
		{410, "", want{backend.CodeAppointmentUnknown, false, backend.ErrAppointmentUnknown, "any more"}},
		{500, "Internal error at " + canaryID, unavailable(true, "status 500")},
		{503, `{"patches":{}}`, unavailable(true, "status 503")},
		{429, "", unavailable(true, "status 429")},
		{201, "{}", unavailable(false, "status 201")},
		{204, "", unavailable(false, "status 204")},
		{301, "", unavailable(false, "status 301")},
		{307, "", unavailable(false, "status 307")},
		{400, canaryID, unavailable(false, "status 400")},
		{200, `{"timeout":-1}`, unavailable(false, "timeout is not")},
		{200, `{"update":"file:///etc/passwd"}`, unavailable(false, "update names an address")},
		{200, `{"timeout":NaN}`, unavailable(false, "not JSON")},
		{200, strings.Repeat(`{"patches":`, 5000), unavailable(false, "not JSON")},
		{200, `null`, unavailable(false, "kind null")},
		{200, `{}` + strings.Repeat(" ", 64<<10), unavailable(false, "larger than 64 KiB")},
	} {
		var requests atomic.Int32
		s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
			requests.Add(1)
			w.Header().Set("Location", r.URL.String())
			writePatch(w, tt.status, tt.body)
		})
		patch, err := s.refresh(t, "/"+canaryID)
		tt.want.check(t, err)
		if !strings.HasPrefix(err.Error(), "cannot refresh the screen: ") || !reflect.DeepEqual(patch, backend.Patch{}) {
			t.Errorf("%d: %v with %v", tt.status, err, patch)
		}
		if requests.Load() != 1 {
			t.Errorf("%d: asked %d times", tt.status, requests.Load())
		}
	}
}

// A 405 says what changes all the same, under the task's own name.
func TestRefreshForbiddenByState(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		writePatch(w, http.StatusMethodNotAllowed, `{"error":"appointment_over","timestamp":"2026-11-22T10:00:00Z","patches":{"chat":{"enabled":false}}}`)
	})
	patch, err := s.refresh(t, "/"+canaryID)
	var state *backend.StateError
	if !errors.As(err, &state) || state.Code != "appointment_over" || *state.Patch.Controls["chat"].Enabled || patch.Controls != nil {
		t.Fatalf("%v with %v", err, patch)
	}
	if err.Error() != "cannot refresh the screen: the appointment's state forbids it (appointment_over)" {
		t.Error(err)
	}
}

// An address that was kept over a change of the configuration reaches nobody.
func TestRefreshAddresses(t *testing.T) {
	var asked atomic.Int32
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1) })
	for address, says := range map[string]string{
		"": "no usable address", "http://%zz": "no usable address", "file:///etc/passwd": "not https", "http://10.0.0.1/" + canaryID: "not https",
		"http://u:p@" + s.host() + "/": "not https", "https://elsewhere.example/" + canaryID: "not on the list", "http://127.0.0.1:1/": "not on the list",
	} {
		_, err := s.Refresh(t.Context(), backend.RefreshRequest{URL: address})
		checkError(t, err)
		unavailable(false, says).check(t, err)
	}
	secure := newTLSStage(t, func(w http.ResponseWriter, r *http.Request) { asked.Add(1) }, func(o *backend.Options) { o.AllowHosts = []string{s.host()} })
	_, err := secure.Refresh(t.Context(), backend.RefreshRequest{URL: s.server.URL + "/x"})
	unavailable(false, "not https").check(t, err)
	if asked.Load() != 0 {
		t.Errorf("asked %d times", asked.Load())
	}
}
