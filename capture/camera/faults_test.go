package camera

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strconv"
	"testing"
	"time"

	"kioskd/capture"
)

// rounds is how often each fault comes and goes.
const rounds = 20

// wish is a Keeper of the first camera that is found in a format.
func wish(t *testing.T, dev, format string) *pointed {
	t.Helper()
	prober := NewProber(ProberConfig{Dev: dev})
	ctx, cancel := context.WithCancel(context.Background())
	p := &pointed{kept: &kept{film: newFilm(), states: make(chan State, 1024), stop: cancel, end: make(chan error, 1)}}
	p.k = NewKeeper(KeeperConfig{
		Choose: func() (Config, error) {
			cams, err := prober.Look()
			if err != nil || len(cams) == 0 {
				return Config{}, errors.Join(err, fmt.Errorf("cannot choose a camera: %w", ErrGone))
			}
			return Config{Path: cams[0].Path, Width: 640, Height: 480, Format: format}, cams[0].Err
		},
		Changed: func(s State) { p.states <- s },
		Slate:   []string{"No camera"}, Prober: prober, Log: quiet(),
	})
	done := make(chan struct{})
	go func() {
		defer close(done)
		p.end <- p.k.Run(ctx, p.film.put)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
		if err := prober.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// TestFaultsComeAndGo: twenty rounds of each fault: the slate within 1 s, live
// within 0.5 s of its end, the state in its words, and nothing left open.
func TestFaultsComeAndGo(t *testing.T) {
	t.Run("runtime", func(t *testing.T) { startFakecam(t) }) // it makes its own files first
	files, maps, routines := openFiles(t), mappings(t, "video"), runtime.NumGoroutine()
	t.Run("fault", faults)
	if n := openFiles(t); n != files {
		t.Errorf("%d files open, %d before", n, files)
	}
	if n := mappings(t, "video"); n != maps {
		t.Errorf("%d buffers mapped, %d before", n, maps)
	}
	quiescent(t, routines)
}

func faults(t *testing.T) {
	for n, c := range []struct {
		name, on, off string
		code          Code
		why           error
		poke          bool // the daemon's watch would tell of it
		bad           func(Stats) uint64
	}{
		{"unplug", "unplug %d", "plug %d", Gone, ErrGone, true, nil},
		{"unplug without a word", "unplug %d", "plug %d", Gone, ErrGone, false, nil},
		{"stall", "stall %d 60000", "stall %d 0", Hung, ErrStalled, false, nil},
		{"garbage", "garbage %d on", "garbage %d off", Hung, ErrDamaged, false, func(s Stats) uint64 { return s.Undecodable }},
		{"short", "short %d on", "short %d off", Hung, ErrDamaged, false, func(s Stats) uint64 { return s.Truncated }},
		{"wrongsize", "wrongsize %d on", "wrongsize %d off", Hung, ErrDamaged, false, func(s Stats) uint64 { return s.WrongSize }},
		{"oversize", "oversize %d on", "oversize %d off", Hung, ErrDamaged, true, func(s Stats) uint64 { return s.Oversized }},
		{"revoke", "revoke %d on", "revoke %d off", NoPermission, ErrPermission, false, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			fc := startFakecam(t, "-first", strconv.Itoa(n))
			p := wish(t, fc.dev, MJPEG)
			p.film.next(t, 3*time.Second+margin, "picture", live)
			p.reaches(t, Present, nil)
			var lost, back []time.Duration
			for range rounds {
				began := time.Now()
				fc.do(t, c.on, n)
				lost = append(lost, p.film.next(t, slateLimit+margin, "slate", slated).arrived.Sub(began))
				p.reaches(t, c.code, c.why)
				began = time.Now()
				fc.do(t, c.off, n)
				if c.poke {
					p.k.Poke()
				}
				back = append(back, p.film.next(t, liveLimit+margin, "picture after it", live).arrived.Sub(began))
				p.reaches(t, Present, nil)
			}
			slices.Sort(lost)
			slices.Sort(back)
			t.Logf("fault -> slate p50 %v, p95 %v, max %v; its end -> live p50 %v, p95 %v, max %v",
				lost[rounds/2], lost[rounds-2], lost[rounds-1], back[rounds/2], back[rounds-2], back[rounds-1])
			if lost[rounds-2] > slateLimit {
				t.Errorf("slates after %v", lost)
			}
			if back[rounds-2] > liveLimit {
				t.Errorf("live after %v", back)
			}
			if s := p.k.Stats(); c.bad != nil && (c.bad(s) < rounds || c.bad(s) != s.Bad) {
				t.Errorf("of this kind %d: %+v", c.bad(s), s)
			}
			p.ends(t, fc)
		})
	}
}

// reaches waits until the state is told, whatever came on the way there.
func (p *pointed) reaches(t *testing.T, want Code, why error) {
	t.Helper()
	limit := time.After(retryMax + firstFrame + margin)
	for {
		select {
		case s := <-p.states:
			if s.Words == "" || (s.Err == nil) != (s.Code == Present) {
				t.Errorf("state %+v", s)
			}
			if s.Code == want && (why == nil || errors.Is(s.Err, why)) {
				return
			}
		case <-limit:
			t.Fatalf("state %s for %v is not reported", want, why)
		}
	}
}

// quiescent waits until no more goroutines run than before.
func quiescent(t *testing.T, before int) {
	t.Helper()
	for limit := time.Now().Add(margin); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(limit) {
			buf := make([]byte, 1<<16)
			t.Fatalf("%d goroutines, %d before:\n%s", runtime.NumGoroutine(), before, buf[:runtime.Stack(buf, true)])
		}
	}
}

// TestNoBandwidth: on a full bus a format that fits is found, and the wished one
// at the next fresh opening.
func TestNoBandwidth(t *testing.T) {
	// 640x480 at 30 needs 18.4 MB/s as YUYV, 9.2 MB/s as MJPEG.
	fc := startFakecam(t, "-n", "2", "-bus-room", "30000000")
	first := keepAt(t, fc.path(0)) // 640x480 YUYV
	first.film.next(t, 3*time.Second+margin, "picture of the first", of(0))
	first.state(t, Present)

	second := keepAt(t, fc.path(1))
	s := second.film.next(t, firstFrame+margin, "picture in what fits", of(1))
	got := <-second.states
	if got.Code != Present || got.Fits != "MJPG 640x480@30" || got.Err != nil || got.Words == "" || s.w != 640 || s.h != 480 {
		t.Errorf("%+v at %dx%d", got, s.w, s.h)
	}
	first.ends(t)
	fc.closedWithin(t, 0, margin)
	fc.do(t, "unplug 1")
	second.reaches(t, Gone, ErrGone)
	fc.do(t, "plug 1")
	second.k.Poke()
	second.film.next(t, liveLimit+margin, "picture", of(1))
	if got := <-second.states; got.Code != Present || got.Fits != "" {
		t.Errorf("with the bus free again: %+v", got)
	}
	if st := second.k.Stats(); st.Format != YUYV {
		t.Errorf("with the bus free again: %+v", st)
	}
	second.ends(t, fc)
}

// TestNoBandwidthAtAll: nothing fits, until the other stream ends.
func TestNoBandwidthAtAll(t *testing.T) {
	fc := startFakecam(t, "-n", "2", "-one-bus")
	other := run(t, Config{Path: fc.path(0)})
	other.film.next(t, 3*time.Second+margin, "picture of the other", live)
	p := keepAt(t, fc.path(1))
	p.state(t, NoBandwidth)
	p.film.next(t, slateLimit+margin, "slate", slated)
	other.stop()
	fc.closedWithin(t, 0, margin)
	p.k.Poke()
	p.film.next(t, liveLimit+margin, "picture", of(1))
	if got := <-p.states; got.Code != Present || got.Fits != "" {
		t.Errorf("with room again: %+v", got)
	}
	p.ends(t, fc)
}

// TestUneven: of pictures that wait behind each other the newest is taken, the
// others are dropped and counted.
func TestUneven(t *testing.T) {
	fc := startFakecam(t, "-first", "0")
	cam, err := Open(Config{Path: fc.path(0), Width: 640, Height: 480, Format: MJPEG}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	fc.do(t, "uneven 0 on") // five at a time, some milliseconds apart
	ctx, cancel := context.WithTimeout(t.Context(), firstFrame+margin)
	defer cancel()
	var f film
	f.shots = make(chan shot, 1)
	last, shown := int64(-1), 0
	if err := cam.Run(ctx, func(p *capture.Frame) {
		f.put(p)
		if s := <-f.shots; !s.live || int64(s.code.Counter) <= last {
			t.Errorf("picture %d after %d", s.code.Counter, last)
		} else {
			last = int64(s.code.Counter)
		}
		if shown++; shown == 30 {
			cancel()
		}
		<-time.After(25 * time.Millisecond) // as on a slow machine: the rest of the burst waits
	}); err != nil {
		t.Errorf("Run: %v", err)
	}
	if st := cam.Stats(); shown != 30 || st.Frames != 30 || st.Uneven < 10 || st.Bad != 0 {
		t.Errorf("%d pictures: %+v", shown, st)
	} else {
		t.Logf("%d shown, %d left out", st.Frames, st.Uneven)
	}
	fc.closedWithin(t, 0, closeLimit)
}

// TestMixedDamage: every second picture is bad: the stream goes on, nothing torn
// comes out.
func TestMixedDamage(t *testing.T) {
	fc := startFakecam(t)
	p := wish(t, fc.dev, MJPEG)
	p.film.next(t, 3*time.Second+margin, "picture", live)
	p.state(t, Present)
	for _, fault := range []string{"garbage", "short", "wrongsize"} {
		bad := p.k.Stats().Bad
		fc.do(t, "%s 0 on", fault)
		for limit := time.Now().Add(margin); p.k.Stats().Bad == bad && time.Now().Before(limit); {
			p.film.next(t, time.Second+margin, "picture or slate", func(shot) bool { return true })
		}
		fc.do(t, "%s 0 off", fault)
		for range 5 {
			s := p.film.next(t, time.Second+margin, "picture", live)
			if s.w != 640 || s.h != 480 {
				t.Errorf("after %s a picture of %dx%d", fault, s.w, s.h)
			}
		}
		if p.k.Stats().Bad == bad {
			t.Errorf("%s is not counted", fault)
		}
	}
	p.quietly(t)
	p.ends(t, fc)
}
