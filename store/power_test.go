package store

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// fastDir is a directory in memory, where syncs cost nothing.
func fastDir(t testing.TB) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "kioskd")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// cutter looks at what power cuts leave of a recorded script.
type cutter struct {
	root   string
	events []event
	spec   string // of the script
	each   int    // images a prefix, where a cut leaves a choice
	forget func(event) bool
}

// run cuts the power after each event, in as many ways as told, and judges each image.
// It ends at the first bad one and gives the number of images.
func (c cutter) run(rnd *rand.Rand, dir string) (images int, err error) {
	p, list, acked := newPlatter(c.root, c.forget), steps(c.spec), 0
	for at, e := range append([]event{{}}, c.events...) {
		if e.op == "ack" {
			acked++
		}
		p.take(e)
		n := c.each
		if !p.pending() {
			n = 1
		}
		for range n {
			images++
			if err := errors.Join(os.RemoveAll(dir), lay(p.cut(rnd), c.root, dir)); err != nil {
				return images, err
			}
			if err := judge(filepath.Join(dir, "a", "state"), list, acked); err != nil {
				return images, fmt.Errorf("after event %d of %d (%s %s), %d steps acknowledged: %w", at, len(c.events), e.op, e.path, acked, err)
			}
		}
	}
	return images, nil
}

// TestPowerCut: what was answered survives a power cut at any moment, whatever the disk
// has made of the writes that were not synced: lost, in another order, torn in sectors
// of 512 bytes, new names gone. KIOSKD_CRASH=IMAGES sets how many images there are.
func TestPowerCut(t *testing.T) {
	want, script, each := 1000, 25, 4
	if long := os.Getenv("KIOSKD_CRASH"); long != "" {
		if _, err := fmt.Sscanf(long, "%d", &want); err != nil {
			t.Fatalf("KIOSKD_CRASH is a number of images: %v", err)
		}
		script, each = 250, 20
	}
	begun := time.Now()
	scripts := make(chan cutter)
	var images atomic.Int64
	var all sync.WaitGroup
	for worker := range 2 {
		dir := filepath.Join(fastDir(t), "image")
		all.Go(func() {
			for c := range scripts {
				n, err := c.run(rand.New(rand.NewPCG(rand.Uint64(), 2)), dir)
				images.Add(int64(n))
				if err != nil {
					t.Errorf("worker %d, script %s, image %d: %v", worker, c.spec, n, err)
				}
			}
		})
	}
	records := 0
	for ; images.Load() < int64(want) && !t.Failed(); records++ {
		spec := fmt.Sprintf("%d:%d", rand.Uint64(), script)
		root, events := recordScript(t, spec)
		scripts <- cutter{root: root, events: events, spec: spec, each: each}
	}
	close(scripts)
	all.Wait()
	if !t.Failed() {
		t.Logf("%d images of %d scripts in %v, 0 bad", images.Load(), records, time.Since(begun).Round(time.Millisecond))
	}
}

// TestPowerCutSees: where a sync is left out the judge finds it: of the file, of the
// keys, of the directory, and of the directory above it.
func TestPowerCutSees(t *testing.T) {
	spec := "1:40"
	root, events := recordScript(t, spec)
	state := filepath.Join(root, "a", "state")
	of := func(path string) func(event) bool {
		return func(e event) bool { return e.path == path }
	}
	for name, forget := range map[string]func(event) bool{
		"the file":            of(filepath.Join(state, FileName)),
		"the keys":            func(e event) bool { return e.op == "sync" && !strings.HasPrefix(filepath.Base(e.path), FileName) },
		"the directory":       of(state),
		"the directory above": of(filepath.Dir(state)),
		"the root":            of(root),
	} {
		c := cutter{root: root, events: events, spec: spec, each: 6, forget: forget}
		n, err := c.run(rand.New(rand.NewPCG(1, 3)), filepath.Join(fastDir(t), "image"))
		if err == nil {
			t.Errorf("without a sync of %s all %d images were good", name, n)
		}
		t.Logf("without a sync of %s: image %d: %v", name, n, err)
	}
}
