package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func stringReader(s string) io.Reader { return strings.NewReader(s) }

// screen is a running kioskscreen with the file its launcher wrote.
type screen struct {
	t      *testing.T
	base   string // "http://127.0.0.1:PORT"
	launch string
	logs   *lockedBuffer
}

// startScreen runs the whole program, apart from main's own lines, until the
// test ends.
func startScreen(t *testing.T, socket string, change ...func(*options)) *screen {
	t.Helper()
	s := &screen{t: t, launch: filepath.Join(t.TempDir(), "launch.json"), logs: &lockedBuffer{}}
	o := options{
		listen: "127.0.0.1:0", socket: socket, launch: s.launch, browserUID: os.Getuid(), lang: "en",
		log: slog.New(slog.NewJSONHandler(s.logs, &slog.HandlerOptions{Level: slog.LevelDebug})), stdout: io.Discard,
	}
	for _, c := range change {
		c(&o)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, o) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Errorf("serve ended with %v", err)
			}
		case <-time.After(10 * time.Second):
			t.Error("serve did not end within 10 s")
		}
	})
	link := s.link()
	s.base = link[:strings.Index(link, openPath)]
	return s
}

// startPage runs the program with a launch file that is a page, and waits for it.
func startPage(t *testing.T, far *farSide, file string) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan int, 1)
	go func() {
		done <- realMain(ctx, []string{"-lang", "en", "-launch", file, "-socket", far.socket}, io.Discard, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		if code := <-done; code != 0 {
			t.Errorf("exit code %d", code)
		}
	})
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		if _, err := os.Stat(file); err == nil {
			return
		}
		<-time.After(5 * time.Millisecond)
	}
	t.Fatal("kioskscreen wrote no launch file within 10 s")
}

// link reads the one-use link from the launch file, waiting for it to be there.
func (s *screen) link() string {
	s.t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for time.Now().Before(deadline) {
		data, err := os.ReadFile(s.launch)
		if err != nil {
			<-time.After(5 * time.Millisecond)
			continue
		}
		var file map[string]string
		if err := json.Unmarshal(data, &file); err != nil {
			s.t.Fatal(err)
		}
		return file["screen"]
	}
	s.t.Fatal("kioskscreen wrote no launch file within 10 s")
	return ""
}

// client opens the screen and keeps its cookie.
func (s *screen) client() *http.Client {
	s.t.Helper()
	jar, err := cookiejar.New(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	transport := &http.Transport{}
	s.t.Cleanup(transport.CloseIdleConnections)
	c := &http.Client{Jar: jar, Transport: transport, Timeout: 20 * time.Second}
	resp, err := c.Get(s.link())
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK || resp.Request.URL.Path != "/" {
		s.t.Fatalf("the link led to %s with status %d", resp.Request.URL.Path, resp.StatusCode)
	}
	return c
}

// ask sends one request as the page would and gives status, header and body.
func (s *screen) ask(c *http.Client, method, path, contentType, body string, headers ...string) (*http.Response, string) {
	s.t.Helper()
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Origin", s.base)
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i+1 < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := c.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(resp.Body)
	if err != nil {
		s.t.Fatal(err)
	}
	return resp, string(data)
}

// The program must stay a client: no media, no store, no devices.
func TestWalls(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", ".").CombinedOutput()
	if err != nil {
		t.Fatalf("cannot list the imports: %v\n%s", err, out)
	}
	deps := strings.Fields(string(out))
	if len(deps) < 50 {
		t.Fatalf("go list gave only %d packages", len(deps))
	}
	for _, dep := range deps {
		for _, wall := range []string{"github.com/pion/", "go.etcd.io/bbolt", "blackjack/webcam", "kioskd/capture", "kioskd/store", "kioskd/daemon/call"} {
			if strings.HasPrefix(dep, wall) || strings.Contains(dep, wall) {
				t.Errorf("kioskscreen imports %s", dep)
			}
		}
	}
}

func TestUsage(t *testing.T) {
	tests := []struct {
		name string
		args []string
		code int
		says string
	}{
		{"unknown flag", []string{"-nope"}, 2, "flag provided but not defined"},
		{"argument", []string{"x"}, 2, "only flags are taken"},
		{"every address", []string{"-listen", "0.0.0.0:0"}, 1, "127.0.0.1 only"},
		{"no address", []string{"-listen", ":8080"}, 1, "127.0.0.1 only"},
		{"a name", []string{"-listen", "localhost:0"}, 1, "127.0.0.1 only"},
		{"IPv6", []string{"-listen", "[::1]:0"}, 1, "127.0.0.1 only"},
		{"language", []string{"-lang", "tlh"}, 1, "use one of de, en, es"},
		{"launch folder", []string{"-launch", "/nonexistent/x/launch.json"}, 1, "its folder does not exist"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var stdout, stderr bytes.Buffer
			if code := realMain(t.Context(), tt.args, &stdout, &stderr); code != tt.code {
				t.Errorf("exit code %d, want %d", code, tt.code)
			}
			if !strings.Contains(stderr.String(), tt.says) {
				t.Errorf("stderr %q lacks %q", stderr.String(), tt.says)
			}
		})
	}
}

func TestPrintsLinkAndRemovesLaunchFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "launch.json")
	ctx, cancel := context.WithCancel(t.Context())
	var stdout, stderr lockedBuffer
	done := make(chan int, 1)
	go func() {
		done <- realMain(ctx, []string{"-print-url", "-launch", file, "-socket", "/nonexistent"}, &stdout, &stderr)
	}()
	s := &screen{t: t, launch: file}
	link := s.link()
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit code %d: %s", code, stderr.String())
	}
	if got := strings.TrimSpace(stdout.String()); got != link {
		t.Errorf("printed %q, the launch file has %q", got, link)
	}
	if _, err := os.Stat(file); !os.IsNotExist(err) {
		t.Errorf("the launch file is still there: %v", err)
	}
	if code := link[strings.LastIndex(link, "/")+1:]; strings.Contains(stderr.String(), code) {
		t.Error("the code is in the log")
	}
}
