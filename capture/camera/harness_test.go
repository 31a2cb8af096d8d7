package camera

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"

	"kioskd/capture"
	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/camns/camtest"
)

// The tests of this package run real V4L2 calls against cmd/fakecam. TestMain
// builds it and starts the test binary once more in a mount namespace with
// devices of its own, where nothing of the machine can be touched.
func TestMain(m *testing.M) {
	camtest.Enter()
	goleak.VerifyTestMain(m)
}

// fakecam is a running fakecam with one camera or more.
type fakecam struct {
	dev string // where videoN are
	// The numbers of its cameras are n from first on.
	first, n int
	cmd      *exec.Cmd
	end      chan struct{} // closed when the process is gone
	ctl      net.Conn
	in       *bufio.Reader
}

// startFakecam starts one for this test and ends it with the test.
func startFakecam(t testing.TB, args ...string) *fakecam {
	t.Helper()
	base, err := os.MkdirTemp("/dev", "test")
	if err != nil {
		t.Fatal(err)
	}
	c := &fakecam{dev: filepath.Join(base, "dev"), end: make(chan struct{})}
	c.first, c.n = number(t, args, "-first", 0), number(t, args, "-n", 1)
	sock := filepath.Join(base, "ctl")
	args = append([]string{"-mount", filepath.Join(base, "mnt"), "-dev", c.dev, "-ctl", sock}, args...)
	c.cmd = exec.Command(camtest.Fakecam(), args...)
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var log strings.Builder
	c.cmd.Stderr = &log
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	ready := make(chan error, 1)
	go func() {
		// Pdeathsig follows the thread that forked: this one stays, while others
		// end with tests that change their user.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer close(c.end)
		if err := c.cmd.Start(); err != nil {
			ready <- err
			return
		}
		line, err := bufio.NewReader(out).ReadString('\n')
		if err == nil && line != "ready\n" {
			err = fmt.Errorf("it said %q", line)
		}
		ready <- err
		_ = c.cmd.Wait() // killed by a test, or ended below
	}()
	t.Cleanup(func() {
		c.stop(t, syscall.SIGTERM)
		if t.Failed() {
			t.Logf("fakecam said:\n%s", log.String())
		}
	})
	select {
	case err = <-ready:
	case <-time.After(20 * time.Second):
		err = errors.New("it is not ready after 20 s")
	}
	if err != nil {
		t.Fatalf("cannot start fakecam: %v", err)
	}
	if c.ctl, err = net.Dial("unix", sock); err != nil {
		t.Fatal(err)
	}
	c.in = bufio.NewReader(c.ctl)
	return c
}

// number finds the value of a flag.
func number(t testing.TB, args []string, flag string, none int) int {
	t.Helper()
	at := slices.Index(args, flag)
	if at < 0 {
		return none
	}
	n, err := strconv.Atoi(args[at+1])
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// stop ends the process by the signal and waits for it.
func (c *fakecam) stop(t testing.TB, sig syscall.Signal) {
	t.Helper()
	if c.ctl != nil {
		_ = c.ctl.Close()
	}
	if c.cmd.Process == nil { // it was never there
		return
	}
	if err := c.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		t.Error(err)
	}
	select {
	case <-c.end:
	case <-time.After(10 * time.Second):
		t.Error("fakecam does not end")
		_ = c.cmd.Process.Kill()
		<-c.end
	}
}

func (c *fakecam) path(n int) string { return filepath.Join(c.dev, fmt.Sprintf("video%d", n)) }

// do sends a control command and returns what stands behind "ok".
func (c *fakecam) do(t *testing.T, format string, a ...any) string {
	t.Helper()
	if err := c.ctl.SetDeadline(time.Now().Add(5 * time.Second)); err != nil {
		t.Fatal(err)
	}
	if _, err := fmt.Fprintf(c.ctl, format+"\n", a...); err != nil {
		t.Fatal(err)
	}
	line, err := c.in.ReadString('\n')
	rest, ok := strings.CutPrefix(strings.TrimSpace(line), "ok")
	if err != nil || !ok {
		t.Fatalf("%s: %q, %v", fmt.Sprintf(format, a...), line, err)
	}
	return strings.TrimSpace(rest)
}

// openers tells how many files on camera n are open, and whether it streams.
func (c *fakecam) openers(t *testing.T, n int) (files, streaming int) {
	t.Helper()
	if _, err := fmt.Sscanf(c.do(t, "openers %d", n), "openers %d streaming %d", &files, &streaming); err != nil {
		t.Fatal(err)
	}
	return files, streaming
}

// drops tells how many frames of camera n found no buffer.
func (c *fakecam) drops(t *testing.T, n int) int {
	t.Helper()
	var frames, drops int
	if _, err := fmt.Sscanf(c.do(t, "stats %d", n), "frames %d drops %d", &frames, &drops); err != nil {
		t.Fatal(err)
	}
	return drops
}

// closedWithin waits until nobody holds camera n and fails if that takes longer.
// The kernel tells fakecam of a closed file a moment after close(2) returned.
func (c *fakecam) closedWithin(t *testing.T, n int, d time.Duration) {
	t.Helper()
	c.openWithin(t, n, 0, 0, d)
}

// openWithin waits until camera n has this many open files and is streaming or not.
func (c *fakecam) openWithin(t *testing.T, n, files, streaming int, d time.Duration) {
	t.Helper()
	for limit := time.Now().Add(d); ; {
		f, s := c.openers(t, n)
		if f == files && s == streaming {
			return
		}
		if time.Now().After(limit) {
			t.Fatalf("after %v %d files are open, streaming %d; want %d and %d", d, f, s, files, streaming)
		}
	}
}

// shot is what one frame said.
type shot struct {
	seq     uint64
	w, h    int
	taken   time.Time
	arrived time.Time
	live    bool // it carries a block code, so it is no slate
	code    blocks.Code
}

// film collects frames; its put is a consumer that never waits.
type film struct{ shots chan shot }

func newFilm() *film { return &film{make(chan shot, 4096)} }

func (f *film) put(p *capture.Frame) {
	s := shot{seq: p.Seq, w: p.Rect.Dx(), h: p.Rect.Dy(), taken: p.Time, arrived: time.Now()}
	code, err := blocks.Read(p.Y, p.YStride, s.w, s.h)
	s.live, s.code = err == nil, code
	p.Release()
	f.shots <- s
}

// next waits for a frame for which ok is true.
func (f *film) next(t *testing.T, within time.Duration, what string, ok func(shot) bool) shot {
	t.Helper()
	limit := time.After(within)
	for {
		select {
		case s := <-f.shots:
			if ok(s) {
				return s
			}
		case <-limit:
			t.Fatalf("no %s within %v", what, within)
		}
	}
}

func live(s shot) bool   { return s.live }
func slated(s shot) bool { return !s.live }
