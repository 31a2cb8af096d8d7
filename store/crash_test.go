package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// kills is how often TestKill kills the writer.
const kills = 20

// child starts the test binary as one of the children of main_test.go.
func child(t *testing.T, task, dir string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), childEnv+"="+task, childDir+"="+dir)
	cmd.Stderr = os.Stderr
	return cmd
}

// childWriter goes on counting from what is stored, prints each number that was
// acknowledged, and starts a new session now and then.
func childWriter(dir string) {
	s, err := Open(dir, Options{JournalEntries: 50})
	if err != nil {
		fmt.Println("cannot open:", err)
		return
	}
	_, model, _, err := s.LoadSession()
	n, _ := strconv.Atoi(string(bytes.TrimRight(model, ".")))
	for err == nil {
		n++
		text := strconv.Itoa(n)
		v := Save{
			ID: "session" + strconv.Itoa(n/10), Model: []byte(text + strings.Repeat(".", n%3000)), Journal: []Entry{{Text: text}},
		}
		if n%5 == 0 {
			v.Report = &Report{"r" + text, []byte("words of r" + text)}
		}
		if err = s.Save(v); err == nil && n%5 == 0 {
			if err = s.DropReport("r"+strconv.Itoa(n-10), Entry{Text: text}); errors.Is(err, ErrNoReport) {
				err = nil
			}
		}
		if err == nil {
			fmt.Println(n)
		}
	}
	fmt.Println("cannot go on:", err)
}

// TestKill: what was acknowledged survives kill -9, and model and journal never
// disagree.
func TestKill(t *testing.T) {
	dir := t.TempDir()
	acked := 0
	for i := range kills {
		last := writeAndKill(t, dir, time.Duration(rand.IntN(60))*time.Millisecond)
		acked = max(acked, last)
		s := mustOpen(t, dir, Options{JournalEntries: 50})
		if s.SetAside() != "" {
			t.Fatalf("kill %d: the store was damaged", i)
		}
		_, model, _, err := s.LoadSession()
		if err != nil {
			t.Fatalf("kill %d: %v", i, err)
		}
		text := strings.TrimRight(string(model), ".")
		// One more may have been written and not told. A change of session is two
		// transactions, so the journal may be at the one and the session at none.
		if n, _ := strconv.Atoi(text); n < acked && (text != "" || (acked+1)%10 != 0) || n > acked+1 {
			t.Fatalf("kill %d: %d was acknowledged, %q is stored", i, acked, text)
		}
		if got := journalTexts(t, s, 1); text != "" && got != text {
			t.Fatalf("kill %d: the journal says %q, the session %q", i, got, text)
		}
		wantReadable(t, s, acked-acked%5)
		if text == "" && acked > 0 { // go on counting from the acknowledged number
			mustSave(t, s, "again", strconv.Itoa(acked), false, strconv.Itoa(acked))
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if acked < kills {
		t.Errorf("only %d writes in %d runs", acked, kills)
	}
}

// wantReadable checks that the journal is intact, that each report can be opened,
// and that the newest one that was acknowledged is there.
func wantReadable(t *testing.T, s *Store, newest int) {
	t.Helper()
	wantIntact(t, s)
	list, err := s.Reports()
	if err != nil {
		t.Fatal(err)
	}
	var ids []string
	for _, r := range list {
		ids = append(ids, r.ID)
	}
	wantReports(t, s, ids...)
	if id := "r" + strconv.Itoa(newest); newest > 0 && !slices.Contains(ids, id) {
		t.Fatalf("report %s was acknowledged, there are %v", id, ids)
	}
}

// writeAndKill runs a writer, kills it a while after its first acknowledgement and
// gives the last one that it has told.
func writeAndKill(t *testing.T, dir string, after time.Duration) (last int) {
	t.Helper()
	cmd := child(t, "writer", dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var timer *time.Timer
	lines := bufio.NewScanner(out)
	for lines.Scan() {
		n, err := strconv.Atoi(lines.Text())
		if err != nil {
			t.Errorf("the writer says %q", lines.Text())
			break
		}
		last = n
		if timer == nil {
			timer = time.AfterFunc(after, func() { _ = cmd.Process.Signal(syscall.SIGKILL) })
			defer timer.Stop()
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait() // "signal: killed" is what we want
	return last
}

// TestFullDisk runs a store on a file system of 400 KiB, in a mount namespace of a
// child of its own: needs root.
func TestFullDisk(t *testing.T) {
	cmd := child(t, "full", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.Output()
	if err != nil || string(out) != "ok\n" {
		t.Fatalf("the child says %q, %v (root is needed for a mount namespace)", out, err)
	}
}

// childFull prints ok, or what is wrong.
func childFull(dir string) {
	if err := fullDisk(dir); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ok")
}

func fullDisk(dir string) error {
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=400k"); err != nil {
		return fmt.Errorf("cannot mount: %w", err)
	}
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	if err := s.Save(Save{ID: "one", Model: []byte("good")}); err != nil {
		return err
	}
	filler := filepath.Join(dir, "filler")
	for range 3 { // fails, recovers, and again
		if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
			return fmt.Errorf("the disk is not full: %w", err)
		}
		if err := s.Save(Save{ID: "one", Model: make([]byte, 200<<10)}); !errors.Is(err, ErrFull) {
			return fmt.Errorf("a save on a full disk says %w", err)
		}
		big := Save{AuditOnly: true, Report: &Report{"big", make([]byte, 200<<10)}, Journal: []Entry{{Text: "lost"}}}
		if err := s.Save(big); !errors.Is(err, ErrFull) {
			return fmt.Errorf("a report on a full disk says %w", err)
		}
		if err := s.SaveBindings(Bindings{Names: make([]byte, maxNames)}); !errors.Is(err, ErrFull) {
			return fmt.Errorf("bindings on a full disk: %w", err)
		}
		if list, err := s.Reports(); err != nil || len(list) != 0 {
			return fmt.Errorf("a report that did not fit: %v, %w", list, err)
		}
		if _, err := os.Stat(filepath.Join(dir, "report-big.key")); !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("its key is there: %w", err)
		}
		if _, model, _, err := s.LoadSession(); err != nil || string(model) != "good" || s.ReadOnly() {
			return fmt.Errorf("after it: %q, %t, %w", model, s.ReadOnly(), err)
		}
		if err := os.Remove(filler); err != nil {
			return err
		}
		if err := s.Save(Save{ID: "one", Model: []byte("good")}); err != nil {
			return fmt.Errorf("with space again: %w", err)
		}
		if intact, broken, err := s.Verify(); !intact || err != nil {
			return fmt.Errorf("the journal is broken at %d: %w", broken, err)
		}
	}
	if err := os.WriteFile(filler, make([]byte, 1<<20), 0o600); !errors.Is(err, syscall.ENOSPC) {
		return fmt.Errorf("the disk is not full: %w", err)
	}
	if err := s.Save(Save{Final: true}); err != nil && !errors.Is(err, ErrFull) {
		return fmt.Errorf("the end of a session on a full disk: %w", err)
	}
	if s, err := Open(filepath.Join(dir, "new"), Options{}); err == nil {
		return errors.Join(errors.New("a store was made on a full disk"), s.Close())
	}
	return s.Close()
}
