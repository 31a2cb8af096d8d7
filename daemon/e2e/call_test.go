package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/e2e/stage"
)

const appointment = "e2e-canary-4711"

// theStage starts everything in a folder of its own and stops it with the test.
func theStage(t *testing.T, o stage.Options) *stage.Stage {
	t.Helper()
	// Short: a Unix socket's path has at most 107 bytes.
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(dir, 0o711); err != nil {
		t.Fatal(err)
	}
	o.Bin, o.Dir, o.FakeCamera = os.Getenv(binEnv), filepath.Join(dir, "r"), true
	s, err := stage.Start(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		noCanary(t, s)
		if t.Failed() {
			t.Logf("kioskd's log:\n%s", withoutLists(s.Kioskd.Log()))
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// thePages opens both pages.
func thePages(t *testing.T, s *stage.Stage) *stage.Pages {
	t.Helper()
	p, err := s.OpenPages(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// outputs follows the event stream and keeps each output as the client prints it.
type outputs struct {
	mu    sync.Mutex
	all   []string
	news  chan struct{}
	heads int // snapshots: one a connection, so a restart of kioskd brings one more
}

func follow(t *testing.T, s *stage.Stage) *outputs {
	t.Helper()
	o := &outputs{news: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	c, done, first := client.New(s.Socket), make(chan struct{}), make(chan struct{})
	var once sync.Once
	go func() {
		defer close(done)
		_ = c.Follow(ctx, nil, func(e apitype.Event) error { // ends with ctx
			if e.Name == apitype.EventSnapshot {
				o.mu.Lock()
				o.heads++
				o.mu.Unlock()
			}
			once.Do(func() { close(first) })
			if e.Name == apitype.EventOutput {
				o.add(string(e.Data))
			}
			return nil
		})
	}()
	t.Cleanup(func() { cancel(); <-done; c.Close() })
	select {
	case <-first:
	case <-time.After(5 * time.Second):
		t.Fatal("no snapshot on the event stream")
	}
	return o
}

func (o *outputs) add(data string) {
	var b bytes.Buffer
	if err := json.Compact(&b, []byte(data)); err != nil {
		b.WriteString(data)
	}
	o.mu.Lock()
	o.all = append(o.all, b.String())
	o.mu.Unlock()
	select {
	case o.news <- struct{}{}:
	default:
	}
}

// take returns what has come, once want is among it, and starts anew.
func (o *outputs) take(t *testing.T, want string, within time.Duration) []string {
	t.Helper()
	deadline := time.After(within)
	for {
		o.mu.Lock()
		if slices.Contains(o.all, want) {
			all := o.all
			o.all = nil
			o.mu.Unlock()
			return all
		}
		all := slices.Clone(o.all)
		o.mu.Unlock()
		select {
		case <-o.news:
		case <-deadline:
			t.Fatalf("no output %s within %v, only %v", want, within, all)
		}
	}
}

// kioskctl runs the technician's command line and returns its JSON answer.
func kioskctl(t *testing.T, s *stage.Stage, args ...string) map[string]any {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 15*time.Second)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(os.Getenv(binEnv), "kioskctl"), append([]string{"--socket", s.Socket}, args...)...)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("kioskctl %v: %v\n%s", args, err, stderr.Bytes())
	}
	var v map[string]any
	if err := json.Unmarshal(out, &v); err != nil {
		t.Fatalf("kioskctl %v does not print JSON: %v\n%s", args, err, out)
	}
	return v
}

// until waits for a condition that something outside changes.
func until(t *testing.T, what string, within time.Duration, ok func() (bool, string)) time.Duration {
	t.Helper()
	start, tick := time.Now(), time.NewTicker(20*time.Millisecond)
	defer tick.Stop()
	for {
		done, seen := ok()
		if done {
			return time.Since(start)
		}
		if time.Since(start) > within {
			t.Fatalf("%s: not within %v, last seen: %s", what, within, seen)
		}
		<-tick.C
	}
}

func clinician(t *testing.T, p *stage.Pages) stage.Clinician {
	t.Helper()
	c, err := p.Clinician.Clinician(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestOneCall is the main job: a call with everything real, then every action of
// it, with the contract's outputs to the letter.
func TestOneCall(t *testing.T) {
	s := theStage(t, stage.Options{})
	p := thePages(t, s)
	outs := follow(t, s)

	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	f, err := s.Judge(ctx, p, appointment, 4*time.Second)
	if err != nil {
		t.Fatal(err)
	}
	t.Log(f)
	if f.Frames < 10 {
		t.Errorf("the clinician's page decoded only %d frames in 4 s", f.Frames)
	}
	got := outs.take(t, `{"state":"active"}`, time.Second)
	if n := count(got, `{"session":"started"}`); n != 1 {
		t.Errorf("session = started came %d times: %v", n, got)
	}
	if count(got, `{"state":"waiting"}`) == 0 {
		t.Errorf("state = waiting never came: %v", got)
	}
	thePut(t, s)

	muteAndUnmute(t, s, p, outs)
	videoOffAndOn(t, s, p, outs)
	screenShowsIt(t, p)

	kioskctl(t, s, "end", "--json")
	outs.take(t, `{"state":"ended"}`, 2*time.Second)
	until(t, "the clinician's page is told", 5*time.Second, func() (bool, string) {
		c := clinician(t, p)
		return c.State == "patient-left", c.State
	})
	if err := p.Screen.Until(ctx, `document.body.dataset.state === "ended"`); err != nil {
		t.Error(err)
	}
	until(t, "the camera is closed", 2*time.Second, func() (bool, string) { return openers(t, s) })
	if log := s.Kioskd.Log(); strings.Contains(log, appointment) || strings.Contains(log, "Dr. Example") {
		t.Error("the appointment or a name stands in the log")
	}
}

func count(all []string, want string) int {
	n := 0
	for _, o := range all {
		if o == want {
			n++
		}
	}
	return n
}

// thePut checks what the backend was asked.
func thePut(t *testing.T, s *stage.Stage) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, s.Backend()+"/sim/log", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	http.DefaultClient.CloseIdleConnections()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"PUT"`, "/api/v3/appointments/" + appointment + "/video-room", `"Granted"`} {
		if !strings.Contains(string(b), want) {
			t.Errorf("the backend saw no %s: %s", want, b)
		}
	}
}

func muteAndUnmute(t *testing.T, s *stage.Stage, p *stage.Pages, outs *outputs) {
	t.Helper()
	if a := kioskctl(t, s, "mute", "on", "--json"); a["durable"] != true {
		t.Errorf("the mute's answer: %v", a)
	}
	outs.take(t, `{"audio":"updated"}`, 2*time.Second)
	until(t, "the clinician's page hears silence", 5*time.Second, func() (bool, string) {
		c := clinician(t, p)
		return c.RMS < 1e-4, fmt.Sprintf("rms %g at %.0f Hz", c.RMS, c.PeakHz)
	})
	kioskctl(t, s, "mute", "off", "--json")
	outs.take(t, `{"audio":"updated"}`, 2*time.Second)
	until(t, "the clinician's page hears the tone again", 5*time.Second, func() (bool, string) {
		c := clinician(t, p)
		return stage.Hears(c.PeakHz, stage.ToneHz) && c.RMS > 1e-3, fmt.Sprintf("rms %g at %.0f Hz", c.RMS, c.PeakHz)
	})
}

// openers asks fakecam whether nobody holds the camera.
func openers(t *testing.T, s *stage.Stage) (bool, string) {
	t.Helper()
	a, err := s.Camera(t.Context(), 0, "openers")
	if err != nil {
		t.Fatal(err)
	}
	return strings.HasPrefix(a, "ok openers 0 "), a
}

// closedWithin is the promise: video off closes the device within this time.
const closedWithin = 500 * time.Millisecond

func videoOffAndOn(t *testing.T, s *stage.Stage, p *stage.Pages, outs *outputs) {
	t.Helper()
	if free, a := openers(t, s); free {
		t.Fatalf("nobody holds the camera in the call: %s", a)
	}
	c := client.New(s.Socket)
	defer c.Close()
	off, on := true, false
	if _, err := c.DisableVideo(t.Context(), &off); err != nil {
		t.Fatal(err)
	}
	took := until(t, "video off closes the camera", closedWithin, func() (bool, string) { return openers(t, s) })
	t.Logf("camera closed %d ms after the answer to video off", took.Milliseconds())
	outs.take(t, `{"video":"updated"}`, 2*time.Second)
	before := len(clinician(t, p).Latencies)
	if _, err := c.DisableVideo(t.Context(), &on); err != nil {
		t.Fatal(err)
	}
	outs.take(t, `{"video":"updated"}`, 2*time.Second)
	until(t, "the patient's picture is back", 10*time.Second, func() (bool, string) {
		n := len(clinician(t, p).Latencies)
		return n > before+10, fmt.Sprintf("%d coded frames more", n-before)
	})
}

// screenShowsIt checks the touchscreen page's own words and controls.
func screenShowsIt(t *testing.T, p *stage.Pages) {
	t.Helper()
	controls, err := stage.Eval[[]string](t.Context(), p.Screen,
		`[...document.querySelectorAll("button[data-reference]")].filter(b => b.offsetParent).map(b => b.dataset.reference)`)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"end-call", "disable-video", "mute"} {
		if !slices.Contains(controls, want) {
			t.Errorf("the page shows no %s, only %v", want, controls)
		}
	}
	label, err := stage.Eval[string](t.Context(), p.Screen, `document.querySelector("#participant").textContent`)
	if err != nil || !strings.Contains(label, "Dr. Example") {
		t.Errorf("the participant label says %q (%v)", label, err)
	}
	timer, err := stage.Eval[string](t.Context(), p.Screen, `document.querySelector("#timer").textContent`)
	if err != nil || !strings.Contains(timer, ":") || strings.Contains(timer, "00:00") {
		t.Errorf("the session timer says %q (%v)", timer, err)
	}
}

// TestReadmeCurl runs the README's curl lines as they are printed, against a
// stage in the folder that they name.
func TestReadmeCurl(t *testing.T) {
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	var lines []string
	for l := range strings.Lines(string(readme)) {
		if l = strings.TrimSpace(l); strings.HasPrefix(l, "curl ") {
			lines = append(lines, l)
		}
	}
	if len(lines) < 4 {
		t.Fatalf("README has only %d curl lines", len(lines))
	}
	s := theStage(t, stage.Options{})
	root := t.TempDir()
	if err := os.MkdirAll(filepath.Join(root, "demo"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Symlink(filepath.Dir(s.Socket), filepath.Join(root, "demo/run")); err != nil {
		t.Fatal(err)
	}
	for _, l := range lines {
		// An event stream has no end: two seconds of it show that it works.
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		cmd := exec.CommandContext(ctx, "sh", "-c", strings.Replace(l, "curl ", "curl --max-time 2 --fail-with-body -sS ", 1))
		cmd.Dir = root
		out, err := cmd.CombinedOutput()
		cancel()
		if strings.Contains(l, "/v1/events") {
			if !bytes.Contains(out, []byte("event: snapshot")) {
				t.Errorf("%s\n gave no snapshot: %s", l, out)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s\n gave %v: %s", l, err, out)
		}
	}
}
