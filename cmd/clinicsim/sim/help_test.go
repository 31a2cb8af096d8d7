package sim_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/cookiejar"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kioskd/cmd/clinicsim/sim"
)

// wait is the deadline of anything that should happen at once on a busy machine.
const wait = 20 * time.Second

// running is a simulated clinic of one test.
type running struct {
	sim.Addresses
	token  string
	client *http.Client
	end    context.CancelFunc // ends it early
}

// start runs a clinic until the test's end and checks that it ends cleanly.
func start(t *testing.T, cfg sim.Config) *running {
	t.Helper()
	if cfg.TokenFile == "" {
		cfg.TokenFile = filepath.Join(t.TempDir(), "token")
	}
	// On a busy machine a page or a test's kiosk may leave a ping unanswered for
	// longer than a clinic would wait.
	cfg.Hub.PingWait = wait
	ctx, cancel := context.WithCancel(context.Background())
	ready, ended := make(chan sim.Addresses, 1), make(chan error, 1)
	go func() { ended <- sim.Run(ctx, cfg, func(a sim.Addresses) { ready <- a }) }()
	r := &running{end: cancel}
	select {
	case r.Addresses = <-ready:
	case err := <-ended:
		cancel()
		t.Fatal(err)
	case <-time.After(wait):
		cancel()
		t.Fatal("not ready in time")
	}
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	transport := &http.Transport{}
	r.client = &http.Client{Transport: transport, Jar: jar, Timeout: wait}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		cancel()
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(wait):
			t.Error("did not stop in time")
		}
	})
	token, err := os.ReadFile(cfg.TokenFile)
	if err != nil {
		t.Fatal(err)
	}
	r.token = strings.TrimSpace(string(token))
	return r
}

// reply is one answer with its body read.
type reply struct {
	status int
	header http.Header
	body   string
	url    string // where redirects led
}

// do sends a request; header holds pairs of name and value.
func (r *running) do(t *testing.T, method, url, body string, header ...string) reply {
	t.Helper()
	if strings.HasPrefix(url, "/") {
		url = r.Backend + url
	}
	req, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		if header[i] == "Host" {
			req.Host = header[i+1]
		}
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil {
		t.Fatal(err)
	}
	return reply{resp.StatusCode, resp.Header, string(b), resp.Request.URL.String()}
}

// kioskHeaders are those of a proper request of the kiosk.
func (r *running) kioskHeaders() []string {
	return []string{"Authorization", "Bearer " + r.token, "X-Camera", "Granted", "X-Microphone", "Granted", "X-Device", "Desktop"}
}

// screen is the part of the screen document that the tests look at.
type screen struct {
	Title, Type, URL, Locale string
	Elements                 []struct {
		Level                             int
		Reference, Type, Value, Placement string
		Visible                           *bool
		Autostart                         bool
	}
	Patches map[string]any
	Room    *struct {
		Provider       string
		URL            string
		Token          string
		Expires        time.Time
		ICEServers     []any `json:"ice_servers"`
		Participant    struct{ Name, Role string }
		SessionSeconds int `json:"session_seconds"`
		WaitSeconds    int `json:"wait_seconds"`
		Chat           bool
		ReportIssue    bool `json:"report_issue"`
	}
}

// openRoom does the kiosk's PUT.
func (r *running) openRoom(t *testing.T, id string) screen {
	t.Helper()
	got := r.do(t, http.MethodPut, "/api/v3/appointments/"+id+"/video-room", "", r.kioskHeaders()...)
	if got.status != http.StatusOK {
		t.Fatalf("status %d: %s", got.status, got.body)
	}
	var s screen
	if err := json.Unmarshal([]byte(got.body), &s); err != nil {
		t.Fatal(err)
	}
	if s.Room == nil {
		t.Fatal("a screen without a room")
	}
	return s
}
