package camera

import (
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// moved waits until ShutterChanged tells this.
func (p *pointed) moved(t *testing.T, closed bool) {
	t.Helper()
	select {
	case got := <-p.moves:
		if got != closed {
			t.Errorf("the shutter is told to be closed: %v, want %v", got, closed)
		}
	case <-time.After(shutterEvery + margin):
		t.Errorf("the shutter is not told to be closed: %v", closed)
	}
}

func TestListShutters(t *testing.T) {
	fc, plain := startFakecam(t, "-n", "2"), startFakecam(t, "-shutter=false")
	state := func(fc *fakecam, want ...ShutterState) {
		t.Helper()
		got, err := List(fc.dev)
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %+v, %v; want %d cameras", got, err, len(want))
		}
		for i, g := range got {
			if g.Shutter != want[i] || g.Err != nil || !g.Permission {
				t.Errorf("camera %d: shutter %s, %v; want %s", i, g.Shutter, g.Err, want[i])
			}
		}
	}
	state(plain, ShutterNone)
	state(fc, ShutterOpen, ShutterOpen)
	fc.do(t, "shutter 1 on")
	state(fc, ShutterOpen, ShutterClosed)

	// Beside a running camera, which must not notice.
	r := run(t, Config{Path: fc.path(0)})
	before := fc.drops(t, 0)
	last := r.film.next(t, 3*time.Second+margin, "picture", live)
	fc.do(t, "shutter 1 off")
	missing := 0
	for range 20 {
		state(fc, ShutterOpen, ShutterOpen)
		s := r.film.next(t, time.Second+margin, "next picture", live)
		if s.seq != last.seq+1 {
			t.Errorf("frame %d after %d", s.seq, last.seq)
		}
		missing += int(s.code.Counter - last.code.Counter - 1)
		last = s
	}
	if dropped := fc.drops(t, 0) - before; missing > dropped {
		t.Errorf("%d frames are missing, %d were dropped by the camera", missing, dropped)
	}
	fc.do(t, "shutter 0 on")
	state(fc, ShutterClosed, ShutterOpen)
	fc.do(t, "unplug 0") // a lever does not move when its cable is pulled
	fc.do(t, "plug 0")
	state(fc, ShutterClosed, ShutterOpen)
}

// TestShutterMoves: told while the camera runs, and black pictures meanwhile.
func TestShutterMoves(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	p := keepAt(t, fc.path(0))
	p.film.next(t, 3*time.Second+margin, "picture", of(0))
	var took []time.Duration
	for range 3 {
		asked := time.Now()
		fc.do(t, "shutter on")
		p.moved(t, true)
		took = append(took, time.Since(asked))
		p.film.next(t, time.Second+margin, "black picture", slated)
		fc.openWithin(t, 0, 1, 1, margin) // no file of its own is opened for it
		fc.do(t, "shutter off")
		p.moved(t, false)
		p.film.next(t, time.Second+margin, "picture", of(0))
	}
	t.Logf("shutter closed -> told: %v", took)
	p.state(t, Present)
	p.quietly(t) // the camera is live all the time

	// One that is closed at the start, and another one in its place.
	fc.do(t, "shutter 1 on")
	p.point(fc.path(1), nil)
	p.moved(t, true)
	p.state(t, Present)
	p.point(fc.path(0), nil)
	p.moved(t, false)
	p.state(t, Present)

	// Its unplugging says nothing about the shutter; the next look does.
	fc.do(t, "shutter 0 on")
	p.moved(t, true)
	fc.do(t, "unplug 0")
	p.state(t, Gone)
	fc.do(t, "plug 0")
	p.state(t, Present)
	fc.do(t, "shutter 0 off")
	p.moved(t, false)
	p.ends(t, fc)
	select {
	case m := <-p.moves:
		t.Errorf("one more move: %v", m)
	default:
	}
}

func TestShutterOfNothing(t *testing.T) {
	fc := startFakecam(t, "-shutter=false")
	fd, err := unix.Open(fc.path(0), unix.O_RDWR|unix.O_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(fd) }()
	told := func(bool) { t.Error("a shutter is told that is not there") }
	w := watchShutter(fd, told)
	w.end()
	fc.do(t, "unplug 0")
	w = watchShutter(fd, told)
	w.end()
	if s := shutterOf(-1); s != ShutterNone {
		t.Errorf("a closed file has a shutter that is %s", s)
	}
	w = watchShutter(-1, nil)
	w.end()
}

// asUser runs f with the file access of another user, on a thread of its own
// that ends with it.
func asUser(t *testing.T, uid int, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setfsuid(uid); err != nil {
			t.Error(err)
			return
		}
		f()
	}()
	<-done
}

// TestDenied: fakecam refuses users as the mode of a node does.
func TestDenied(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	if err := os.Chmod(filepath.Dir(fc.dev), 0o755); err != nil {
		t.Fatal(err)
	}
	usable := func(want ...bool) func() {
		return func() {
			t.Helper()
			p := NewProber(ProberConfig{Dev: fc.dev})
			for i := range want {
				g, ok := p.probe(fc.path(i), stableNames(fc.dev)[fc.path(i)], false) // List asks on threads of root's
				if !ok {
					t.Errorf("camera %d is none", i)
				}
				switch {
				case g.Base == "" || g.Path != fc.path(i) || g.Permission != want[i]:
					t.Errorf("camera %d: %+v, want permission %v", i, g, want[i])
				case want[i] && g.Err != nil:
					t.Errorf("camera %d: %v", i, g.Err)
				case !want[i] && (!errors.Is(g.Err, ErrPermission) || g.Shutter != ShutterNone):
					t.Errorf("camera %d: %v, shutter %s; want ErrPermission", i, g.Err, g.Shutter)
				}
				if want[i] {
					continue
				}
				if _, err := Open(Config{Path: g.Path}, quiet()); !errors.Is(err, ErrPermission) {
					t.Errorf("Open of camera %d: %v, want ErrPermission", i, err)
				}
			}
		}
	}
	r := run(t, Config{Path: fc.path(0)})
	r.film.next(t, 3*time.Second+margin, "picture", live)

	fc.do(t, "deny 1 65534")
	asUser(t, 65534, usable(true, false))
	usable(true, true)()
	fc.do(t, "deny 65534")
	asUser(t, 65534, usable(false, false))
	fc.do(t, "deny all")
	usable(false, false)() // root, too
	r.film.next(t, time.Second+margin, "picture of who has it open", live)
	fc.do(t, "allow 0")
	usable(true, true)()
	asUser(t, 65534, usable(false, false))
	fc.do(t, "allow all")
	asUser(t, 65534, usable(true, true))
}
