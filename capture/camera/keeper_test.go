package camera

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	"kioskd/capture"
)

// The promises: a lost camera shows the slate within 1 s, a plugged one is live
// within 0.5 s. TestKeeperThroughUnplugging holds the medians to them; a single
// wait has a margin for a busy test machine.
const (
	slateLimit = time.Second
	liveLimit  = 500 * time.Millisecond
	margin     = 4 * time.Second
)

// kept is a Keeper that runs on a goroutine of its own.
type kept struct {
	film   *film
	states chan State
	stop   context.CancelFunc
	end    chan error
}

// keep runs a Keeper of the first camera in dev.
func keep(t *testing.T, dev string) *kept {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	r := &kept{film: newFilm(), states: make(chan State, 64), stop: cancel, end: make(chan error, 1)}
	k := NewKeeper(KeeperConfig{
		Choose: func() (Config, error) {
			cams, err := List(dev)
			if err != nil {
				return Config{}, err
			}
			if len(cams) == 0 {
				return Config{}, fmt.Errorf("cannot choose a camera in %s: %w", dev, ErrGone)
			}
			return Config{Path: cams[0].Path}, cams[0].Err
		},
		Changed: func(s State) { r.states <- s },
		Slate:   []string{"No camera", "Plug the camera in"},
		Log:     quiet(),
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.end <- k.Run(ctx, r.film.put)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// state waits for the next change of state.
func (k *kept) state(t *testing.T, want Code) {
	t.Helper()
	select {
	case s := <-k.states:
		if s.Code != want || s.Words == "" || (s.Err == nil) != (want == Present) {
			t.Errorf("state %+v, want %s", s, want)
		}
	case <-time.After(5 * time.Second):
		t.Errorf("state %s is not reported", want)
	}
}

func TestKeeperThroughUnplugging(t *testing.T) {
	fc := startFakecam(t)
	k := keep(t, fc.dev)
	k.film.next(t, 3*time.Second, "picture", live)
	k.state(t, Present)
	var lost, back []time.Duration
	for range 5 {
		unplugged := time.Now()
		fc.do(t, "unplug 0")
		lost = append(lost, k.film.next(t, slateLimit+margin, "slate", slated).arrived.Sub(unplugged))
		k.state(t, Gone)
		k.film.next(t, slateLimit+margin, "second slate", slated)

		plugged := time.Now()
		fc.do(t, "plug 0")
		s := k.film.next(t, liveLimit+margin, "picture after the plug", live)
		k.state(t, Present)
		back = append(back, s.arrived.Sub(plugged))
	}
	slices.Sort(lost)
	slices.Sort(back)
	t.Logf("unplugged -> slate: %v; plugged -> live: %v", lost, back)
	if p50 := lost[len(lost)/2]; p50 > slateLimit {
		t.Errorf("unplugged -> slate takes %v", p50)
	}
	if p50 := back[len(back)/2]; p50 > liveLimit {
		t.Errorf("plugged -> live takes %v", p50)
	}
	k.stop()
	if err := <-k.end; err != nil {
		t.Errorf("Run: %v", err)
	}
	fc.closedWithin(t, 0, closeLimit)
}

// TestKeeperCountsOn: one sequence over live pictures and slates, times in order,
// the size of the camera kept by its slate.
func TestKeeperCountsOn(t *testing.T) {
	fc := startFakecam(t)
	k := keep(t, fc.dev)
	var seen []shot
	collect := func(what string, ok func(shot) bool) {
		k.film.next(t, 5*time.Second, what, func(s shot) bool { seen = append(seen, s); return ok(s) })
	}
	collect("picture", live)
	fc.do(t, "unplug 0")
	collect("slate", slated)
	collect("slate", slated)
	fc.do(t, "plug 0")
	collect("picture", live)
	for i, s := range seen {
		if s.seq != uint64(i) || s.w != 1280 || s.h != 720 {
			t.Errorf("frame %d has number %d, size %dx%d", i, s.seq, s.w, s.h)
		}
		if i > 0 && !s.taken.After(seen[i-1].taken) {
			t.Errorf("frame %d is not younger than the one before", i)
		}
	}
}

func TestKeeperThroughStall(t *testing.T) {
	fc := startFakecam(t)
	k := keep(t, fc.dev)
	k.film.next(t, 3*time.Second, "picture", live)
	k.state(t, Present)
	fc.do(t, "stall 0 2500")
	k.film.next(t, slateLimit+margin, "slate", slated)
	k.state(t, Hung)
	k.film.next(t, 3*time.Second, "picture after the stall", live)
	k.state(t, Present)
}

// TestKeeperThroughBusy: another program has the camera first.
func TestKeeperThroughBusy(t *testing.T) {
	fc := startFakecam(t)
	other := run(t, Config{Path: fc.path(0)})
	other.film.next(t, 3*time.Second, "picture of the other", live)
	k := keep(t, fc.dev)
	k.state(t, Busy)
	k.film.next(t, slateLimit+margin, "slate", slated)
	other.stop()
	k.film.next(t, retryMax+liveLimit+margin, "picture", live)
	k.state(t, Present)
}

// TestKeeperThroughDeath: the camera's server is killed.
func TestKeeperThroughDeath(t *testing.T) {
	fc := startFakecam(t)
	k := keep(t, fc.dev)
	k.film.next(t, 3*time.Second, "picture", live)
	k.state(t, Present)
	fc.stop(t, syscall.SIGKILL)
	k.film.next(t, slateLimit+margin, "slate", slated)
	k.state(t, Gone)
}

// TestKeeperSlateIsPlain: a slate that reached a consumer is not drawn on again.
func TestKeeperSlateIsPlain(t *testing.T) {
	frames := make(chan *capture.Frame, 8)
	ctx, cancel := context.WithCancel(context.Background())
	k := NewKeeper(KeeperConfig{
		Choose: func() (Config, error) { return Config{}, ErrGone },
		Slate:  []string{"No camera"}, Width: 320, Height: 240, Log: quiet(),
	})
	end := make(chan error, 1)
	go func() {
		end <- k.Run(ctx, func(f *capture.Frame) {
			select {
			case frames <- f:
			default:
				f.Release()
			}
		})
	}()
	defer func() { cancel(); <-end }()
	a, b := <-frames, <-frames
	if a == b {
		t.Fatal("a frame that is still held came again")
	}
	want := capture.Slate(320, 240, []string{"No camera"})
	for _, f := range []*capture.Frame{a, b} {
		if string(f.Y) != string(want.Y) || string(f.Cb) != string(want.Cb) || string(f.Cr) != string(want.Cr) {
			t.Error("the slate is not the one that Slate draws")
		}
		f.Release()
	}
}
