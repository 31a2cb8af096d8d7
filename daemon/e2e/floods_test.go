package e2e_test

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/client"
	"kioskd/daemon/e2e/hostile"
	"kioskd/daemon/e2e/stage"
)

// The promise X5.
const (
	memoryMost     = 32 << 20
	goroutinesMost = 50
	answerP99      = 100.0 // ms
)

// floodFor is how long each flood lasts. The short form shares the cores with its attacker
// and gets a margin; a single flood has so few answers that the p99 is of all of them.
func floodFor() (d time.Duration, margin float64) {
	switch {
	case os.Getenv(nightlyEnv) != "":
		return time.Minute, 1
	case full():
		return 10 * time.Second, 1
	}
	return time.Second, 3
}

// TestFloods has a participant of a running call flood the kiosk in every way of the
// promise X5: memory and goroutines stay within their bounds, the API answers, and the
// process lives.
func TestFloods(t *testing.T) {
	// Go's runtime prints its goroutines a few times a second where it is told to: no
	// door for that is built into the daemon.
	s := theStage(t, stage.Options{Debug: []string{"GODEBUG=schedtrace=250,scheddetail=1"}})
	api := client.New(s.Socket)
	t.Cleanup(api.Close)
	if _, err := api.Open(t.Context(), "floods"); err != nil {
		t.Fatal(err)
	}
	room, err := s.Room(t.Context(), "floods")
	if err != nil {
		t.Fatal(err)
	}
	calm(t, s, api, room)
	var all []float64
	_, margin := floodFor()
	for i, f := range hostile.Floods() {
		t.Run(f.Name, func(t *testing.T) {
			answers := flooded(t, s, api, room, f, fmt.Sprintf("mallory-%d", i))
			all = append(all, answers...)
			if full() {
				judgeAnswers(t, answers, margin)
			}
		})
	}
	judgeAnswers(t, all, margin)
}

// judgeAnswers holds the API's answers, in ms, to their promise.
func judgeAnswers(t *testing.T, answers []float64, margin float64) {
	t.Helper()
	if p99 := stage.Percentile(answers, 0.99); p99 > margin*answerP99 {
		t.Errorf("the API's p99 is %.1f ms, promised are %.0f", p99, answerP99)
	}
}

// calm has a participant in the call who does nothing, until the daemon's memory is that of
// a call: its first seconds are no flood's cost.
func calm(t *testing.T, s *stage.Stage, api *client.Client, room stage.Room) {
	t.Helper()
	p, err := hostile.Join(t.Context(), room.URL, room.Token, "nobody")
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	p.Speak(0)
	if err := stage.WaitState(t.Context(), api, apitype.StateActive); err != nil {
		t.Fatal(err)
	}
	last, since := resident(t, s), time.Now()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for limit := time.Now().Add(20 * time.Second); time.Since(since) < 2*time.Second && time.Now().Before(limit); <-tick.C {
		if now := resident(t, s); now > last+1<<20 {
			last, since = now, time.Now()
		}
	}
}

// flooded plays one flood and gives how long each answer of the API took, in ms.
func flooded(t *testing.T, s *stage.Stage, api *client.Client, room stage.Room, f hostile.Flood, name string) []float64 {
	t.Helper()
	p, err := hostile.Join(t.Context(), room.URL, room.Token, name)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	}()
	for seq := range uint16(20) {
		p.Speak(seq)
	}
	if err := stage.WaitState(t.Context(), api, apitype.StateActive); err != nil {
		t.Fatal(err)
	}
	memory, goroutines := resident(t, s), running(t, s, true)
	d, _ := floodFor()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	var sent uint32
	var flooding sync.WaitGroup
	flooding.Go(func() { sent = p.Run(ctx, f) })
	var answers []float64
	grown, more := 0, 0
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for ctx.Err() == nil {
		<-tick.C
		began := time.Now()
		if _, err := api.Status(t.Context()); err != nil {
			t.Fatalf("the API does not answer: %v", err)
		}
		answers = append(answers, float64(time.Since(began).Microseconds())/1000)
		grown = max(grown, resident(t, s)-memory)
		more = max(more, running(t, s, false)-goroutines)
	}
	flooding.Wait()
	more = max(more, running(t, s, true)-goroutines)
	grown = max(grown, resident(t, s)-memory)
	p99 := stage.Percentile(answers, 0.99)
	t.Logf("%-24s %8d times: memory %+5.1f MiB, goroutines %+4d, API p50 %.1f, p99 %.1f, most %.1f ms", f.Name, sent, float64(grown)/(1<<20), more,
		stage.Percentile(answers, 0.5), p99, slices.Max(answers))
	if sent == 0 {
		t.Error("nothing was sent")
	}
	if grown > memoryMost {
		t.Errorf("memory grew by %d MiB, promised are %d", grown>>20, memoryMost>>20)
	}
	if more > goroutinesMost {
		t.Errorf("%d goroutines more, promised are %d", more, goroutinesMost)
	}
	return answers
}

// resident is the daemon's memory in bytes (proc(5), VmRSS).
func resident(t *testing.T, s *stage.Stage) int {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", s.Kioskd.PID()))
	if err != nil {
		t.Fatalf("the daemon is gone: %v", err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, "VmRSS:"); ok {
			n, err := strconv.Atoi(strings.Fields(rest)[0])
			if err != nil {
				t.Fatal(err)
			}
			return n << 10
		}
	}
	t.Fatal("the daemon's memory is not told")
	return 0
}

// running counts the daemon's goroutines in the newest whole list that it printed; with
// fresh it waits for one that begins now.
func running(t *testing.T, s *stage.Stage, fresh bool) int {
	t.Helper()
	lists := func() []string { return strings.Split(s.Kioskd.Log(), "\nSCHED ") }
	before := len(lists())
	wanted := before
	if fresh {
		wanted = before + 2 // one may be in the middle of being printed
	}
	until(t, "the daemon lists its goroutines", 5*time.Second, func() (bool, string) { n := len(lists()); return n >= wanted && n > 2, "" })
	all := lists()
	n := 0
	for line := range strings.Lines(all[len(all)-2]) {
		if strings.HasPrefix(strings.TrimSpace(line), "G") && !strings.Contains(line, "status=6(") { // 6: dead, kept for the next one
			n++
		}
	}
	if n < 10 {
		t.Fatalf("%d goroutines: the list is not there\n%s", n, all[len(all)-2])
	}
	return n
}

// withoutLists is a log without the lists of goroutines.
func withoutLists(log string) string {
	var b strings.Builder
	for line := range strings.Lines(log) {
		if !strings.HasPrefix(line, "SCHED ") && !strings.HasPrefix(line, "  ") {
			b.WriteString(line)
		}
	}
	return b.String()
}
