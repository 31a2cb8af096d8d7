package session_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"runtime"
	"strconv"
	"sync"
	"testing"
	"time"

	"kioskd/daemon/session"
)

// walkEvents is how many random events TestRandomWalk plays; KIOSKD_WALK asks for
// another number (`make walk`: ten million).
const (
	walkEvents = 100_000
	walkEnv    = "KIOSKD_WALK"
)

// places counts where walks have come to.
type places struct {
	mu   sync.Mutex
	at   map[string]int
	cell map[[2]string]int // state and event
}

// TestRandomWalk plays random events and checks after each what must always hold. As
// many walks as processors go at a time, each with a seed of its own.
func TestRandomWalk(t *testing.T) {
	total := walkEvents
	if n, err := strconv.Atoi(os.Getenv(walkEnv)); err == nil {
		total = n
	}
	reached := &places{at: map[string]int{}, cell: map[[2]string]int{}}
	began := time.Now()
	t.Run("walks", func(t *testing.T) {
		walks := runtime.GOMAXPROCS(0)
		for n := range walks {
			t.Run(fmt.Sprint(n), func(t *testing.T) {
				t.Parallel()
				seed := rand.Uint64()
				t.Logf("seed %d", seed)
				walk(t, rand.New(rand.NewPCG(seed, 1)), total/walks, reached)
			})
		}
	})
	took := time.Since(began)
	t.Logf("%d events in %.1f s, %.0f a second; %d cells of state x event", total, took.Seconds(), float64(total)/took.Seconds(), len(reached.cell))
	if t.Failed() {
		return
	}
	for _, s := range []string{
		"none", "waiting_permissions", "waiting/loading", "waiting/joining", "waiting/participant", "active",
		"reconnecting", "ended", "timeout", "error:network_unavailable", "error:camera_permission_required", "error:room_unavailable!",
		"error:unauthorized!", "a message that waits", "a refresh", "a call without the backend", "a report that is sent", "a control taken away",
		"a closed shutter", "a muting button", "a doubtful clock",
	} {
		if reached.at[s] == 0 {
			t.Errorf("the walk never came to %s", s)
		}
	}
	if total >= 10*walkEvents { // long enough for the seldom ones
		reached.complete(t)
	}
}

// complete: every event was played in every state.
func (p *places) complete(t *testing.T) {
	t.Helper()
	states := []session.State{
		session.None, session.WaitingPermissions, session.Waiting, session.Active, session.Reconnecting, session.Ended, session.Timeout, session.Error,
	}
	for _, c := range columns() {
		for _, s := range states {
			if name := c.what(1).Name(); p.cell[[2]string{string(s), name}] == 0 {
				t.Errorf("no %s came in state %q", name, s)
			}
		}
	}
}

// walk plays one walk and adds where it came to.
func walk(t *testing.T, rnd *rand.Rand, events int, reached *places) {
	w := &walker{t: t, k: newKiosk(t), rnd: rnd}
	at, cell := map[string]int{}, map[[2]string]int{}
	chooser := newChooser(rnd)
	for i := range events {
		k := w.k
		k.now = k.now.Add(pause(rnd))
		what := chooser.next(k.m, i)
		before, looked := k.m, i%16 == 0 // looking is dear
		var frozen session.Model
		if looked {
			frozen = k.m.Clone()
		}
		k.do(what)
		if set, ok := what.(session.ClockSet); ok && !before.DoubtfulSince.IsZero() && k.m.DoubtfulSince.IsZero() {
			k.now = set.Now // as the runner does
		}
		if looked && !reflect.DeepEqual(before, frozen) {
			t.Fatalf("event %d (%s) changed the model it was given", i, what.Name())
		}
		w.check(i, before, what)
		cell[[2]string{string(before.State), what.Name()}]++
		w.note(at)
		if k.m.Stopping || rnd.IntN(500) == 0 {
			w.restart()
		}
	}
	reached.mu.Lock()
	defer reached.mu.Unlock()
	for k, n := range at {
		reached.at[k] += n
	}
	for k, n := range cell {
		reached.cell[k] += n
	}
}

// note counts where the walk is.
func (w *walker) note(at map[string]int) {
	m := w.k.m
	at[describe(m)]++
	for _, place := range []struct {
		name  string
		there bool
	}{
		{"a message that waits", w.outbox > 0},
		{"a refresh", m.Refreshing},
		{"a call without the backend", m.Unauthorized && m.State == session.Reconnecting},
		{"a closed shutter", m.Running() && m.Facts.CameraShut && !m.VideoOff},
		{"a muting button", m.Running() && m.Facts.MicrophoneShut && !m.Muted},
		{"a report that is sent", m.ReportSent},
		{"a control taken away", len(m.Screen.Hidden) > 0},
		{"a doubtful clock", m.Running() && !m.DoubtfulSince.IsZero()},
	} {
		if place.there {
			at[place.name]++
		}
	}
}

// chooser draws events.
type chooser struct {
	rnd     *rand.Rand
	any     []column
	helpful []func(int) session.What // that help a call along, else it never lives
}

func newChooser(rnd *rand.Rand) *chooser {
	always := func(w func() session.What) func(int) session.What { return func(int) session.What { return w() } }
	some := func() string { return fmt.Sprint("w", rnd.IntN(1000)) }
	return &chooser{rnd: rnd, any: columns(), helpful: []func(int) session.What{
		always(func() session.What { return open() }), always(func() session.What { return devices() }), always(up),
		always(func() session.What { return shut(rnd.IntN(2) == 0, rnd.IntN(2) == 0) }),
		always(func() session.What {
			return session.Permissions{Camera: session.Granted, Microphone: session.Granted}
		}),
		loaded, joined, peer, media,
		func(n int) session.What { return session.RoomLoaded{Attempt: n, Room: room(), Patch: patch()} },
		always(func() session.What { return say(some()) }),
		func(n int) session.What { return heard(n, some()) },
		func(n int) session.What { return acked(n, some()) },
	}}
}

func (c *chooser) next(m session.Model, i int) session.What {
	what := c.any[c.rnd.IntN(len(c.any))].what(m.Attempt)
	if c.rnd.IntN(2) == 0 {
		what = c.helpful[c.rnd.IntN(len(c.helpful))](m.Attempt)
	}
	if c.rnd.IntN(20) == 0 {
		what = c.any[c.rnd.IntN(len(c.any))].what(m.Attempt - 1 - c.rnd.IntN(2)) // too late
	}
	switch w := what.(type) {
	case session.ScreenPatched: // of the newest refresh, else hardly ever
		w.Number = m.Refreshes
		return w
	case session.RefreshFailed:
		w.Number = m.Refreshes
		return w
	case session.ClockSet: // within hours of what the kiosk believes
		w.Now = m.LastAt.Add(time.Duration(c.rnd.IntN(24)-12) * time.Hour / 2)
		return w
	case session.Open:
		w.Peer, w.ClockDoubtful = fmt.Sprint("peer-", i), c.rnd.IntN(4) == 0
		return w
	}
	return what
}

// pause is mostly nothing, sometimes seconds, seldom minutes.
func pause(rnd *rand.Rand) time.Duration {
	switch n := rnd.IntN(100); {
	case n < 70:
		return 0
	case n < 98:
		return time.Duration(rnd.IntN(5000)) * time.Millisecond
	default:
		return time.Duration(rnd.IntN(180)) * time.Second
	}
}
