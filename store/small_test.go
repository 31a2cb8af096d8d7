package store

import (
	"crypto/rand"
	"fmt"
	mathrand "math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// smallEnv is how many session records TestStaysSmall writes; `make small` writes a
// million.
const smallEnv = "KIOSKD_RECORDS"

const (
	smallShort = 3_000
	smallMost  = 64 << 20 // bytes of the file, promised
)

// TestStaysSmall writes records of one session after the other, with journal entries
// and reports that come and go, as years of a kiosk do: what is over makes place, and
// the file stays within its promise. Sizes are random up to the store's own bounds, the
// large ones seldom.
func TestStaysSmall(t *testing.T) {
	records := smallShort
	if n, err := strconv.Atoi(os.Getenv(smallEnv)); err == nil {
		records = n
	}
	dir := t.TempDir()
	if memory, err := os.MkdirTemp("/dev/shm", "kioskd-small"); err == nil { // a million syncs are not this test's
		dir = memory
		t.Cleanup(func() {
			if err := os.RemoveAll(memory); err != nil {
				t.Error(err)
			}
		})
	}
	s, err := Open(dir, Options{})
	if err != nil {
		t.Fatal(err)
	}
	seed := mathrand.Uint64()
	rnd := mathrand.New(mathrand.NewPCG(seed, 3))
	noise := make([]byte, 256<<10)
	_, _ = rand.Read(noise)
	size := func(most int) int {
		if rnd.IntN(200) == 0 {
			return rnd.IntN(most)
		}
		return rnd.IntN(most / 64)
	}
	began, sessions, largest := time.Now(), 0, int64(0)
	var waiting []string
	for n := 0; n < records; sessions++ {
		id := fmt.Sprint("session-", sessions)
		for range min(1+rnd.IntN(30), records-n) {
			save := Save{ID: id, Model: noise[:size(len(noise))]}
			for range rnd.IntN(3) {
				save.Journal = append(save.Journal, Entry{At: time.Now(), Kind: "audit", Text: strings.Repeat("x", size(1<<16)%1024)})
			}
			if rnd.IntN(100) == 0 && len(waiting) < MaxReports {
				save.Report = &Report{ID: fmt.Sprint("report-", n), Data: noise[:size(len(noise))]}
				waiting = append(waiting, save.Report.ID)
			}
			if err := s.Save(save); err != nil {
				t.Fatalf("seed %d, record %d: %v", seed, n, err)
			}
			n++
		}
		if err := s.Save(Save{ID: id, Final: true}); err != nil {
			t.Fatal(err)
		}
		for len(waiting) > 0 && rnd.IntN(4) == 0 {
			if err := s.DropReport(waiting[0]); err != nil {
				t.Fatal(err)
			}
			waiting = waiting[1:]
		}
		largest = max(largest, fileSize(t, dir))
	}
	took := time.Since(began)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	opening := time.Now()
	if s, err = Open(dir, Options{}); err != nil {
		t.Fatal(err)
	}
	opened := time.Since(opening)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d records of %d sessions in %.0f s: the file has %.1f MiB, it opens in %d ms", records, sessions, took.Seconds(), float64(largest)/(1<<20), opened.Milliseconds())
	if largest > smallMost {
		t.Errorf("seed %d: the file has %d bytes, promised are at most %d", seed, largest, smallMost)
	}
}

func fileSize(t *testing.T, dir string) int64 {
	t.Helper()
	info, err := os.Stat(filepath.Join(dir, "kiosk.db"))
	if err != nil {
		t.Fatal(err)
	}
	return info.Size()
}
