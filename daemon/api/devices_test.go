package api_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"image/jpeg"
	"net/http"
	"strings"
	"testing"

	"kioskd/daemon/api/apitest"
	"kioskd/daemon/api/apitype"
)

const (
	snapshot = "/v1/devices/" + apitest.Camera + "/snapshot"
	level    = "/v1/devices/" + apitest.Microphone + "/level"
	tone     = "/v1/devices/" + apitest.Speaker + "/tone"
)

func TestRootSnapshotIsAPicture(t *testing.T) {
	k := start(t)
	r := ask(t, clientOf(t, k, self), "GET", snapshot, "")
	if r.status != http.StatusOK || r.header.Get("Content-Type") != apitype.TypeJPEG || r.header.Get("Cache-Control") != "no-store" {
		t.Fatalf("it is %d %v", r.status, r.header)
	}
	if _, err := jpeg.Decode(bytes.NewReader(r.body)); err != nil {
		t.Errorf("the picture cannot be seen: %v", err)
	}
}

func TestRootToneIsPlayed(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	for _, body := range []string{"", `{}`, `{"hertz":880}`, `{"hertz":880,"seconds":1}`} {
		if r := ask(t, c, "POST", tone, body, "Content-Type", jsonType); r.status != http.StatusNoContent || len(r.body) > 0 {
			t.Errorf("%q: %v", body, r)
		}
	}
	got, err := json.Marshal(k.Tools.Played())
	if want := `[{"hertz":0,"seconds":0},{"hertz":0,"seconds":0},{"hertz":880,"seconds":0},{"hertz":880,"seconds":1}]`; err != nil || string(got) != want {
		t.Errorf("played %s, want %s", got, want)
	}
}

// A session and a technician's tools never meet: while it runs they are refused, and
// one that runs ends when it opens.
func TestRootToolsMakeRoomForASession(t *testing.T) {
	k := start(t)
	c := clientOf(t, k, self)
	events := listen(t, c)
	if name, _ := events.next(t); name != apitype.EventLevel {
		t.Fatalf("the first event is %q", name)
	}
	var s apitype.Status
	ask(t, c, "GET", "/v1/status", "").into(t, &s)
	if u := s.Technician; u == nil || u.Device != apitest.Microphone || u.Kind != apitype.KindMicrophone || u.What != "level" || u.Since.IsZero() {
		t.Errorf("the screen is told %+v", u)
	}
	if p := ask(t, c, "GET", level, "").problem(t); p.Code != apitype.CodeDeviceInUse || p.Status != http.StatusConflict {
		t.Errorf("a second one: %+v", p)
	}
	open(t, k, c)
	for {
		name, data := events.next(t)
		if name == apitype.EventLevel {
			continue
		}
		var p apitype.Problem
		if err := json.Unmarshal(data, &p); err != nil || name != apitype.EventEnded || p.Code != apitype.CodeSessionActive {
			t.Errorf("the end is %s %s", name, data)
		}
		break
	}
	if events.more() {
		t.Error("something comes after the end")
	}
	for _, q := range [][2]string{{"GET", snapshot}, {"GET", level}, {"POST", tone}} {
		if p := ask(t, c, q[0], q[1], "").problem(t); p.Code != apitype.CodeSessionActive || p.Status != http.StatusConflict {
			t.Errorf("%v in a session: %+v", q, p)
		}
	}
	s = apitype.Status{}
	ask(t, c, "GET", "/v1/status", "").into(t, &s)
	if s.Technician != nil {
		t.Errorf("the screen is still told %+v", s.Technician)
	}
}

// Who used what stands in the audit.
func TestRootToolsAreAudited(t *testing.T) {
	k := start(t)
	who := apitest.User{UID: 61013, GID: apitest.ScreenGID, Groups: []uint32{apitest.TechnicianGID}}
	c := clientOf(t, k, who)
	for _, q := range [][3]string{
		{"PUT", "/v1/devices/roles/exam", `{"device":"` + apitest.Camera + `"}`},
		{"PUT", "/v1/devices/" + apitest.Camera + "/controls", `{"controls":{"` + apitest.Zoom + `":150}}`},
		{"GET", snapshot, ""},
		{"POST", tone, ""},
	} {
		if r := ask(t, c, q[0], q[1], q[2], "Content-Type", jsonType); r.status >= 300 {
			t.Errorf("%v: %v", q, r)
		}
	}
	all := strings.Join(k.Audit.Texts(), "\n")
	for _, want := range []string{"role done role=exam device=usb-1 by: uid=61013", "controls done device=usb-1 by: uid=61013", "snapshot device=usb-1 by: uid=61013", "tone device=usb-1-speaker by: uid=61013"} {
		if !strings.Contains(all, want) {
			t.Errorf("%q is not in the audit:\n%s", want, all)
		}
	}
}

// Bindings and controls are answered as the devices are then.
func TestRootRolesAndControls(t *testing.T) {
	k := start(t)
	k.Plug()
	c := clientOf(t, k, self)
	var d apitype.Devices
	ask(t, c, "PUT", "/v1/devices/roles/face", `{"device":"`+apitest.SecondCamera+`"}`, "Content-Type", jsonType).into(t, &d)
	if len(d.Devices) != 4 || d.Devices[0].Role != "" || d.Devices[1].Role != apitype.RoleFace {
		t.Errorf("the devices are %+v", d.Devices)
	}
	var controls apitype.DeviceControls
	ask(t, c, "PUT", "/v1/devices/"+apitest.Camera+"/controls", `{"controls":{"`+apitest.Zoom+`":150}}`, "Content-Type", jsonType).into(t, &controls)
	if len(controls.Controls) != 1 || controls.Controls[0].Value != 150 || !controls.Controls[0].Kept {
		t.Errorf("the controls are %+v", controls.Controls)
	}
	for _, q := range []struct {
		path, body, code string
		status           int
	}{
		{"/v1/devices/roles/cook", `{"device":"usb-1"}`, apitype.CodeRoleUnknown, 404},
		{"/v1/devices/roles/controls", `{"device":"usb-1"}`, apitype.CodeRoleUnknown, 404},
		{"/v1/devices/roles/face", `{"device":"gone"}`, apitype.CodeDeviceUnknown, 404},
		{"/v1/devices/roles/face", `{"device":"` + apitest.Microphone + `"}`, apitype.CodeRoleKind, 422},
		{"/v1/devices/roles/face", ``, apitype.CodeBadJSON, 400},
		{"/v1/devices/gone/controls", `{"controls":{"zoom_absolute":150}}`, apitype.CodeDeviceUnknown, 404},
		{"/v1/devices/" + apitest.Microphone + "/controls", `{"controls":{"zoom_absolute":150}}`, apitype.CodeDeviceUnknown, 404},
		{"/v1/devices/usb-1/controls", `{"controls":{"shoe_size":150}}`, apitype.CodeControlUnknown, 422},
		{"/v1/devices/usb-1/controls", `{"controls":{"zoom_absolute":151}}`, apitype.CodeControlValue, 422},
	} {
		if p := ask(t, c, "PUT", q.path, q.body, "Content-Type", jsonType).problem(t); p.Code != q.code || p.Status != q.status {
			t.Errorf("%s %s: %+v", q.path, q.body, p)
		}
	}
	k.Tools.Fail(errors.New("secret cause"))
	if r := ask(t, c, "GET", snapshot, ""); r.problem(t).Code != apitype.CodeInternal || strings.Contains(string(r.body), "secret") {
		t.Errorf("an unforeseen error: %v", r)
	}
	if p := ask(t, c, "GET", level, "").problem(t); p.Code != apitype.CodeInternal {
		t.Errorf("an unforeseen error before the first level: %+v", p)
	}
}

// eventReader reads the events of a level.
type eventReader struct{ lines *bufio.Scanner }

func listen(t *testing.T, c *http.Client) *eventReader {
	t.Helper()
	req, err := http.NewRequestWithContext(deadline(t), "GET", "http://localhost"+level, nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := c.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = resp.Body.Close() })
	if resp.StatusCode != http.StatusOK || resp.Header.Get("Content-Type") != apitype.TypeEventStream {
		t.Fatalf("listening is answered %s", resp.Status)
	}
	return &eventReader{bufio.NewScanner(resp.Body)}
}

func (r *eventReader) next(t *testing.T) (name string, data []byte) {
	t.Helper()
	for r.lines.Scan() {
		line := r.lines.Text()
		if n, ok := strings.CutPrefix(line, "event: "); ok {
			name = n
		}
		if d, ok := strings.CutPrefix(line, "data: "); ok {
			data = []byte(d)
		}
		if line == "" {
			return name, data
		}
	}
	t.Fatalf("the stream ended: %v", r.lines.Err())
	return "", nil
}

// more tells whether anything else comes.
func (r *eventReader) more() bool { return r.lines.Scan() }
