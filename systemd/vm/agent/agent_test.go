package agent

import (
	"context"
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// serve runs an agent on loopback and gives a client of it.
func serve(t *testing.T) *Client {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- Server(ctx, ln) }()
	c := NewClient(ln.Addr().String())
	t.Cleanup(func() {
		c.Close()
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return c
}

func TestRun(t *testing.T) {
	c := serve(t)
	if err := c.Alive(t.Context()); err != nil {
		t.Fatal(err)
	}
	r, err := c.Run(t.Context(), time.Minute, "sh", "-c", "echo out; echo err >&2; exit 3")
	if err != nil || r.Code != 3 || r.Output != "out\nerr\n" || r.Elapsed <= 0 {
		t.Errorf("%+v, %v", r, err)
	}
	if _, err := c.Must(t.Context(), time.Minute, "sh", "-c", "echo because; exit 1"); err == nil || !strings.Contains(err.Error(), "because") {
		t.Errorf("got %v", err)
	}
	if out, err := c.Must(t.Context(), time.Minute, "echo", "a b"); err != nil || out != "a b\n" {
		t.Errorf("%q, %v", out, err)
	}
	if r, err := c.Run(t.Context(), time.Minute, "head", "-c", "200000", "/dev/zero"); err != nil || len(r.Output) != maxOutput {
		t.Errorf("%d bytes, %v", len(r.Output), err)
	}
}

func TestRunIsRefused(t *testing.T) {
	c := serve(t)
	for _, bad := range []struct {
		within time.Duration
		args   []string
	}{{time.Second, nil}, {0, []string{"true"}}, {time.Hour, []string{"true"}}, {time.Second, []string{"/nowhere/program"}}} {
		if r, err := c.Run(t.Context(), bad.within, bad.args...); err == nil || !strings.Contains(err.Error(), "cannot run") {
			t.Errorf("%q within %v: %+v, %v", bad.args, bad.within, r, err)
		}
	}
}

// What takes too long is killed with all that it started.
func TestRunEndsInTime(t *testing.T) {
	c := serve(t)
	pids := filepath.Join(t.TempDir(), "pids")
	_, err := c.Run(t.Context(), 300*time.Millisecond, "sh", "-c", "sleep 100 & echo $! > "+pids+"; wait")
	if err == nil || !strings.Contains(err.Error(), "longer than") {
		t.Fatalf("got %v", err)
	}
	b, err := os.ReadFile(pids)
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		t.Fatal(err)
	}
	last := time.Now().Add(10 * time.Second)
	for !ended(pid) {
		if time.Now().After(last) {
			t.Fatalf("process %d is still there", pid)
		}
		<-time.After(10 * time.Millisecond)
	}
}

// ended tells whether a process is gone, or dead and not fetched by its parent yet.
func ended(pid int) bool {
	if syscall.Kill(pid, 0) != nil {
		return true
	}
	b, err := os.ReadFile(filepath.Join("/proc", strconv.Itoa(pid), "stat"))
	return err != nil || strings.Contains(string(b), ") Z ")
}

func TestWrite(t *testing.T) {
	c := serve(t)
	path := filepath.Join(t.TempDir(), "unbind")
	if err := c.Write(t.Context(), path, "vivid.0"); err == nil || !strings.Contains(err.Error(), "cannot open a file") {
		t.Errorf("a file that is not there was made: %v", err)
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := c.Write(t.Context(), path, "vivid.0"); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "vivid.0" {
		t.Errorf("%q, %v", b, err)
	}
}

func TestHolders(t *testing.T) {
	proc := t.TempDir()
	for pid, links := range map[string]map[string]string{
		"12":   {"3": "/dev/video1 (deleted)", "4": "/dev/snd/pcmC0D1c", "5": "socket:[77]"},
		"7":    {"0": "/dev/null", "1": "/tmp/dev/video0"},
		"self": {"3": "/dev/video0"},
	} {
		fd := filepath.Join(proc, pid, "fd")
		if err := os.MkdirAll(fd, 0o755); err != nil {
			t.Fatal(err)
		}
		for n, to := range links {
			if err := os.Symlink(to, filepath.Join(fd, n)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := os.Mkdir(filepath.Join(proc, "99"), 0o755); err != nil { // it has just ended
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(proc, "12", "comm"), []byte("kioskd\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Holders(proc, "/dev/video", "/dev/snd/")
	want := []Holder{{12, "kioskd", "/dev/video1"}, {12, "kioskd", "/dev/snd/pcmC0D1c"}}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("%v, %v; want %v", got, err, want)
	}
	if got[0].String() != "kioskd[12] /dev/video1" {
		t.Errorf("it reads %s", got[0])
	}
	if _, err := Holders(filepath.Join(proc, "none")); err == nil {
		t.Error("no proc, and no error")
	}
}

// The agent sees what this very process holds.
func TestOpen(t *testing.T) {
	c := serve(t)
	if list, err := c.Open(t.Context()); err != nil || list == nil {
		t.Errorf("%v, %v", list, err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "held"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	got, err := Holders("/proc", f.Name())
	if err != nil || len(got) != 1 || got[0].PID != os.Getpid() {
		t.Errorf("%v, %v", got, err)
	}
}

// forward carries to a server that answers each connection with what it was told,
// in capitals, once it was told all.
func forward(t *testing.T, ctx context.Context) (address string, done <-chan error) {
	t.Helper()
	far, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		for {
			c, err := far.Accept()
			if err != nil {
				return
			}
			b, _ := io.ReadAll(c)
			_, _ = io.WriteString(c, strings.ToUpper(string(b)))
			_ = c.Close()
		}
	}()
	t.Cleanup(func() { _ = far.Close(); <-gone })
	near, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	out := make(chan error, 1)
	go func() {
		out <- Forward(ctx, near, func(ctx context.Context) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, "tcp", far.Addr().String())
		})
	}()
	return near.Addr().String(), out
}

func TestForward(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	address, done := forward(t, ctx)
	c, err := net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, "hello"); err != nil {
		t.Fatal(err)
	}
	if err := c.(*net.TCPConn).CloseWrite(); err != nil { // the far side waits for it
		t.Fatal(err)
	}
	if b, err := io.ReadAll(c); err != nil || string(b) != "HELLO" {
		t.Errorf("%q, %v", b, err)
	}
	_ = c.Close()

	// One that is open when it ends is closed with it.
	c, err = net.Dial("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "x"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := c.SetReadDeadline(time.Now().Add(10 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if n, err := c.Read(make([]byte, 1)); err == nil || os.IsTimeout(err) {
		t.Errorf("it is still open: %d, %v", n, err)
	}
}

func TestForwardToNobody(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() {
		done <- Forward(ctx, ln, func(context.Context) (net.Conn, error) { return nil, os.ErrNotExist })
	}()
	c, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if b, err := io.ReadAll(c); err == nil && len(b) > 0 {
		t.Errorf("it says %q", b)
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
}
