package main_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/cmd/clinicsim/hub"
	"kioskd/daemon/client"
)

// wait bounds what has to come soon, also on a machine under load.
const wait = 20 * time.Second

// clinic is a backend with a room a token; it keeps the keys of the reports that it
// was sent.
type clinic struct {
	url  string
	mu   sync.Mutex
	kept map[string]bool
}

func newClinic(t *testing.T) *clinic {
	t.Helper()
	c := &clinic{kept: map[string]bool{}}
	h := hub.New(hub.Options{Authorize: func(token string) (string, bool) { return token, true }})
	mux := http.NewServeMux()
	mux.Handle("/signal", h)
	mux.HandleFunc("PUT /api/v3/appointments/{id}/video-room", c.screen)
	mux.HandleFunc("POST /api/v3/appointments/{id}/video-room/issue/report", c.report)
	srv := httptest.NewServer(mux)
	t.Cleanup(func() { h.Close(); srv.Close() })
	c.url = srv.URL
	return c
}

func (c *clinic) screen(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	room := map[string]any{
		"provider": "direct", "url": "ws://" + r.Host + "/signal", "token": r.PathValue("id"),
		"expires": time.Now().Add(time.Hour).UTC().Format(time.RFC3339), "ice_servers": []any{},
		"participant":     map[string]any{"name": "Dr. Nobody", "role": "clinician"},
		"session_seconds": 1800, "wait_seconds": 900, "chat": true, "report_issue": true,
	}
	_ = json.NewEncoder(w).Encode(map[string]any{"title": "Visit", "type": "Video", "room": room})
}

func (c *clinic) report(w http.ResponseWriter, r *http.Request) {
	if _, err := io.Copy(io.Discard, r.Body); err != nil {
		return // the kiosk was killed in the middle of it
	}
	c.mu.Lock()
	c.kept[r.Header.Get("Idempotency-Key")] = true
	c.mu.Unlock()
	w.WriteHeader(http.StatusCreated)
}

func (c *clinic) has(id string) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.kept[id]
}

// box is one kiosk without devices: a folder, and the processes that come and go in it.
type box struct {
	dir, state, socket string
	clinic             *clinic
	safe               bool // it may be in safe mode
	api                *client.Client
	http               *http.Client
	log                *os.File
}

func newBox(t *testing.T, c *clinic) *box {
	t.Helper()
	dir, err := os.MkdirTemp("", "k") // short: a socket's path has 107 bytes at most
	if err != nil {
		t.Fatal(err)
	}
	b := &box{dir: dir, state: filepath.Join(dir, "state"), socket: filepath.Join(dir, "s"), clinic: c}
	err = errors.Join(os.Mkdir(filepath.Join(dir, "dev"), 0o700), os.WriteFile(filepath.Join(dir, "token"), []byte("token"), 0o600))
	if err == nil {
		b.log, err = os.OpenFile(filepath.Join(dir, "log"), os.O_CREATE|os.O_RDWR|os.O_APPEND, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	b.api = client.New(b.socket)
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", b.socket)
	}}
	b.http = &http.Client{Transport: transport, Timeout: wait}
	t.Cleanup(func() {
		b.api.Close()
		transport.CloseIdleConnections()
		if t.Failed() {
			t.Logf("the newest of %s:\n%s", b.log.Name(), b.tail())
		}
		if err := errors.Join(b.log.Close(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return b
}

// tail is the end of the daemon's log.
func (b *box) tail() string {
	text, err := os.ReadFile(b.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(text[max(0, len(text)-3000):])
}

func (b *box) args() []string {
	var args []string
	for _, set := range []string{
		"api.socket=" + b.socket, "store.dir=" + b.state, "backend.url=" + b.clinic.url, "backend.token_file=" + filepath.Join(b.dir, "token"),
		"camera.directory=" + filepath.Join(b.dir, "dev"), "microphone.enabled=false", "network.loopback_counts=true", "room.loopback=true",
		fmt.Sprintf("daemon.safe_mode=%t", b.safe), // most die more often than any kiosk
	} {
		args = append(args, "-set", set)
	}
	return args
}

// daemon is one process of a box.
type daemon struct {
	cmd    *exec.Cmd
	began  time.Time
	ready  chan struct{} // closed at READY=1
	done   chan struct{} // closed when the process is gone
	told   atomic.Int64  // nanoseconds from the start to READY
	killed atomic.Bool   // by us
	status chan string   // what it tells systemd of itself; what finds no place is dropped
}

// start runs kioskd in the box; before goes before its command line (strace).
func (b *box) start(env []string, before ...string) (*daemon, error) {
	path := filepath.Join(b.dir, "n")
	_ = os.Remove(path)
	notify, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Net: "unixgram", Name: path})
	if err != nil {
		return nil, err
	}
	args := append(append(before, os.Getenv(daemonEnv)), b.args()...)
	d := &daemon{cmd: exec.Command(args[0], args[1:]...), began: time.Now(), ready: make(chan struct{}), done: make(chan struct{}), status: make(chan string, 16)}
	d.cmd.Env = append(append(os.Environ(), "NOTIFY_SOCKET="+path), env...)
	d.cmd.Stderr = b.log
	if err := d.cmd.Start(); err != nil {
		return nil, errors.Join(err, notify.Close())
	}
	var reader sync.WaitGroup
	reader.Go(func() {
		for buf := make([]byte, 4096); ; {
			n, err := notify.Read(buf)
			if err != nil {
				return // closed below
			}
			if bytes.HasPrefix(buf[:n], []byte("READY=1")) && d.told.CompareAndSwap(0, int64(time.Since(d.began))) {
				close(d.ready)
			}
			if _, status, ok := bytes.Cut(buf[:n], []byte("STATUS=")); ok {
				select {
				case d.status <- string(status):
				default:
				}
			}
		}
	})
	go func() {
		_ = d.cmd.Wait() // how it ended stands in ProcessState
		_ = notify.Close()
		reader.Wait()
		close(d.done)
	}()
	return d, nil
}

// kill is kill -9.
func (d *daemon) kill() {
	d.killed.Store(true)
	_ = d.cmd.Process.Kill()
}

// end kills the process and waits for its end.
func (d *daemon) end() {
	d.kill()
	<-d.done
}

// alive waits for READY; false: the process is gone.
func (d *daemon) alive() (bool, error) {
	deadline := time.NewTimer(wait)
	defer deadline.Stop()
	select {
	case <-d.ready:
		return true, nil
	case <-d.done:
		return false, nil
	case <-deadline.C:
		d.end()
		return false, errors.New("kioskd does not get ready")
	}
}

// gone waits for the end of the process.
func (d *daemon) gone(within time.Duration) error {
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	select {
	case <-d.done:
		return nil
	case <-deadline.C:
		d.end()
		return fmt.Errorf("kioskd is still there after %v", within)
	}
}

// answer is what the control API said; status 0: nothing.
type answer struct {
	status int
	body   []byte
}

// code is the stable code of a problem.
func (a answer) code() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.body, &p) // no problem: no code
	return p.Code
}

// send asks the control API once. An error means that no whole answer came.
func (b *box) send(method, route, key, body string) (answer, error) {
	req, err := http.NewRequest(method, "http://kioskd"+route, strings.NewReader(body))
	if err != nil {
		return answer{}, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Idempotency-Key", key)
	resp, err := b.http.Do(req)
	if err != nil {
		return answer{}, err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{resp.StatusCode, text}, nil
}
