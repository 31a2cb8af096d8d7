package camera

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"kioskd/capture"
)

// numberOf tells which camera a picture is of: fakecam counts frames of videoN
// from N million.
func numberOf(s shot) int { return int(s.code.Counter / 1_000_000) }

func of(n int) func(shot) bool {
	return func(s shot) bool { return s.live && numberOf(s) == n }
}

// pointed is a Keeper of the camera that it is pointed at.
type pointed struct {
	*kept
	k     *Keeper
	moves chan bool // what ShutterChanged told

	mu   sync.Mutex
	path string
	err  error
}

// keepAt runs a Keeper of the camera at path.
func keepAt(t *testing.T, path string) *pointed {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	p := &pointed{
		kept:  &kept{film: newFilm(), states: make(chan State, 64), stop: cancel, end: make(chan error, 1)},
		moves: make(chan bool, 16), path: path,
	}
	p.k = NewKeeper(KeeperConfig{
		Choose: func() (Config, error) {
			p.mu.Lock()
			defer p.mu.Unlock()
			return Config{Path: p.path, Width: 640, Height: 480, Format: YUYV}, p.err
		},
		Changed:        func(s State) { p.states <- s },
		ShutterChanged: func(closed bool) { p.moves <- closed },
		Slate:          []string{"No camera"},
		Log:            quiet(),
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.end <- p.k.Run(ctx, p.film.put)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return p
}

// point sends it to another camera, or to an error of Choose.
func (p *pointed) point(path string, err error) {
	p.mu.Lock()
	p.path, p.err = path, err
	p.mu.Unlock()
	p.k.Retarget()
}

// ends stops the Keeper and checks that nothing stays open.
func (p *pointed) ends(t *testing.T, cams ...*fakecam) {
	t.Helper()
	p.stop()
	select {
	case err := <-p.end:
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	case <-time.After(5 * time.Second):
		t.Fatal("Run does not end")
	}
	for _, fc := range cams {
		for n := fc.first; n < fc.first+fc.n; n++ {
			fc.closedWithin(t, n, closeLimit)
		}
	}
}

// quietly fails when a state is reported.
func (p *pointed) quietly(t *testing.T) {
	t.Helper()
	select {
	case s := <-p.states:
		t.Errorf("state %+v is reported", s)
	default:
	}
}

// TestSwitches changes 20 times between the cameras of two processes and measures
// the gap at put: contract 200 ms, here less than 100 ms at the median.
func TestSwitches(t *testing.T) {
	cams := []*fakecam{startFakecam(t), startFakecam(t, "-first", "1")}
	p := keepAt(t, cams[0].path(0))
	last := p.film.next(t, 3*time.Second+margin, "picture", of(0))
	files, maps := 0, 0
	var gaps, closed []time.Duration
	for i := range 20 {
		to := (i + 1) % 2
		p.point(cams[to].path(to), nil)
		before := last
		first := p.film.next(t, firstFrame+margin, "picture of the other camera", func(s shot) bool {
			if !s.live {
				t.Errorf("switch %d: a slate", i)
			}
			if s.seq != last.seq+1 || !s.taken.After(last.taken) {
				t.Errorf("switch %d: frame %d at %v after frame %d at %v", i, s.seq, s.taken, last.seq, last.taken)
			}
			before, last = last, s
			return of(to)(s)
		})
		gaps = append(gaps, first.arrived.Sub(before.arrived))
		if first.code.Counter%1_000_000 > 60 {
			t.Errorf("switch %d: the first picture is number %d of its camera", i, first.code.Counter)
		}
		cams[1-to].closedWithin(t, 1-to, margin)
		closed = append(closed, time.Since(first.arrived))
		for range 5 { // never a picture of the one before
			last = p.film.next(t, time.Second+margin, "next picture", func(s shot) bool { return true })
			if !of(to)(last) {
				t.Errorf("switch %d: a picture of camera %d after those of %d", i, numberOf(last), to)
			}
		}
		if i == 1 {
			files, maps = openFiles(t), mappings(t, "video")
		}
	}
	slices.Sort(gaps)
	slices.Sort(closed)
	t.Logf("gap p50 %v, p95 %v, max %v; old camera closed p50 %v, max %v", gaps[10], gaps[18], gaps[19], closed[10], closed[19])
	if gaps[10] > 100*time.Millisecond {
		t.Errorf("gaps %v", gaps)
	}
	if closed[10] > 100*time.Millisecond {
		t.Errorf("the old camera is closed after %v", closed)
	}
	if n := openFiles(t); n != files {
		t.Errorf("%d files open, %d after the second switch", n, files)
	}
	if n := mappings(t, "video"); n != maps {
		t.Errorf("%d buffers mapped, %d after the second switch", n, maps)
	}
	for range 21 { // live once, and each change of the path
		p.state(t, Present)
	}
	p.quietly(t)
	p.ends(t, cams...)
}

// TestSwitchOnOneBus: where two cannot stream at a time the old one goes first.
func TestSwitchOnOneBus(t *testing.T) {
	fc := startFakecam(t, "-n", "2", "-one-bus")
	other := run(t, Config{Path: fc.path(0)})
	other.film.next(t, 3*time.Second+margin, "picture", live)
	second, err := Open(Config{Path: fc.path(1)}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := second.Run(t.Context(), (*capture.Frame).Release); !errors.Is(err, ErrNoRoom) {
		t.Errorf("a second stream: %v, want ErrNoRoom", err)
	}
	other.stop()
	if err := other.ended(t, closeLimit+margin); err != nil {
		t.Error(err)
	}

	p := keepAt(t, fc.path(0))
	last := p.film.next(t, 3*time.Second+margin, "picture", of(0))
	p.state(t, Present)
	var gaps []time.Duration
	for i := range 5 {
		to := (i + 1) % 2
		p.point(fc.path(to), nil)
		first := p.film.next(t, firstFrame+margin, "picture of the other camera", func(s shot) bool {
			if of(1 - to)(s) {
				last = s
			}
			return of(to)(s)
		})
		gaps = append(gaps, first.arrived.Sub(last.arrived))
		last = first
		p.state(t, Present) // and no failure before
		fc.closedWithin(t, 1-to, margin)
	}
	t.Logf("gaps on one bus: %v", gaps)
	p.ends(t, fc)
}

func TestSwitchToWhatFails(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	p := keepAt(t, fc.path(0))
	p.film.next(t, 3*time.Second+margin, "picture", of(0))
	p.state(t, Present)

	// Choose knows that it is not there.
	p.point("", fmt.Errorf("cannot find it: %w", ErrGone))
	p.state(t, Gone)
	fc.closedWithin(t, 0, margin)
	p.film.next(t, slateLimit+margin, "slate", slated)
	p.point(fc.path(0), nil)
	p.film.next(t, liveLimit+margin, "picture again", of(0))
	p.state(t, Present)

	// It does not open, without the other one either.
	fc.do(t, "deny 1 all")
	p.point(fc.path(1), nil)
	p.state(t, NoPermission)
	fc.closedWithin(t, 0, margin)
	p.film.next(t, slateLimit+margin, "slate", slated)
	fc.do(t, "allow 1 all")
	p.film.next(t, retryMax+liveLimit+margin, "picture of the second", of(1))
	p.state(t, Present)

	// It opens and gives nothing; the one in use goes on until that is clear.
	fc.do(t, "stall 0 60000")
	asked := time.Now()
	p.point(fc.path(0), nil)
	p.film.next(t, firstFrame+margin, "picture of the second at the end of patience", func(s shot) bool {
		return of(1)(s) && s.arrived.Sub(asked) > firstFrame-time.Second
	})
	p.film.next(t, firstFrame+slateLimit+margin, "slate", slated)
	p.state(t, Hung)
	p.ends(t, fc)
}

// TestSwitchAndBack: the wish changes while the next camera has not begun.
func TestSwitchAndBack(t *testing.T) {
	fc := startFakecam(t, "-n", "3")
	p := keepAt(t, fc.path(0))
	p.film.next(t, 3*time.Second+margin, "picture", of(0))
	p.state(t, Present)
	fc.do(t, "stall 1 60000")
	p.point(fc.path(1), nil)
	fc.openWithin(t, 1, 1, 1, margin)
	p.point(fc.path(1), nil) // no news
	p.point(fc.path(0), nil)
	fc.closedWithin(t, 1, margin)
	fc.openWithin(t, 0, 1, 1, margin)
	p.film.next(t, time.Second+margin, "picture of the first", of(0))

	p.point(fc.path(1), nil)
	fc.openWithin(t, 1, 1, 1, margin)
	p.point(fc.path(2), nil)
	p.film.next(t, firstFrame+margin, "picture of the third", of(2))
	p.state(t, Present)
	fc.closedWithin(t, 0, margin)
	fc.closedWithin(t, 1, margin)
	p.quietly(t)
	p.ends(t, fc)
}

// TestSwitchAwayFromLost: the camera in use is unplugged while the next starts.
func TestSwitchAwayFromLost(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	p := keepAt(t, fc.path(0))
	p.film.next(t, 3*time.Second+margin, "picture", of(0))
	p.state(t, Present)
	fc.do(t, "stall 1 60000")
	p.point(fc.path(1), nil)
	fc.openWithin(t, 1, 1, 1, margin)
	fc.do(t, "unplug 0")
	p.film.next(t, slateLimit+margin, "slate", slated)
	fc.do(t, "stall 1 0")
	p.film.next(t, firstFrame+margin, "picture of the second", of(1))
	p.state(t, Present) // the loss of the first was nobody's trouble
	p.ends(t, fc)
}

// TestEndWhileSwitching: the end of the context closes both.
func TestEndWhileSwitching(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	p := keepAt(t, fc.path(0))
	p.film.next(t, 3*time.Second+margin, "picture", of(0))
	fc.do(t, "stall 1 60000")
	p.point(fc.path(1), nil)
	fc.openWithin(t, 1, 1, 1, margin)
	p.ends(t, fc)
}

// TestRetargetAlways: from many goroutines, to where it is already, before Run
// and after its end.
func TestRetargetAlways(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	p := keepAt(t, fc.path(0))
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				p.k.Retarget()
			}
		})
	}
	wg.Wait()
	p.film.next(t, 3*time.Second+margin, "picture", of(0))
	p.state(t, Present)
	for range 5 {
		p.k.Retarget()
		p.film.next(t, time.Second+margin, "picture", of(0))
	}
	fc.openWithin(t, 0, 1, 1, margin)
	fc.closedWithin(t, 1, margin)

	for i := range 60 { // faster than cameras start
		p.point(fc.path(i%2), nil)
		if i%3 == 0 {
			p.film.next(t, firstFrame+margin, "picture", func(s shot) bool { return true })
		}
	}
	p.point(fc.path(1), nil)
	p.film.next(t, firstFrame+margin, "picture of the last wish", of(1))
	fc.closedWithin(t, 0, margin)
	p.ends(t, fc)
	p.k.Retarget()
}
