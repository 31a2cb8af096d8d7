package backend_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/backend"
)

func TestOpenRoom(t *testing.T) {
	var got *http.Request
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Clone(context.Background())
		w.Header().Set("Date", "Sun, 22 Nov 2020 10:00:00 GMT")
		writeScreen(t, w, goodDocument(r.Host))
	}, func(o *backend.Options) { o.URL += "/base/" })
	screen, err := s.open(t)
	if err != nil {
		t.Fatal(err)
	}
	if got.Method != http.MethodPut || got.URL.Path != "/base/api/v3/appointments/"+canaryID+"/video-room" || got.ContentLength != 0 {
		t.Errorf("request was %s %s with %d bytes", got.Method, got.URL, got.ContentLength)
	}
	for name, value := range map[string]string{
		"Authorization": "Bearer " + canaryToken, "X-Camera": "Granted", "X-Microphone": "Denied",
		"X-Device": "Desktop", "X-Platform": "kioskd", "Accept": "application/json", "Accept-Encoding": "",
	} {
		if got.Header.Get(name) != value {
			t.Errorf("%s is %q, want %q", name, got.Header.Get(name), value)
		}
	}
	room := screen.Room
	if screen.Title != canaryTitle || !screen.Date.Equal(time.Date(2020, 11, 22, 10, 0, 0, 0, time.UTC)) {
		t.Errorf("title %q, date %v", screen.Title, screen.Date)
	}
	if room.Expires.Before(time.Now().Add(59 * time.Minute)) {
		t.Errorf("expires at %v", room.Expires)
	}
	room.Expires = time.Time{}
	wanted := backend.Room{
		Provider: "direct", URL: "ws://" + s.host() + "/signal", Token: canaryRoom,
		ICEServers:     []backend.ICEServer{{URLs: []string{"turns:turn.example:5349?transport=tcp"}, Username: "u", Credential: "c"}},
		Participant:    backend.Participant{Name: canaryName, Role: "clinician"},
		SessionSeconds: 1800, WaitSeconds: 900, Chat: true,
	}
	if !reflect.DeepEqual(*room, wanted) {
		t.Error("the room arrived with other values")
	}
}

func TestGrantsAndDevice(t *testing.T) {
	var got http.Header
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.Header.Clone()
		writeScreen(t, w, goodDocument(r.Host))
	}, func(o *backend.Options) { o.Device, o.Platform = "Mobile", "kioskd/9" })
	for sent, wanted := range map[backend.Grant]string{
		"": "Query", backend.Query: "Query", backend.Granted: "Granted", backend.Denied: "Denied", "granted": "Query", "a\r\nb": "Query",
	} {
		if _, err := s.OpenRoom(t.Context(), backend.OpenRequest{AppointmentID: "1", Camera: sent, Microphone: sent}); err != nil {
			t.Fatal(err)
		}
		if got.Get("X-Camera") != wanted || got.Get("X-Microphone") != wanted {
			t.Errorf("%q became %q and %q, want %q", sent, got.Get("X-Camera"), got.Get("X-Microphone"), wanted)
		}
	}
	if got.Get("X-Device") != "Mobile" || got.Get("X-Platform") != "kioskd/9" {
		t.Errorf("device %q, platform %q", got.Get("X-Device"), got.Get("X-Platform"))
	}
}

func TestAppointmentIDs(t *testing.T) {
	var paths []string
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) {
		paths = append(paths, r.URL.EscapedPath())
		writeScreen(t, w, goodDocument(r.Host))
	})
	for _, id := range []string{"1", "A-b_c~d.9", "...", ".a", strings.Repeat("x", 128)} {
		paths = nil
		if _, err := s.OpenRoom(t.Context(), backend.OpenRequest{AppointmentID: id}); err != nil {
			t.Errorf("%q: %v", id, err)
		}
		if len(paths) != 1 || paths[0] != "/api/v3/appointments/"+id+"/video-room" {
			t.Errorf("%q went to %q", id, paths)
		}
	}
	paths = nil
	for _, id := range []string{"", ".", "..", "a/b", "a b", "a%2fb", "a?b", "a#b", "é", "a\n", "a\x00", strings.Repeat("x", 129)} {
		_, err := s.OpenRoom(t.Context(), backend.OpenRequest{AppointmentID: id})
		want{backend.CodeAppointmentUnknown, false, backend.ErrAppointmentUnknown, "1 to 128 characters"}.check(t, err)
		checkError(t, err)
	}
	if len(paths) != 0 {
		t.Errorf("a bad id was sent: %q", paths)
	}
}

func TestToken(t *testing.T) {
	sent := 0
	handler := func(w http.ResponseWriter, r *http.Request) { sent++ }
	for name, token := range map[string]func() (string, error){
		"none":       func() (string, error) { return "", nil },
		"two lines":  func() (string, error) { return canaryToken + "\r\nX-Evil: 1", nil },
		"blank":      func() (string, error) { return canaryToken + " x", nil },
		"not ASCII":  func() (string, error) { return canaryToken + "é", nil },
		"endless":    func() (string, error) { return strings.Repeat("a", 4097), nil },
		"unreadable": func() (string, error) { return "", errors.New("cannot read the file") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newStage(t, handler, func(o *backend.Options) { o.Token = token })
			_, err := s.open(t)
			want{backend.CodeUnauthorized, false, backend.ErrUnauthorized, "cannot"}.check(t, err)
		})
	}
	if sent != 0 {
		t.Errorf("%d requests went out without a good token", sent)
	}
}

func TestFileToken(t *testing.T) {
	path := filepath.Join(t.TempDir(), "token")
	read := backend.FileToken(path)
	if _, err := read(); !errors.Is(err, os.ErrNotExist) || !strings.Contains(err.Error(), "backend.token_file") {
		t.Errorf("no file: %v", err)
	}
	for text, token := range map[string]string{
		canaryToken: canaryToken, " " + canaryToken + "\r\n": canaryToken, strings.Repeat("a", 4096) + "\n": strings.Repeat("a", 4096),
		"": "", "\n": "", canaryToken + "\n" + canaryToken: "", strings.Repeat("a", 4097): "", strings.Repeat(canaryToken, 1e5): "", canaryToken + "\x00": "",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		got, err := read()
		if got != token || (err == nil) != (token != "") {
			t.Errorf("%.60q gives %.60q, %v", text, got, err)
		}
		if err != nil && canaryIn(err.Error()) != "" {
			t.Errorf("the error shows the token: %v", err)
		}
	}
	if _, err := backend.FileToken(t.TempDir())(); err == nil {
		t.Error("a directory was read as a token")
	}
}

func TestNewRefuses(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.pem")
	if err := os.WriteFile(empty, []byte("no certificate"), 0o600); err != nil {
		t.Fatal(err)
	}
	token := func() (string, error) { return "x", nil }
	for name, opts := range map[string]backend.Options{
		"no address":      {Token: token},
		"plain http":      {Token: token, URL: "http://clinic.example"},
		"file":            {Token: token, URL: "file:///etc/passwd"},
		"user":            {Token: token, URL: "https://u:p@clinic.example"},
		"query":           {Token: token, URL: "https://clinic.example?x=1"},
		"no token":        {URL: "https://clinic.example"},
		"no CA file":      {Token: token, URL: "https://clinic.example", CAFile: filepath.Join(dir, "none.pem")},
		"empty CA file":   {Token: token, URL: "https://clinic.example", CAFile: empty},
		"host with path":  {Token: token, URL: "https://clinic.example", AllowHosts: []string{"a/b"}},
		"host: two ports": {Token: token, URL: "https://clinic.example", AllowHosts: []string{"a:1:2"}},
		"empty host":      {Token: token, URL: "https://clinic.example", AllowHosts: []string{""}},
	} {
		if _, err := backend.New(opts); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := backend.New(backend.Options{Token: token, URL: "https://clinic.example", AllowHosts: []string{"::1", "[::1]:443", "a", "a:1"}}); err != nil {
		t.Error(err)
	}
}

// Printing, logging or wrapping any of the types shows nobody.
func TestNothingPrintsPatients(t *testing.T) {
	s := newStage(t, func(w http.ResponseWriter, r *http.Request) { writeScreen(t, w, goodDocument(r.Host)) })
	screen, err := s.open(t)
	if err != nil {
		t.Fatal(err)
	}
	screen.Room.ICEServers[0].Credential = canaryRoom
	request := backend.OpenRequest{AppointmentID: canaryID, Camera: backend.Granted}
	var out bytes.Buffer
	for _, log := range []*slog.Logger{slog.New(slog.NewTextHandler(&out, nil)), slog.New(slog.NewJSONHandler(&out, nil))} {
		log.Info("x", "screen", screen, "room", *screen.Room, "pointer", screen.Room, "who", screen.Room.Participant, "ice", screen.Room.ICEServers[0], "request", request)
	}
	for _, v := range []any{screen, &screen, screen.Room, *screen.Room, screen.Room.Participant, screen.Room.ICEServers[0], screen.Room.ICEServers, request, &request} {
		fmt.Fprintf(&out, "%v %+v %#v %s\n", v, v, v, v)
	}
	fmt.Fprint(&out, backend.Screen{Title: canaryTitle})
	if word := canaryIn(out.String()); word != "" {
		t.Errorf("%q is in\n%s", word, out.String())
	}
	for _, useful := range []string{"direct", "clinician", "turns:turn.example", "Granted"} {
		if !strings.Contains(out.String(), useful) {
			t.Errorf("%q is hidden, too", useful)
		}
	}
}

func TestCodeOfOtherErrors(t *testing.T) {
	if backend.Code(nil) != "" || backend.Retryable(nil) {
		t.Error("no error has a code")
	}
	if backend.Code(errors.New("x")) != backend.CodeBackendUnavailable || backend.Retryable(errors.New("x")) {
		t.Error("a strange error is not backend_unavailable")
	}
	wrapped := fmt.Errorf("in a call: %w", &backend.StateError{Code: "session_inactive"})
	if backend.Code(wrapped) != "session_inactive" || backend.Retryable(wrapped) {
		t.Errorf("wrapped state error gives %q", backend.Code(wrapped))
	}
	if errors.Is(&backend.Error{}, backend.ErrNetwork) {
		t.Error("an error without a code matches a sentinel")
	}
}
