package store

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// site is one call that a script makes to change files, and may fail.
type site struct {
	number uint64
	path   string
}

func (s site) syncs() bool {
	return s.number == syscall.SYS_FSYNC || s.number == syscall.SYS_FDATASYNC
}

// of names the file or directory that a call is about; "": none below dir.
func of(r *recorder, c call) string {
	path, ok := "", false
	switch c.number {
	case syscall.SYS_OPENAT, syscall.SYS_MKDIRAT, syscall.SYS_RENAMEAT, syscall.SYS_UNLINKAT:
		path = r.text(c.args[1])
		ok = r.below(path)
	default:
		path, ok = r.open(c.args[0])
	}
	if !ok {
		return ""
	}
	return path
}

// playFailing runs the script and has its n-th call fail (from 1; 0: none). It gives
// all calls, and what the writer told.
func playFailing(t *testing.T, root string, n int, errno syscall.Errno) (sites []site, told string) {
	t.Helper()
	var r *recorder
	told = traceScript(t, filepath.Join(root, "a", "state"), "", func(pid int, c call) syscall.Errno {
		if r == nil {
			r = newRecorder(t, pid, root)
		}
		path := of(r, c)
		if path == "" {
			return 0
		}
		sites = append(sites, site{c.number, path})
		if len(sites) == n {
			return errno
		}
		return 0
	})
	return sites, told
}

// TestEveryCallFails has each call that changes files fail once, with a full disk and
// with a broken one. A full disk is told as such and the next try succeeds; after a sync
// that failed nothing is acknowledged; and in any case what was acknowledged is there
// for the next process.
func TestEveryCallFails(t *testing.T) {
	all, told := playFailing(t, t.TempDir(), 0, 0)
	list := script()
	if want := strings.Repeat(".", len(list)); told != want || len(all) < 100 {
		t.Fatalf("without a failure the writer told %q of %d calls", told, len(all))
	}
	stride := 12
	if os.Getenv("KIOSKD_CRASH") != "" {
		stride = 1
	}
	runs, full, over := 0, 0, 0
	for at := 1 + rand.IntN(stride); at <= len(all); at += stride {
		for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EIO} {
			runs++
			root := t.TempDir()
			s := all[at-1]
			_, told := playFailing(t, root, at, errno)
			what := fmt.Sprintf("call %d (%d on %s) with %v: told %q", at, s.number, filepath.Base(s.path), errno, told)
			if err := wantTold(s, errno, told, len(list)); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			if err := judge(filepath.Join(root, "a", "state"), list, strings.Count(told, ".")); err != nil {
				t.Errorf("%s: %v", what, err)
			}
			full += strings.Count(told, "F")
			over += strings.Count(told, "R")
		}
	}
	t.Logf("%d of %d calls failed once with each of two errors: %d times the disk was full, %d times the store took no more", runs/2, len(all), full, over)
}

// wantTold judges what the writer has told of one call that failed.
func wantTold(s site, errno syscall.Errno, told string, steps int) error {
	done, ended := strings.Count(told, "."), strings.HasSuffix(strings.TrimRight(told, "!"), "R")
	opening := !strings.HasPrefix(told, ".") // Open failed, and began anew: the first step does nothing
	switch {
	case strings.Contains(told, "!"):
		return fmt.Errorf("something was done after the store took no more")
	case !ended && done != steps:
		return fmt.Errorf("it did not go on: %d steps of %d", done, steps)
	case s.syncs() && !ended && !opening:
		return fmt.Errorf("a failed sync was believed")
	case errno == syscall.ENOSPC && !s.syncs() && ended:
		return fmt.Errorf("a full disk was taken for a broken one")
	}
	return nil
}
