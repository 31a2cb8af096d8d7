package camera

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"
)

// hangLimit is when a driver that does not answer has to be given up in all.
const hangLimit = time.Second + lookEvery

// noneHangs waits until every late one is back.
func noneHangs(t *testing.T, hanging func() []Hanging) {
	t.Helper()
	for limit := time.Now().Add(margin); len(hanging()) > 0; runtime.Gosched() {
		if time.Now().After(limit) {
			t.Fatalf("still hanging: %+v", hanging())
		}
	}
}

// TestLookPastHung: a driver that hangs holds up neither the others nor us, costs
// one goroutine however often is looked, and its camera keeps its name.
func TestLookPastHung(t *testing.T) {
	fc := startFakecam(t, "-n", "2", "-serial", "A1,B1")
	p := NewProber(ProberConfig{Dev: fc.dev})
	good, err := p.List()
	if err != nil || len(good) != 2 {
		t.Fatalf("%+v, %v", good, err)
	}
	before := runtime.NumGoroutine()
	fc.do(t, "hang 0 60000")
	for i := range 20 {
		began := time.Now()
		got, err := p.List()
		if err != nil || len(got) != 2 || got[0].ID != good[0].ID || !errors.Is(got[0].Err, ErrHung) || got[1].Err != nil || len(got[1].Formats) == 0 {
			t.Fatalf("look %d: %+v, %v", i, got, err)
		}
		if d := time.Since(began); d > hangLimit || i > 0 && d > 500*time.Millisecond {
			t.Errorf("look %d took %v", i, d)
		}
	}
	quiescent(t, before+1)
	if h := p.Hanging(); len(h) != 1 || h[0].Path != fc.path(0) || h[0].What != "look at" {
		t.Errorf("hanging: %+v", h)
	}
	began := time.Now()
	if _, err := p.SetControls(fc.path(0), map[string]int32{"brightness": 1}); !errors.Is(err, ErrHung) {
		t.Errorf("SetControls: %v", err)
	}
	if f, err := p.Snapshot(t.Context(), Config{Path: fc.path(0)}); !errors.Is(err, ErrHung) {
		t.Errorf("Snapshot: %v, %v", f, err)
	}
	if d := time.Since(began); d > 200*time.Millisecond {
		t.Errorf("what hangs already held up %v", d)
	}
	fc.do(t, "hang 0 0")
	noneHangs(t, p.Hanging)
	quiescent(t, before)
	if got, err := p.List(); err != nil || len(got) != 2 || got[0].Err != nil || got[0].ID != good[0].ID {
		t.Errorf("when it answers again: %+v, %v", got, err)
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if got, err := p.List(); err != nil || len(got) != 2 || got[0].Err == nil {
		t.Errorf("after Close: %+v, %v", got, err)
	}
	fc.closedWithin(t, 0, closeLimit)
}

// TestKeeperThroughHang: the driver hangs while it streams.
func TestKeeperThroughHang(t *testing.T) {
	fc := startFakecam(t)
	before := runtime.NumGoroutine()
	p := wish(t, fc.dev, MJPEG)
	p.film.next(t, 3*time.Second+margin, "picture", live)
	p.state(t, Present)
	fc.do(t, "hang 0 60000")
	began := time.Now()
	s := p.film.next(t, slateLimit+margin, "slate", slated)
	if d := s.arrived.Sub(began); d > slateLimit {
		t.Errorf("the slate comes after %v", d)
	}
	p.reaches(t, Hung, ErrHung)
	for range 20 { // tries, and slates all the while
		p.film.next(t, time.Second, "slate", slated)
	}
	// The Keeper's three and the camera's one of before; the slates' wait is one of them.
	quiescent(t, before+6)
	fc.do(t, "hang 0 0")
	p.film.next(t, retryMax+liveLimit+margin, "picture", live)
	p.reaches(t, Present, nil)
	p.ends(t, fc)
	quiescent(t, before)
}

// TestSwitchPastHung: from a camera that hangs to one that does not, and to one
// that hangs.
func TestSwitchPastHung(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	p := keepAt(t, fc.path(0))
	p.film.next(t, 3*time.Second+margin, "picture", of(0))
	p.state(t, Present)
	fc.do(t, "hang 0 60000")
	began := time.Now()
	p.point(fc.path(1), nil)
	s := p.film.next(t, firstFrame+margin, "picture of the second", of(1))
	if d := s.arrived.Sub(began); d > time.Second {
		t.Errorf("the second is live after %v", d)
	}
	p.state(t, Present)

	p.point(fc.path(0), nil)
	p.film.next(t, startWithin+slateLimit+margin, "slate", slated)
	p.state(t, Hung)
	fc.closedWithin(t, 1, margin)
	p.point(fc.path(1), nil)
	p.film.next(t, liveLimit+margin, "picture of the second again", of(1))
	p.state(t, Present)
	p.quietly(t)
	fc.do(t, "hang 0 0")
	noneHangs(t, p.k.drivers.hanging)
	p.ends(t, fc)
}

// TestEndPastHung: Run ends all the same and says what is left; the next Keeper
// does not go into that driver, until it answers.
func TestEndPastHung(t *testing.T) {
	fc := startFakecam(t)
	before := runtime.NumGoroutine()
	prober := NewProber(ProberConfig{Dev: fc.dev})
	keeper := func() (*kept, *Keeper) {
		r := &kept{film: newFilm(), states: make(chan State, 64), end: make(chan error, 1)}
		k := NewKeeper(KeeperConfig{
			Choose:  func() (Config, error) { return Config{Path: fc.path(0)}, nil },
			Changed: func(s State) { r.states <- s }, Prober: prober, Log: quiet(),
		})
		ctx, cancel := context.WithCancel(t.Context())
		r.stop = cancel
		go func() { r.end <- k.Run(ctx, r.film.put) }()
		return r, k
	}
	first, _ := keeper()
	first.film.next(t, 3*time.Second+margin, "picture", live)
	fc.do(t, "hang 0 60000")
	fc.do(t, "stats 0") // an order to wait for: the hang has begun
	began := time.Now()
	first.stop()
	select {
	case err := <-first.end:
		if d := time.Since(began); d > hangLimit+100*time.Millisecond {
			t.Errorf("Run ends after %v", d)
		}
		if !errors.Is(err, ErrHung) || !strings.Contains(err.Error(), fc.path(0)) {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(margin):
		t.Fatal("Run does not end")
	}
	if h := prober.Hanging(); len(h) != 1 || h[0].Path != fc.path(0) || h[0].What != "run" {
		t.Errorf("hanging: %+v", h)
	}

	for range 5 { // however many Keepers come after it
		next, _ := keeper()
		next.state(t, Hung)
		next.stop()
		if err := <-next.end; err != nil {
			t.Errorf("Run that never went in: %v", err)
		}
	}
	quiescent(t, before+2)

	last, _ := keeper()
	last.state(t, Hung)
	fc.do(t, "hang 0 0")
	last.film.next(t, retryMax+liveLimit+margin, "picture", live)
	last.state(t, Present)
	last.stop()
	if err := <-last.end; err != nil {
		t.Errorf("Run: %v", err)
	}
	if err := prober.Close(); err != nil {
		t.Error(err)
	}
	fc.closedWithin(t, 0, closeLimit)
	quiescent(t, before)
}

// TestServerStopped: not even poll(2) comes back.
func TestServerStopped(t *testing.T) {
	fc := startFakecam(t)
	p := wish(t, fc.dev, MJPEG)
	p.film.next(t, 3*time.Second+margin, "picture", live)
	p.state(t, Present)
	if err := fc.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	p.film.next(t, slateLimit+margin, "slate", slated)
	p.reaches(t, Hung, ErrStalled)
	if err := fc.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	p.film.next(t, retryMax+liveLimit+margin, "picture", live)
	p.reaches(t, Present, nil)
	p.ends(t, fc)
}
