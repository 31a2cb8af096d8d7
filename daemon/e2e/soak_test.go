package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/e2e/stage"
)

// soakEnv is how many calls TestSoak makes; `make soak` makes 1,500.
const soakEnv = "KIOSKD_SOAK"

// Promises of many calls: what the daemon has afterwards.
const (
	soakShort  = 30
	soakLong   = 500     // from here on memory is judged
	soakWarm   = 100     // the cycle from which it counts
	soakGrowth = 4 << 20 // bytes
	soakCycle  = 20 * time.Second
)

// TestSoak makes calls, one after the other, three of ten of which end badly: the far
// side vanishes or is killed, the patient ends while the room is being joined, the
// signalling breaks, the page goes without a word. Picture and sound flow in each, and
// in the end the daemon has the goroutines and files that it had after the first one.
func TestSoak(t *testing.T) {
	cycles := soakShort
	if n, err := strconv.Atoi(os.Getenv(soakEnv)); err == nil {
		cycles = n
	}
	s := soakStage(t)
	k := newSoak(t, s)
	k.calls(t, 0, ends()) // one of each kind first: what is made once is made
	first, firstWho := k.idle(t)
	if err := s.StartKioskd(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.calls(t, 0, ends())
	if cycles >= soakLong {
		k.inService(t)
	}
	rss := make([]int, 0, cycles)
	began := time.Now()
	for n := range cycles {
		k.calls(t, n+1, []end{endOf(n)})
		m := k.memory(t)
		rss = append(rss, m.all)
		if n%100 == 99 && cycles >= soakLong {
			t.Logf("%d calls: %.1f MiB, %.1f of it no file's", n+1, float64(m.all)/(1<<20), float64(m.anon)/(1<<20))
		}
	}
	took := time.Since(began)
	last, lastWho := k.idle(t)
	t.Logf("%d calls in %.0f s, %.2f s each, %d ended badly", cycles, took.Seconds(), took.Seconds()/float64(cycles), cycles*3/10)
	t.Logf("at rest before: %d goroutines, %d files; after: %d and %d", first.goroutines, first.files, last.goroutines, last.files)
	if last != first {
		t.Errorf("the daemon had %+v and has %+v; goroutines by who made them, more and less: %s", first, last, differ(firstWho, lastWho))
	}
	from, to := stage.Percentile(floats(rss[:min(len(rss), 10)]), 0.5), stage.Percentile(floats(rss[max(0, len(rss)-10):]), 0.5)
	if cycles >= soakLong {
		from, to = stage.Percentile(floats(rss[soakWarm-10:soakWarm+10]), 0.5), stage.Percentile(floats(rss[cycles-20:]), 0.5)
		if to-from > soakGrowth {
			t.Errorf("the memory grew by %.1f MiB from call %d on, promised are at most 4", (to-from)/(1<<20), soakWarm)
		}
	}
	t.Logf("memory %.1f MiB, in the end %.1f MiB", from/(1<<20), to/(1<<20))
}

// end is how a call ends.
type end struct {
	name string
	play func(*soak, *testing.T)
}

func ends() []end {
	return []end{
		{"as it should", (*soak).good},
		{"the far side vanishes", (*soak).vanishes},
		{"the far side is killed", (*soak).killed},
		{"ended while joining", (*soak).early},
		{"the signalling breaks", (*soak).breaks},
		{"the page goes", (*soak).viewGone},
	}
}

// endOf is the n-th call's end: three of ten are bad, one kind after the other.
func endOf(n int) end {
	if n%10 == 2 || n%10 == 5 || n%10 == 8 {
		bad := ends()[1:]
		return bad[(n/10*3+n%10/3)%len(bad)]
	}
	return ends()[0]
}

// soakStage is a kiosk with a small camera and no microphone: a picture and silence flow.
func soakStage(t *testing.T) *stage.Stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "k")
	if err != nil {
		t.Fatal(err)
	}
	s, err := stage.Start(t.Context(), stage.Options{Bin: os.Getenv(binEnv), Dir: dir + "/r", FakeCamera: true, Microphone: "none", Settings: []string{
		"camera.width=320", "camera.height=240", "camera.fps=30",
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(s.Stop(), os.RemoveAll(dir)); err != nil {
			t.Error(err)
		}
	})
	return s
}

// soak makes calls.
type soak struct {
	*stage.Stage
	api *client.Client
	far *distant
	id  string // of the running call
}

func newSoak(t *testing.T, s *stage.Stage) *soak {
	t.Helper()
	k := &soak{Stage: s, api: client.New(s.Socket), far: newDistant(t)}
	t.Cleanup(k.api.Close)
	return k
}

// calls makes one call of each end. Each is bounded.
func (k *soak) calls(t *testing.T, n int, list []end) {
	t.Helper()
	for i, e := range list {
		k.id = fmt.Sprintf("soak-%d-%d", n%200, i) // clinicsim keeps 256 appointments
		watchdog := time.AfterFunc(soakCycle, func() { panic(fmt.Sprintf("call %d (%s) hangs\n%s", n, e.name, k.Kioskd.Log())) })
		e.play(k, t)
		watchdog.Stop()
		if t.Failed() {
			t.Fatalf("call %d (%s)", n, e.name)
		}
	}
}

// begin opens the appointment, has the far side come, and waits until all see and hear.
func (k *soak) begin(t *testing.T) (leave func(), page *page) {
	t.Helper()
	if _, err := k.api.Open(t.Context(), k.id); err != nil {
		t.Fatal(err)
	}
	room, err := k.Room(t.Context(), k.id)
	if err != nil {
		t.Fatal(err)
	}
	leave = k.far.joins(t, room)
	k.state(t, apitype.StateActive)
	return leave, k.views(t)
}

func (k *soak) views(t *testing.T) *page {
	t.Helper()
	p := newPage(t, k.Socket, "self")
	p.sees(t)
	return p
}

func (k *soak) state(t *testing.T, want string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), soakCycle/2)
	defer cancel()
	if err := stage.WaitState(ctx, k.api, want); err != nil {
		t.Fatal(err)
	}
}

func (k *soak) hangUp(t *testing.T) {
	t.Helper()
	if _, err := k.api.EndCall(t.Context()); err != nil {
		t.Fatal(err)
	}
	k.state(t, apitype.StateEnded)
}

func (k *soak) good(t *testing.T) {
	leave, page := k.begin(t)
	page.gone(t, true)
	k.hangUp(t)
	leave()
}

func (k *soak) vanishes(t *testing.T) {
	leave, page := k.begin(t)
	leave()
	k.state(t, apitype.StateReconnecting)
	page.gone(t, true)
	k.hangUp(t)
}

func (k *soak) killed(t *testing.T) {
	if _, err := k.api.Open(t.Context(), k.id); err != nil {
		t.Fatal(err)
	}
	room, err := k.Room(t.Context(), k.id)
	if err != nil {
		t.Fatal(err)
	}
	kill := startVictim(t, room)
	k.state(t, apitype.StateActive)
	page := k.views(t)
	kill()
	k.state(t, apitype.StateReconnecting)
	page.gone(t, true)
	k.hangUp(t)
}

func (k *soak) early(t *testing.T) {
	if _, err := k.api.Open(t.Context(), k.id); err != nil {
		t.Fatal(err)
	}
	k.hangUp(t)
}

func (k *soak) breaks(t *testing.T) {
	leave, page := k.begin(t)
	if err := k.Behave(t.Context(), map[string]any{"signal": map[string]any{"drop": true}}); err != nil {
		t.Fatal(err)
	}
	page.gone(t, true)
	k.hangUp(t)
	leave()
	if err := k.BehaveWell(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (k *soak) viewGone(t *testing.T) {
	leave, page := k.begin(t)
	page.gone(t, false)
	k.hangUp(t)
	leave()
}

// inService has the daemon as it is after some weeks: with a full journal, whose file it
// maps, and as many keys of commands as it keeps. Both are bounded, and no leak.
func (k *soak) inService(t *testing.T) {
	t.Helper()
	k.state(t, apitype.StateEnded)
	for range 10_000 {
		if _, err := k.api.EndCall(t.Context()); err != nil && !refusal(err, "no_session") {
			t.Fatal(err)
		}
	}
}

// idle counts what the daemon has at rest, and who made its goroutines. It ends it.
func (k *soak) idle(t *testing.T) (held, map[string]int) {
	t.Helper()
	k.api.Close()
	var h held
	files, still := 0, 0
	until(t, "the daemon is at rest", 15*time.Second, func() (bool, string) {
		entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", k.Kioskd.PID()))
		if err != nil {
			t.Fatal(err)
		}
		if still++; len(entries) != files { // what is being closed is not closed yet
			files, still = len(entries), 0
		}
		return still > 75, fmt.Sprintf("%d files", files)
	})
	h.files = files
	before := len(k.Kioskd.Log())
	if err := k.QuitKioskd(); err != nil {
		t.Fatal(err)
	}
	who := map[string]int{}
	for _, m := range createdBy.FindAllStringSubmatch(k.Kioskd.Log()[before:], -1) {
		who[m[1]]++
		h.goroutines++
	}
	// A connection to the backend that waits for its next request is one of a bounded
	// pool: two goroutines and a file each, as many as there were requests at a time.
	if kept := who[keptAlive]; kept > 0 && kept <= 2*maxKept {
		h.goroutines, h.files = h.goroutines-kept, h.files-kept/2
		delete(who, keptAlive)
	}
	if h.goroutines < 10 {
		t.Fatalf("%d goroutines: the dump is not there\n%s", h.goroutines, k.Kioskd.Log()[before:])
	}
	return h, who
}

// keptAlive makes what waits on a connection; maxKept bounds how many there may be.
const (
	keptAlive = "net/http.(*Transport).dialConn"
	maxKept   = 4
)

// createdBy is the last line but one of a goroutine in Go's dump.
var createdBy = regexp.MustCompile(`(?m)^created by (\S+)`)

func differ(before, after map[string]int) string {
	names := maps.Clone(before)
	maps.Copy(names, after)
	var b strings.Builder
	for _, name := range slices.Sorted(maps.Keys(names)) {
		if d := after[name] - before[name]; d != 0 {
			fmt.Fprintf(&b, "%+d %s; ", d, name)
		}
	}
	return b.String()
}

// memory is what the daemon has resident, in bytes (proc_pid_status(5)): all, and of it
// what is no file's.
type memory struct{ all, anon int }

func (k *soak) memory(t *testing.T) memory {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", k.Kioskd.PID()))
	if err != nil {
		t.Fatal(err)
	}
	var m memory
	for line := range strings.Lines(string(b)) {
		name, rest, _ := strings.Cut(line, ":")
		n, _ := strconv.Atoi(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(rest), "kB"))) // other lines are none
		switch name {
		case "VmRSS":
			m.all = n << 10
		case "RssAnon":
			m.anon = n << 10
		}
	}
	if m.all == 0 || m.anon == 0 {
		t.Fatalf("no memory in\n%s", b)
	}
	return m
}

func floats(list []int) []float64 {
	out := make([]float64, 0, len(list))
	for _, n := range list {
		out = append(out, float64(n))
	}
	return out
}
