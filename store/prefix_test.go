package store

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// childScript writes one byte after each step. What fails it tries again, as the daemon
// does, and tells by a letter: the disk is full, another error, and that the store takes
// no more, which is the end.
func childScript(dir, spec string) {
	var s *Store
	list := steps(spec)
	for i := 0; i < len(list); {
		var err error
		if s == nil {
			s, err = Open(dir, Options{JournalEntries: scriptEntries})
		}
		if err == nil {
			err = list[i].do(s)
		}
		word := "."
		switch {
		case err == nil || errors.Is(err, ErrNoReport): // it was dropped, and its key could not be
			i++
		case errors.Is(err, ErrReadOnly):
			word = "R"
		case errors.Is(err, ErrFull):
			word = "F"
		default:
			word = "E"
		}
		if _, err := os.Stdout.WriteString(word); err != nil {
			return
		}
		if s != nil && s.ReadOnly() { // it says nothing good any more
			for _, step := range list[i:] {
				if err := step.do(s); !errors.Is(err, ErrReadOnly) && !errors.Is(err, ErrNoReport) {
					_, _ = os.Stdout.WriteString("!")
				}
			}
			break
		}
	}
	if s != nil {
		_ = s.Close()
	}
}

// TestEveryPrefix stops a writer before each of its system calls that change a
// file, and takes a copy of the directory: it is what kill -9 would leave at that
// point. Each copy opens, holds what was acknowledged and at most the one step
// more, and its journal and reports are sound.
func TestEveryPrefix(t *testing.T) {
	steps := script()
	dir, calls, acked := t.TempDir(), 0, 0
	look := func() {
		calls++
		to := t.TempDir()
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		if err := judge(to, steps, acked); err != nil {
			t.Fatalf("before call %d, after %d steps: %v", calls, acked, err)
		}
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
	told := traceScript(t, dir, "", func(_ int, c call) syscall.Errno {
		look()
		if c.number == syscall.SYS_WRITE && c.args[0] == 1 {
			acked++
		}
		return 0
	})
	look()
	if want := strings.Repeat(".", len(steps)); told != want || acked != len(steps) {
		t.Errorf("the writer told %q, want %q; %d were seen", told, want, acked)
	}
	if calls < 60 {
		t.Errorf("only %d calls were seen: the test sees nothing", calls)
	}
	t.Logf("%d calls", calls-1)
}

// judge opens a directory that a kill or a power cut has left, and says what is wrong
// with it: it holds what was acknowledged and at most the one step more, and its
// journal and reports are sound.
func judge(dir string, steps []step, acked int) (err error) {
	s, err := Open(dir, Options{JournalEntries: scriptEntries})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if s.SetAside() != "" {
		return errors.New("the store was damaged")
	}
	got, err := held(s)
	if err != nil {
		return err
	}
	found := false
	for i := max(0, acked-1); i <= acked && i < len(steps); i++ {
		want := steps[i]
		// A session that takes another's place ends it in a transaction before.
		between := i == acked && got.session == "" && i > 0 && want.session != "" && steps[i-1].session != "" && want.session != steps[i-1].session
		if between {
			want.reports, want.journal = steps[i-1].reports, steps[i-1].journal
		}
		found = found || (got.session == want.session || between) && got.reports == strings.Join(want.reports, " ") && got.journal == want.journal && got.face == want.face
	}
	if !found {
		return fmt.Errorf("it holds %+v after step %d", got, acked)
	}
	if left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*")); err != nil || len(left) > 0 {
		return fmt.Errorf("%v were left, %w", left, err)
	}
	return nil
}

// holding is what a store holds, each part checked in itself.
type holding struct{ session, reports, journal, face string }

func held(s *Store) (h holding, err error) {
	var model []byte
	if h.session, model, _, err = s.LoadSession(); err != nil || h.session != string(model) {
		return h, fmt.Errorf("session %q %q: %w", h.session, model, err)
	}
	list, err := s.Reports()
	if err != nil {
		return h, err
	}
	var ids []string
	for _, r := range list {
		data, _, err := s.Report(r.ID)
		if err != nil || !bytes.Equal(data, wordsOf(r.ID)) {
			return h, fmt.Errorf("report %s is %q: %w", r.ID, data, err)
		}
		ids = append(ids, r.ID)
	}
	h.reports = strings.Join(ids, " ")
	bound, err := s.Bindings()
	if h.face = bound.Roles["face"]; err != nil || h.face != string(bound.Names) || h.face == "cam-b" && len(bound.Controls) != 40 {
		return h, fmt.Errorf("the bindings are %+v, %w", bound, err)
	}
	newest, err := s.Journal(1)
	if err != nil {
		return h, err
	}
	if len(newest) > 0 {
		h.journal = newest[0].Text
	}
	if intact, broken, err := s.Verify(); !intact || err != nil {
		return h, fmt.Errorf("the journal is broken at %d, %w", broken, err)
	}
	return h, nil
}

// changes are the calls with which Go and bbolt change files.
func changes() []uint64 {
	return []uint64{
		syscall.SYS_WRITE, syscall.SYS_PWRITE64, syscall.SYS_FSYNC, syscall.SYS_FDATASYNC,
		syscall.SYS_FTRUNCATE, syscall.SYS_OPENAT, syscall.SYS_MKDIRAT, syscall.SYS_RENAMEAT, syscall.SYS_UNLINKAT,
	}
}

// traceScript runs a script under ptrace(2). Before each call of changes it calls look,
// while the writer stands still; what look gives is what becomes of the call, 0: it is
// made. It gives all that the writer has told.
func traceScript(t *testing.T, dir, spec string, look func(pid int, c call) syscall.Errno) string {
	t.Helper()
	runtime.LockOSThread() // only the thread that began to trace may go on
	defer runtime.UnlockOSThread()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe() // holds all that the writer says
	if err != nil {
		t.Fatal(err)
	}
	p, err := os.StartProcess(self, []string{self}, &os.ProcAttr{
		Env:   append(os.Environ(), childEnv+"=script", childDir+"="+dir, childSpec+"="+spec),
		Files: []*os.File{nil, w, os.Stderr},
		Sys:   &syscall.SysProcAttr{Ptrace: true},
	})
	if err := errors.Join(err, w.Close()); err != nil {
		t.Fatal(err)
	}
	watchdog := time.AfterFunc(2*time.Minute, func() { _ = p.Signal(syscall.SIGKILL) })
	defer watchdog.Stop()
	ended := false
	defer func() {
		if !ended { // a check has failed
			_ = p.Signal(syscall.SIGKILL)
			reap(p.Pid)
		}
		_ = r.Close()
	}()
	trace(t, p.Pid, func(c call) syscall.Errno { return look(p.Pid, c) })
	ended = true
	told, err := io.ReadAll(r)
	if err != nil {
		t.Error(err)
	}
	return string(told)
}

const wall = 0x40000000 // __WALL of wait4(2): threads too

// reap waits for the end of a traced process that was killed. Its threads have to
// be waited for as well: before that it does not end.
func reap(pid int) {
	for {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, wall, nil)
		if err != nil && !errors.Is(err, syscall.EINTR) || err == nil && tid == pid && !status.Stopped() {
			return
		}
	}
}

// trace drives a process that is stopped at its exec until its end.
func trace(t *testing.T, pid int, before func(call) syscall.Errno) {
	t.Helper()
	const (
		exitKill    = 0x100000 // PTRACE_O_EXITKILL
		syscallStop = 0x80     // of PTRACE_O_TRACESYSGOOD
	)
	failing := map[int]syscall.Errno{} // threads in a call that is not made
	for begun := false; ; begun = true {
		var status syscall.WaitStatus
		tid, err := syscall.Wait4(-1, &status, wall, nil)
		if errors.Is(err, syscall.EINTR) {
			continue
		}
		if err != nil {
			t.Fatalf("cannot wait for the writer: %v", err)
		}
		if !status.Stopped() {
			if tid != pid {
				continue // a thread
			}
			if !status.Exited() || status.ExitStatus() != 0 {
				t.Errorf("the writer ended with %#x", status)
			}
			return
		}
		deliver := 0
		switch sig := status.StopSignal(); {
		case !begun:
			if err := syscall.PtraceSetOptions(pid, syscall.PTRACE_O_TRACESYSGOOD|syscall.PTRACE_O_TRACECLONE|exitKill); err != nil {
				t.Fatalf("cannot trace the writer: %v", err)
			}
		case sig == syscall.SIGTRAP|syscallStop:
			c, ok := entered(tid)
			if errno := failing[tid]; errno != 0 && !ok {
				answerWith(t, tid, errno)
				delete(failing, tid)
			}
			if ok && slices.Contains(changes(), c.number) {
				if errno := before(c); errno != 0 {
					failing[tid] = errno
					leaveOut(t, tid)
				}
			}
		case sig != syscall.SIGTRAP && sig != syscall.SIGSTOP: // those are ptrace's own
			deliver = int(sig)
		}
		_ = syscall.PtraceSyscall(tid, deliver) // a thread may be gone already
	}
}
