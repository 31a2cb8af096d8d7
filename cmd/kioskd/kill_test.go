package main_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"

	"kioskd/store/killpoint"
)

// killVariable arms a point in a daemon that was built with the tag faults.
const killVariable = "KIOSKD_KILLPOINT"

// workers is how many kiosks are killed at a time.
const workers = 3

// job is one life of a daemon and how it ends: at a named point, or at random.
type job struct{ point killpoint.Point }

// worker kills one kiosk again and again.
type worker struct {
	*ledger
	box   *box
	lives int // in this state directory
	named map[killpoint.Point]int
	kills int
	slow  time.Duration // the slowest start
}

// TestKillLoop: kill -9 at any moment loses no command that was answered, half-applies
// none and leaves the audit whole. KIOSKD_KILLS=RANDOM:NAMED sets how many kills come at
// random moments and at each named point of the commit path.
func TestKillLoop(t *testing.T) {
	random, named := 25, 2
	if long := os.Getenv("KIOSKD_KILLS"); long != "" {
		if _, err := fmt.Sscanf(long, "%d:%d", &random, &named); err != nil {
			t.Fatalf("KIOSKD_KILLS is RANDOM:NAMED: %v", err)
		}
	}
	seed := rand.Uint64()
	rnd := rand.New(rand.NewPCG(seed, 1))
	var jobs []job
	for range random {
		jobs = append(jobs, job{})
	}
	for _, p := range killpoint.All() {
		for range named {
			jobs = append(jobs, job{p})
		}
	}
	rnd.Shuffle(len(jobs), func(i, j int) { jobs[i], jobs[j] = jobs[j], jobs[i] })
	queue := make(chan job, len(jobs))
	for _, j := range jobs {
		queue <- j
	}
	close(queue)
	var list []*worker
	for i := range workers {
		list = append(list, &worker{
			ledger: &ledger{rnd: rand.New(rand.NewPCG(seed, uint64(i)+2))}, box: newBox(t, newClinic(t)), named: map[killpoint.Point]int{},
		})
	}
	var all sync.WaitGroup
	for i, w := range list {
		all.Go(func() {
			if err := w.work(t, queue); err != nil {
				t.Errorf("seed %d, kiosk %d, after %d kills: %v", seed, i, w.kills, err)
			}
		})
	}
	all.Wait()
	report(t, list, random, named)
}

// report prints the figures, and looks that every point was met.
func report(t *testing.T, list []*worker, random, named int) {
	t.Helper()
	kills, acks, slow, met := 0, 0, time.Duration(0), map[killpoint.Point]int{}
	for _, w := range list {
		kills, acks, slow = kills+w.kills, acks+w.acks, max(slow, w.slow)
		for p, n := range w.named {
			met[p] += n
		}
	}
	for _, p := range killpoint.All() {
		if met[p] < named {
			t.Errorf("%d kills at %s, want %d", met[p], p, named)
		}
	}
	if kills < random+named*len(killpoint.All()) || acks < kills {
		t.Errorf("%d kills and %d acknowledged commands: too few", kills, acks)
	}
	t.Logf("%d kills, %d of them at %d named points; %d acknowledged commands, 0 lost, 0 half applied; slowest start %v",
		kills, named*len(killpoint.All()), len(killpoint.All()), acks, slow.Round(time.Millisecond))
}

// work lives until there are no jobs any more, and looks a last time.
func (w *worker) work(t *testing.T, queue <-chan job) error {
	for j := range queue {
		if err := w.renew(j.point); err != nil {
			return err
		}
		if err := w.live(t, j.point); err != nil {
			return fmt.Errorf("life %d in this directory, to end at %q: %w", w.lives, j.point, err)
		}
	}
	d, err := w.box.start(nil)
	if err != nil {
		return err
	}
	defer d.end()
	if ok, err := d.alive(); !ok {
		return fmt.Errorf("the last one does not start: %w", err)
	}
	if err := w.look(t.Context(), w.box); err != nil {
		return err
	}
	_, err = w.again(t.Context(), w.box)
	return err
}

// renew begins with an empty directory now and then: the first start has points of
// its own.
func (w *worker) renew(p killpoint.Point) error {
	w.lives++
	first := p == killpoint.MachineKey || p == killpoint.MachineKeyMade || p == killpoint.KeyWritten || p == killpoint.KeyNamed
	if w.lives < 40 && (!first || w.rnd.IntN(2) == 0) {
		return nil
	}
	*w.ledger = ledger{rnd: w.rnd, acks: w.acks}
	w.lives = 0
	return os.RemoveAll(w.box.state)
}

// live starts a daemon, looks at it, and gives commands until it dies.
func (w *worker) live(t *testing.T, p killpoint.Point) error {
	var env []string
	if p != "" {
		env = append(env, killVariable+"="+string(p)+":"+strconv.Itoa(w.pass(p)))
	}
	d, err := w.box.start(env)
	if err != nil {
		return err
	}
	defer d.end()
	if p == "" {
		timer := time.AfterFunc(time.Duration(w.rnd.IntN(250))*time.Millisecond, d.kill)
		defer timer.Stop()
	}
	up, err := d.alive()
	if up && err == nil {
		w.slow = max(w.slow, time.Duration(d.told.Load()))
		err = w.use(t, d)
	}
	if err != nil {
		return err
	}
	if err := d.gone(wait); err != nil {
		return fmt.Errorf("%w: the point was never passed", err)
	}
	status, ok := d.cmd.ProcessState.Sys().(syscall.WaitStatus)
	if !ok || !status.Signaled() || status.Signal() != syscall.SIGKILL || (p != "") == d.killed.Load() {
		return fmt.Errorf("it ended with %v, killed by us: %t", d.cmd.ProcessState, d.killed.Load())
	}
	w.kills++
	if p != "" {
		w.named[p]++
	}
	return nil
}

// pass is the pass of a point at which to die: one of those that a life has.
func (w *worker) pass(p killpoint.Point) int {
	switch p {
	case killpoint.Record, killpoint.Commit, killpoint.Committed, killpoint.Answer:
		return 1 + w.rnd.IntN(20)
	case killpoint.SessionEnd, killpoint.Pepper, killpoint.PepperTurned, killpoint.ReportKey, killpoint.ReportDropped, killpoint.KeyWritten, killpoint.KeyNamed:
		return 1 + w.rnd.IntN(2)
	default: // once a life
		return 1
	}
}

// use looks at what the daemon holds and gives commands until no answer comes.
func (w *worker) use(t *testing.T, d *daemon) error {
	err := w.look(t.Context(), w.box)
	dead := false
	if err == nil {
		dead, err = w.again(t.Context(), w.box)
	}
	deadline := time.Now().Add(wait)
	for err == nil && !dead && time.Now().Before(deadline) {
		dead, err = w.do(w.box, w.next())
	}
	if err != nil && d.over() { // it died while it was looked at: the next one tells
		return nil
	}
	return err
}

// over says whether the process ends or has ended.
func (d *daemon) over() bool {
	if d.killed.Load() {
		return true
	}
	select {
	case <-d.done:
		return true
	case <-time.After(200 * time.Millisecond): // its death may not have come to us yet
		return false
	}
}

// TestKillLoopSees: where an acknowledged command is lost, applied twice or missing in
// the audit, the ledger says so.
func TestKillLoopSees(t *testing.T) {
	b := newBox(t, newClinic(t))
	l := &ledger{rnd: rand.New(rand.NewPCG(1, 1))}
	old := filepath.Join(b.dir, "old")
	life := func(commands int) (err error) {
		d, err := b.start(nil)
		if err != nil {
			t.Fatal(err)
		}
		defer d.end()
		if ok, err := d.alive(); !ok {
			t.Fatal("it does not start", err)
		}
		if err := l.look(t.Context(), b); err != nil {
			return err
		}
		for range commands {
			if dead, err := l.do(b, l.next()); dead || err != nil {
				t.Fatal(dead, err)
			}
		}
		return nil
	}
	if err := errors.Join(life(20), life(5)); err != nil {
		t.Fatal(err)
	}
	if err := os.CopyFS(old, os.DirFS(b.state)); err != nil {
		t.Fatal(err)
	}
	if err := life(5); err != nil {
		t.Fatal(err)
	}
	// A disk that forgets the newest commits.
	if err := errors.Join(os.RemoveAll(b.state), os.Rename(old, b.state)); err != nil {
		t.Fatal(err)
	}
	if err := life(0); err == nil {
		t.Error("five acknowledged commands are lost, and nobody has seen it")
	}
	t.Run("judge", judgeSees)
}
