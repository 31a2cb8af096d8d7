package backend_test

import (
	"bytes"
	"encoding/pem"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/daemon/backend"
	"kioskd/daemon/backend/screen/screentest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// What must appear in no error and no log.
const (
	canaryID    = "canary-appointment-7f3a"
	canaryToken = "canary-token-91bc"
	canaryName  = screentest.CanaryName
	canaryTitle = screentest.CanaryTitle
	canaryRoom  = screentest.CanaryRoom
	canaryWords = "canary-words: the picture of my knee is green"
)

// The id of the report is no patient data.
const theReport = "r-0123456789abcdef"

type document = screentest.Document

// goodDocument is a whole screen whose room is at host.
func goodDocument(host string) document {
	return screentest.Good("ws://"+host+"/signal", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
}

// writeScreen answers with a document of the kind application/json.
func writeScreen(t testing.TB, w http.ResponseWriter, d document) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	fmt.Fprint(w, d.JSON(t))
}

// stage is a server, a client for it and what the client logged.
type stage struct {
	*backend.Client
	server *httptest.Server
	log    *lockedBuffer
}

type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// newStage serves handler over plain HTTP on loopback; change may alter the
// options.
func newStage(t *testing.T, handler http.HandlerFunc, change ...func(*backend.Options)) stage {
	t.Helper()
	return clientOf(t, httptest.NewServer(handler), change...)
}

// newTLSStage serves handler over TLS with a certificate that the client trusts
// by file.
func newTLSStage(t *testing.T, handler http.HandlerFunc, change ...func(*backend.Options)) stage {
	t.Helper()
	server := httptest.NewTLSServer(handler)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	file := filepath.Join(t.TempDir(), "ca.pem")
	data := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	trust := func(o *backend.Options) { o.CAFile = file }
	return clientOf(t, server, append([]func(*backend.Options){trust}, change...)...)
}

func clientOf(t *testing.T, server *httptest.Server, change ...func(*backend.Options)) stage {
	t.Helper()
	log := &lockedBuffer{}
	opts := backend.Options{
		URL:     server.URL,
		Token:   func() (string, error) { return canaryToken, nil },
		Timeout: 10 * time.Second,
		Log:     slog.New(slog.NewJSONHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	for _, c := range change {
		c(&opts)
	}
	client, err := backend.New(opts)
	if err != nil {
		server.Close()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		client.Close()
		server.CloseClientConnections()
		server.Close()
		if word := canaryIn(log.String()); word != "" {
			t.Errorf("the log holds %q", word)
		}
	})
	return stage{client, server, log}
}

// host is the server's "address:port".
func (s stage) host() string { return s.server.Listener.Addr().String() }

// open opens the canary appointment.
func (s stage) open(t *testing.T) (backend.Screen, error) {
	t.Helper()
	screen, err := s.OpenRoom(t.Context(), backend.OpenRequest{AppointmentID: canaryID, Camera: backend.Granted, Microphone: backend.Denied})
	checkError(t, err)
	return screen, err
}

// refresh asks for changes at the path, which is the server's own.
func (s stage) refresh(t *testing.T, path string) (backend.Patch, error) {
	t.Helper()
	patch, err := s.Refresh(t.Context(), backend.RefreshRequest{URL: s.server.URL + path, Camera: backend.Granted, Microphone: backend.Denied})
	checkError(t, err)
	return patch, err
}

// report posts the canary's report.
func (s stage) report(t *testing.T) error {
	t.Helper()
	err := s.PostReport(t.Context(), backend.ReportPost{
		AppointmentID: canaryID, ID: theReport, Text: canaryWords, Bundle: []byte(`{"name":"` + canaryName + `"}`),
	})
	checkError(t, err)
	return err
}

// operations are all that a Client asks of the backend.
func operations() map[string]func(s stage, t *testing.T) error {
	return map[string]func(s stage, t *testing.T) error{
		"open":    func(s stage, t *testing.T) error { _, err := s.open(t); return err },
		"refresh": func(s stage, t *testing.T) error { _, err := s.refresh(t, "/"+canaryID); return err },
		"report":  stage.report,
	}
}

// checkError holds every error to the habits: it begins with "cannot", is of
// our types and holds no canary, however it is printed.
func checkError(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		return
	}
	if !strings.HasPrefix(err.Error(), "cannot ") {
		t.Errorf("%q does not begin with cannot", err)
	}
	if word := canaryIn(err.Error()); word != "" {
		t.Errorf("the error holds %q: %v", word, err)
	}
	var own *backend.Error
	var state *backend.StateError
	if !errors.As(err, &own) && !errors.As(err, &state) {
		t.Errorf("%v is of the type %T", err, err)
	}
}

// canaryIn gives the first canary that stands in the text, or "".
func canaryIn(text string) string {
	for _, word := range []string{canaryID, canaryToken, canaryName, canaryTitle, canaryRoom, canaryWords, "Oystercatcher", "Canary", "canary-"} {
		if strings.Contains(text, word) {
			return word
		}
	}
	return ""
}

// want is what a failure has to look like.
type want struct {
	code      string
	retryable bool
	is        error
	says      string
}

func (w want) check(t *testing.T, err error) {
	t.Helper()
	if err == nil {
		t.Fatalf("no error, want %s", w.code)
	}
	if backend.Code(err) != w.code || backend.Retryable(err) != w.retryable {
		t.Errorf("code %s, retryable %v; want %s, %v: %v", backend.Code(err), backend.Retryable(err), w.code, w.retryable, err)
	}
	if w.is != nil && !errors.Is(err, w.is) {
		t.Errorf("%v does not match %v", err, w.is)
	}
	if !strings.Contains(err.Error(), w.says) {
		t.Errorf("%q lacks %q", err, w.says)
	}
}

func unavailable(retryable bool, says string) want {
	return want{backend.CodeBackendUnavailable, retryable, backend.ErrUnavailable, says}
}
