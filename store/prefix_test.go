package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// step is one acknowledged action of the script, and what the store holds after it.
type step struct {
	name    string
	do      func(s *Store) error
	session string   // id and model are the same
	reports []string // oldest first
	journal string   // of the newest entry
	face    string   // bound to the role
}

func script() []step {
	save := func(id string, final bool, report string) func(*Store) error {
		return func(s *Store) error {
			v := Save{ID: id, Model: []byte(id), Final: final, AuditOnly: id == "" && !final, Journal: []Entry{{Text: id + "+" + report}}}
			if report != "" {
				v.Report = &Report{report, bytes.Repeat([]byte("words of "+report+" "), 500)}
			}
			return s.Save(v)
		}
	}
	drop := func(id string) func(*Store) error {
		return func(s *Store) error { return s.DropReport(id, Entry{Text: "-" + id}) }
	}
	bind := func(id string, controls int32) func(*Store) error {
		return func(s *Store) error {
			b := Bindings{Roles: map[string]string{"face": id}, Controls: map[string]map[string]int32{}, Names: []byte(id)}
			for n := range controls {
				b.Controls[fmt.Sprint(id, n)] = map[string]int32{id: n}
			}
			return s.SaveBindings(b, Entry{Text: id})
		}
	}
	return []step{
		{"open", func(*Store) error { return nil }, "", nil, "", ""},
		{"begin", save("one", false, ""), "one", nil, "one+", ""},
		{"a report with the session", save("one", false, "a"), "one", []string{"a"}, "one+a", ""},
		{"a report alone", save("", false, "b"), "one", []string{"a", "b"}, "+b", ""},
		{"the end, with a report", save("", true, "c"), "", []string{"a", "b", "c"}, "+c", ""},
		{"sent", drop("a"), "", []string{"b", "c"}, "-a", ""},
		{"another session", save("two", false, ""), "two", []string{"b", "c"}, "two+", ""},
		{"sent in a session", drop("c"), "two", []string{"b"}, "-c", ""},
		{"another takes its place", save("three", false, "d"), "three", []string{"b", "d"}, "three+d", ""},
		{"the end", save("", true, ""), "", []string{"b", "d"}, "+", ""},
		{"a camera is bound", bind("cam-a", 1), "", []string{"b", "d"}, "cam-a", "cam-a"},
		{"another takes its place", bind("cam-b", 40), "", []string{"b", "d"}, "cam-b", "cam-b"},
	}
}

// childScript writes one byte after each step.
func childScript(dir string) {
	s, err := Open(dir, Options{JournalEntries: 3})
	for _, step := range script() {
		if err == nil {
			err = step.do(s)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "cannot", step.name+":", err)
			return
		}
		if _, err := os.Stdout.Write([]byte{'.'}); err != nil {
			return
		}
	}
	_ = s.Close()
}

// TestEveryPrefix stops a writer before each of its system calls that change a
// file, and takes a copy of the directory: it is what kill -9 would leave at that
// point. Each copy opens, holds what was acknowledged and at most the one step
// more, and its journal and reports are sound.
func TestEveryPrefix(t *testing.T) {
	steps := script()
	dir, calls := t.TempDir(), 0
	look := func(acked int) {
		calls++
		to := t.TempDir()
		if err := os.CopyFS(to, os.DirFS(dir)); err != nil {
			t.Fatal(err)
		}
		checkPrefix(t, fmt.Sprintf("before call %d, after %d steps", calls, acked), to, steps, acked)
		if err := os.RemoveAll(to); err != nil {
			t.Fatal(err)
		}
	}
	traceScript(t, dir, look)
	look(len(steps))
	if calls < 60 {
		t.Errorf("only %d calls were seen: the test sees nothing", calls)
	}
	t.Logf("%d calls", calls-1)
}

func checkPrefix(t *testing.T, what, dir string, steps []step, acked int) {
	t.Helper()
	s := mustOpen(t, dir, Options{JournalEntries: 3})
	defer func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}()
	if s.SetAside() != "" {
		t.Fatalf("%s: the store was damaged", what)
	}
	id, model, _, err := s.LoadSession()
	if err != nil || id != string(model) {
		t.Fatalf("%s: session %q %q, %v", what, id, model, err)
	}
	list, err := s.Reports()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	bound, err := s.Bindings()
	if face := bound.Roles["face"]; err != nil || face != string(bound.Names) || face == "cam-b" && len(bound.Controls) != 40 {
		t.Errorf("%s: the bindings are %+v, %v", what, bound, err)
	}
	found := false
	for i := max(0, acked-1); i <= acked && i < len(steps); i++ {
		want := steps[i]
		// A session that takes another's place ends it in a transaction before.
		between := i == acked && id == "" && i > 0 && want.session != "" && steps[i-1].session != "" && want.session != steps[i-1].session
		if between {
			want.reports, want.journal = steps[i-1].reports, steps[i-1].journal
		}
		found = found || (id == want.session || between) && slices.Equal(ids, want.reports) && journalTexts(t, s, 1) == want.journal && bound.Roles["face"] == want.face
	}
	if !found {
		t.Errorf("%s: session %q, reports %v, journal %q", what, id, ids, journalTexts(t, s, 1))
	}
	wantReports(t, s, ids...)
	wantIntact(t, s)
	if left, err := filepath.Glob(filepath.Join(dir, tempPrefix+"*")); err != nil || len(left) > 0 {
		t.Errorf("%s: %v were left, %v", what, left, err)
	}
}

// changes are the calls with which Go and bbolt change files.
func changes() []uint64 {
	return []uint64{
		syscall.SYS_WRITE, syscall.SYS_PWRITE64, syscall.SYS_FSYNC, syscall.SYS_FDATASYNC,
		syscall.SYS_FTRUNCATE, syscall.SYS_RENAMEAT, syscall.SYS_UNLINKAT,
	}
}

// traceScript runs the script under ptrace(2). Before each call of changes it
// calls look with the number of steps that were acknowledged, while the writer
// stands still.
func traceScript(t *testing.T, dir string, look func(acked int)) {
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
		Env:   append(os.Environ(), childEnv+"=script", childDir+"="+dir),
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
	acked := 0
	trace(t, p.Pid, func(call, fd uint64) {
		look(acked)
		if call == syscall.SYS_WRITE && fd == 1 {
			acked++
		}
	})
	ended = true
	if dots, err := io.ReadAll(r); err != nil || len(dots) != acked || acked != len(script()) {
		t.Errorf("the writer told of %d steps, %d were seen, %v", len(dots), acked, err)
	}
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
func trace(t *testing.T, pid int, before func(call, fd uint64)) {
	t.Helper()
	const (
		exitKill    = 0x100000 // PTRACE_O_EXITKILL
		syscallStop = 0x80     // of PTRACE_O_TRACESYSGOOD
	)
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
			if call, fd, ok := entered(tid); ok && slices.Contains(changes(), call) {
				before(call, fd)
			}
		case sig != syscall.SIGTRAP && sig != syscall.SIGSTOP: // those are ptrace's own
			deliver = int(sig)
		}
		_ = syscall.PtraceSyscall(tid, deliver) // a thread may be gone already
	}
}

// entered tells which call a thread is about to make, and its first argument
// (PTRACE_GET_SYSCALL_INFO, Linux 5.3, ptrace(2)).
func entered(tid int) (call, first uint64, ok bool) {
	const getInfo, entry = 0x420e, 1
	var info [88]byte
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, getInfo, uintptr(tid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info[0] != entry {
		return 0, 0, false
	}
	return binary.NativeEndian.Uint64(info[24:]), binary.NativeEndian.Uint64(info[32:]), true
}
