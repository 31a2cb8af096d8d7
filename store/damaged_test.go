package store

import (
	"bufio"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

const (
	inOneChild = 250             // damaged stores that one child opens
	soon       = 5 * time.Second // in which a damaged store is opened, or set aside
	original   = "sample"        // the good file that children damage
)

// childDamaged damages a store for each seed that it reads, opens it and answers with
// a line: aside or kept, or what is wrong.
func childDamaged(dir string) {
	data, err := os.ReadFile(filepath.Join(filepath.Dir(dir), original))
	if err != nil {
		fmt.Println("cannot begin:", err)
		return
	}
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		seed, err := strconv.ParseUint(in.Text(), 10, 64)
		if err != nil {
			fmt.Println("cannot understand:", err)
			return
		}
		kind, b := damage(rand.New(rand.NewPCG(seed, 1)), data)
		aside, err := useDamaged(dir, b)
		switch {
		case err != nil:
			fmt.Printf("%s: %s\n", kind, strings.ReplaceAll(err.Error(), "\n", "; "))
		case aside:
			fmt.Println("aside")
		default:
			fmt.Println("kept")
		}
	}
}

// wreck is what came of the damaged stores.
type wreck struct {
	mu          sync.Mutex
	done, aside int
	slowest     time.Duration
}

// TestDamaged: a damaged store never stops the kiosk. Whatever the file is, a process of
// its own opens it or sets it aside within 5 s and lives, and the store works.
// KIOSKD_DAMAGED sets how many there are.
func TestDamaged(t *testing.T) {
	want := 300
	if long := os.Getenv("KIOSKD_DAMAGED"); long != "" {
		var err error
		if want, err = strconv.Atoi(long); err != nil {
			t.Fatalf("KIOSKD_DAMAGED is a number of stores: %v", err)
		}
	}
	_, data := sample(t)
	seeds := make(chan uint64, want)
	for range want {
		seeds <- rand.Uint64()
	}
	close(seeds)
	var w wreck
	var all sync.WaitGroup
	for range 2 {
		top := fastDir(t)
		if err := os.WriteFile(filepath.Join(top, original), data, 0o600); err != nil {
			t.Fatal(err)
		}
		all.Go(func() {
			for n := 0; len(seeds) > 0 && !t.Failed(); n++ {
				w.child(t, filepath.Join(top, "state"), seeds)
			}
		})
	}
	all.Wait()
	if w.done < want || w.aside < want/4 || w.aside == want {
		t.Errorf("%d of %d damaged stores were opened, %d set aside", w.done, want, w.aside)
	}
	t.Logf("%d damaged stores, %d set aside, the others opened; slowest %v", w.done, w.aside, w.slowest.Round(time.Millisecond))
}

// child has one child open some of the stores.
func (w *wreck) child(t *testing.T, dir string, seeds <-chan uint64) {
	cmd := child(t, "damaged", dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Error(err)
		return
	}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Error(err)
		return
	}
	lines := bufio.NewReader(out)
	for range inOneChild {
		seed, more := <-seeds
		if !more {
			break
		}
		if err := w.one(seed, in, lines, func() { _ = cmd.Process.Kill() }); err != nil {
			t.Errorf("seed %d: %v", seed, err)
			break
		}
	}
	_ = in.Close() // that ends the child
	if err := cmd.Wait(); err != nil {
		t.Errorf("the child ends with %v", err)
	}
}

func (w *wreck) one(seed uint64, in io.Writer, lines *bufio.Reader, kill func()) error {
	begun := time.Now()
	watchdog := time.AfterFunc(2*soon, kill)
	defer watchdog.Stop()
	if _, err := fmt.Fprintln(in, seed); err != nil {
		return err
	}
	line, err := lines.ReadString('\n')
	took := time.Since(begun)
	line = strings.TrimSpace(line)
	if err != nil || line != "aside" && line != "kept" {
		return fmt.Errorf("the child says %q, %w", line, err)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.done++
	if line == "aside" {
		w.aside++
	}
	if w.slowest = max(w.slowest, took); took > soon {
		return fmt.Errorf("it took %v", took)
	}
	return nil
}
