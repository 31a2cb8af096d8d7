package stage

import (
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const wait = 20 * time.Second

// newStage is one with folders and without programs.
func newStage(t *testing.T) *Stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "k") // a socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	s := &Stage{dir: filepath.Join(dir, "r"), Socket: filepath.Join(dir, "r", "control.sock")}
	s.opts.Dir = s.dir
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for _, p := range s.processes {
			p.Kill()
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return s
}

// shell starts a script as a program of the stage.
func (s *Stage) shell(t *testing.T, script string, env ...string) *Process {
	t.Helper()
	p, err := s.start("shell", false, env, "/bin/sh", "-c", script)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// started waits until the script says so.
func (p *Process) started(t *testing.T, word string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	for !strings.Contains(p.Log(), word) {
		if err := p.pause(ctx); err != nil {
			t.Fatal(err)
		}
	}
}

func TestProcessStopsAtSIGTERM(t *testing.T) {
	p := newStage(t).shell(t, `trap 'echo bye; exit 0' TERM; echo up; while :; do sleep 0.05; done`)
	p.started(t, "up")
	if p.PID() <= 1 {
		t.Errorf("its id is %d", p.PID())
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(p.Log(), "bye") {
		t.Errorf("its log is %q", p.Log())
	}
}

func TestBadExitIsReported(t *testing.T) {
	for script, says := range map[string]string{
		"exit 3":                  "exit status 3",
		"kill -USR1 $$":           "user defined signal 1",
		"echo up; exec sleep 100": "terminated", // SIGTERM not handled
	} {
		p := newStage(t).shell(t, script)
		if strings.Contains(script, "up") {
			p.started(t, "up")
		} else {
			<-p.done
		}
		if err := p.Stop(); err == nil || !strings.Contains(err.Error(), says) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%s: %v, want %q", script, err, says)
		}
	}
}

func TestKillNeedsNoConsent(t *testing.T) {
	p := newStage(t).shell(t, `trap '' TERM; echo up; while :; do sleep 0.05; done`)
	p.started(t, "up")
	p.Kill()
	p.Kill() // a second one finds nothing
	status, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || status.Signal() != syscall.SIGKILL {
		t.Errorf("it ended as %v", p.cmd.ProcessState)
	}
}

// Who ignores SIGTERM is killed, and that is an error.
func TestStubbornProcessIsKilled(t *testing.T) {
	t.Parallel()
	p := newStage(t).shell(t, `trap '' TERM; echo up; while :; do sleep 0.05; done`)
	p.started(t, "up")
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "after SIGTERM") {
		t.Errorf("got %v", err)
	}
	select {
	case <-p.done:
	default:
		t.Error("it is still there")
	}
}

func TestUnknownProgram(t *testing.T) {
	if _, err := newStage(t).start("none", false, nil, "/none"); err == nil || !strings.HasPrefix(err.Error(), "cannot start none") {
		t.Errorf("got %v", err)
	}
	s := &Stage{dir: filepath.Join(t.TempDir(), "none")}
	if _, err := s.start("x", false, nil, "/bin/true"); err == nil || !strings.HasPrefix(err.Error(), "cannot open the log") {
		t.Errorf("without a folder: %v", err)
	}
}

// Programs of the stage see nothing of the user's or systemd's.
func TestEnvironment(t *testing.T) {
	for _, v := range []string{"NOTIFY_SOCKET", "LISTEN_FDS", "XDG_RUNTIME_DIR", "PULSE_SERVER", "STATE_DIRECTORY", "KIOSKD_SOCKET"} {
		t.Setenv(v, "canary")
	}
	s := newStage(t)
	p := s.shell(t, "env; echo up; exec cat /dev/null", "EXTRA=1")
	<-p.done
	log := p.Log()
	for _, want := range []string{"HOME=" + s.abs("home"), "TMPDIR=" + scratch, "XDG_RUNTIME_DIR=" + s.abs("run"), "EXTRA=1", "PATH="} {
		if !strings.Contains("\n"+log, "\n"+want) {
			t.Errorf("%s is not in its environment", want)
		}
	}
	if strings.Contains(log, "canary") {
		t.Errorf("the environment is\n%s", log)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
}

func TestWaitForAFile(t *testing.T) {
	s := newStage(t)
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	path := s.abs("launch.json")
	p := s.shell(t, `: > "$F"; sleep 0.2; echo '{"Backend": "x"}' > "$F"; exec sleep 100`, "F="+path)
	var l struct{ Backend string }
	if err := readLaunch(ctx, p, path, &l); err != nil || l.Backend != "x" {
		t.Errorf("got %+v, %v", l, err)
	}
	short, stop := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer stop()
	if _, err := p.waitFile(short, s.abs("none")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a file that does not come: %v", err)
	}
	p.Kill()
	ended := s.shell(t, "seq 1 20; exit 1")
	_, err := ended.waitFile(ctx, s.abs("none"))
	if err == nil || !strings.Contains(err.Error(), "shell ended: exit status 1\n") || !strings.HasSuffix(err.Error(), "\n20") {
		t.Errorf("of a program that ended: %v", err)
	}
	if tail := ended.tail(); strings.Count(tail, "\n") != 14 {
		t.Errorf("its last lines are %q", tail)
	}
}

func TestBrokenNamesTheProgramThatEnded(t *testing.T) {
	s := newStage(t)
	s.shell(t, "exec sleep 100")
	doomed := s.shell(t, "echo last words; read -r _ < /dev/zero; exec sleep 100")
	broken := s.Broken()
	doomed.Kill()
	select {
	case err := <-broken:
		if !strings.Contains(err.Error(), "shell ended") {
			t.Errorf("got %v", err)
		}
	case <-time.After(wait):
		t.Error("nobody noticed")
	}
}

func TestStopEndsAllAndReportsEach(t *testing.T) {
	s := newStage(t)
	n, err := listenNotify(s.abs("notify.sock"))
	if err != nil {
		t.Fatal(err)
	}
	s.notify = n
	list := []*Process{s.shell(t, "exit 1"), s.shell(t, "trap 'exit 0' TERM; echo up; while :; do sleep 0.05; done"), s.shell(t, "exit 2")}
	list[1].started(t, "up")
	<-list[0].done
	<-list[2].done
	err = s.Stop()
	if err == nil || !strings.Contains(err.Error(), "exit status 1") || !strings.Contains(err.Error(), "exit status 2") {
		t.Errorf("got %v", err)
	}
	for _, p := range list {
		<-p.done
	}
	if s.notify != nil || len(s.processes) != 0 {
		t.Error("something is left")
	}
	if err := s.Stop(); err != nil {
		t.Errorf("a second stop: %v", err)
	}
	if err := s.CleanKeepingLogs(); err != nil {
		t.Error(err)
	}
	entries, err := os.ReadDir(s.dir)
	if err != nil || len(entries) != 1 || entries[0].Name() != "logs" {
		t.Errorf("left are %v, %v", entries, err)
	}
}

func TestNotifySocket(t *testing.T) {
	s := newStage(t)
	path := s.abs("notify.sock")
	if err := os.WriteFile(path, nil, 0o600); err != nil { // of an earlier start
		t.Fatal(err)
	}
	n, err := listenNotify(path)
	if err != nil {
		t.Fatal(err)
	}
	defer n.close()
	p := s.shell(t, "exec sleep 100")
	conn, err := net.Dial("unixgram", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	say := func(text string) {
		if _, err := conn.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	say("STATUS=starting")
	say("STATUS=READY=1 soon\nXREADY=1")
	short, stop := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer stop()
	if err := n.wait(short, p); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("before READY: %v", err)
	}
	say("READY=1\nSTATUS=up")
	say("READY=1") // again: no panic
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	if err := n.wait(ctx, p); err != nil {
		t.Error(err)
	}
	fresh, err := listenNotify(s.abs("other.sock"))
	if err != nil {
		t.Fatal(err)
	}
	defer fresh.close()
	p.Kill()
	if err := fresh.wait(ctx, p); err == nil || !strings.Contains(err.Error(), "ended") {
		t.Errorf("of a dead program: %v", err)
	}
	if _, err := listenNotify(filepath.Join(s.dir, "none", "x")); err == nil {
		t.Error("it listens nowhere")
	}
}

func TestUsage(t *testing.T) {
	s := newStage(t)
	busy := s.shell(t, "while :; do :; done")
	idle := s.shell(t, "exec sleep 100")
	for _, c := range []struct {
		p        *Process
		from, to float64
	}{{busy, 1, 120}, {idle, 0, 20}} {
		u, err := c.p.Usage(t.Context(), 500*time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if u.CPU < c.from || u.CPU > c.to || u.RSS <= 0 || u.RSS > 50 || u.PSS <= 0 || u.PSS > u.RSS {
			t.Errorf("%v: %s, PSS %f", c.p.cmd.Args, u, u.PSS)
		}
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if _, err := idle.Usage(ended, wait); !errors.Is(err, context.Canceled) {
		t.Errorf("without time: %v", err)
	}
	short := s.shell(t, "exec sleep 0.2")
	if _, err := short.Usage(t.Context(), wait); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
		t.Errorf("of a program that ends: %v", err)
	}
	if _, err := kibibytes(os.Getpid(), "None:"); err == nil {
		t.Error("a line that is not there was read")
	}
	if !slices.Contains(strings.Fields(Usage{RSS: 12.4, CPU: 3.21}.String()), "3.2") {
		t.Errorf("as text: %s", Usage{RSS: 12.4, CPU: 3.21})
	}
}
