package camera

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"kioskd/capture"
)

// closeLimit is the promise for "video off": the camera's file is closed.
const closeLimit = 500 * time.Millisecond

// running is a camera that runs on a goroutine of its own.
type running struct {
	cam  *Camera
	film *film
	stop context.CancelFunc
	end  chan error
}

// run opens the camera and runs it until the test stops it.
func run(t *testing.T, cfg Config) *running {
	t.Helper()
	cam, err := Open(cfg, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{cam: cam, film: newFilm(), stop: cancel, end: make(chan error, 1)}
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.end <- cam.Run(ctx, r.film.put)
	}()
	t.Cleanup(func() { cancel(); <-done })
	return r
}

// ended waits for Run to return.
func (r *running) ended(t *testing.T, within time.Duration) error {
	t.Helper()
	select {
	case err := <-r.end:
		return err
	case <-time.After(within):
		t.Fatalf("Run did not return within %v", within)
		return nil
	}
}

func TestList(t *testing.T) {
	fc := startFakecam(t, "-n", "2", "-serial", "AB 1,", "-port", "1-2.4,3-1", "-usb-id", "046d:082d,1209:ca01", "-metadata")
	if err := os.WriteFile(fc.dev+"/video7", nil, 0o600); err != nil { // no device
		t.Fatal(err)
	}
	got, err := List(fc.dev)
	if err != nil || len(got) != 2 {
		t.Fatalf("got %+v, %v; want two cameras", got, err)
	}
	for i, want := range []struct{ base, port, where string }{
		{"usb-046d-082d-AB_1", "usb-1-2.4", "USB port 1-2.4"}, {"usb-3-1", "usb-3-1", "USB port 3-1"},
	} {
		g := got[i]
		if g.Path != fc.path(2*i) || g.ID != want.base || g.Base != want.base || g.Port != want.port || g.Where != want.where ||
			g.Name != fmt.Sprintf("Fake HD Camera %d", 2*i) || !strings.HasPrefix(g.Bus, "usb-") || !g.Permission || g.Err != nil || len(g.Controls) == 0 {
			t.Errorf("camera %d: %+v", i, g)
		}
		for _, want := range []string{YUYV, MJPEG} {
			at := slices.IndexFunc(g.Formats, func(f Format) bool { return f.FourCC == want })
			if at < 0 || !slices.Contains(g.Formats[at].Sizes, Size{1280, 720, 30}) {
				t.Errorf("camera %d: no %s 1280x720 at 30 in %+v", i, want, g.Formats)
			}
		}
	}

	fc.do(t, "unplug 0")
	left, err := List(fc.dev)
	if err != nil || len(left) != 1 || left[0].ID != got[1].ID {
		t.Errorf("after unplug: %+v, %v", left, err)
	}
	fc.closedWithin(t, 2, closeLimit)
}

// TestIDStays: the name is the same at another number and port; two of one serial
// number are told apart by their ports.
func TestIDStays(t *testing.T) {
	fc := startFakecam(t, "-n", "2", "-serial", "SAME", "-port", "1-2,1-3")
	ids := func(want ...string) {
		t.Helper()
		got, err := List(fc.dev)
		if err != nil || len(got) != len(want) {
			t.Fatalf("got %+v, %v; want %q", got, err, want)
		}
		for i, g := range got {
			if g.ID != want[i] || g.Base != "usb-1209-ca01-SAME" {
				t.Errorf("camera %d is called %s, %s; want %s", i, g.ID, g.Base, want[i])
			}
		}
	}
	ids("usb-1209-ca01-SAME-at-usb-1-2", "usb-1209-ca01-SAME-at-usb-1-3")
	fc.do(t, "move 0 5")
	ids("usb-1209-ca01-SAME-at-usb-1-3", "usb-1209-ca01-SAME-at-usb-1-2")
	fc.do(t, "unplug 1")
	ids("usb-1209-ca01-SAME")
}

// TestIDWithoutSysfs: udev's links name the camera, without them its bus.
func TestIDWithoutSysfs(t *testing.T) {
	fc := startFakecam(t, "-sys", "")
	if got, err := List(fc.dev); err != nil || len(got) != 1 || !strings.HasPrefix(got[0].ID, "usb-") || got[0].Port != "" {
		t.Fatalf("by id: %+v, %v", got, err)
	}
	if err := os.RemoveAll(fc.dev + "/v4l/by-id"); err != nil {
		t.Fatal(err)
	}
	got, err := List(fc.dev)
	if err != nil || len(got) != 1 || !strings.HasPrefix(got[0].ID, "pci-") {
		t.Fatalf("by path: %+v, %v", got, err)
	}
	if err := os.RemoveAll(fc.dev + "/v4l"); err != nil {
		t.Fatal(err)
	}
	got, err = List(fc.dev)
	if err != nil || len(got) != 1 || got[0].ID != identifier(got[0].Bus) || got[0].ID == "" {
		t.Fatalf("by bus: %+v, %v", got, err)
	}
}

// TestEveryFrameArrives reads the counter and the clock that each frame carries.
func TestEveryFrameArrives(t *testing.T) {
	for _, mode := range []string{"passthrough", "store"} {
		fc := startFakecam(t, "-mode", mode)
		for _, c := range []Config{
			{Format: YUYV}, {Format: MJPEG}, {Format: YUYV, Width: 640, Height: 480}, {Format: MJPEG, FPS: 15},
		} {
			c = c.withDefaults()
			c.Path = fc.path(0)
			t.Run(fmt.Sprintf("%s/%s %dx%d at %d", mode, c.Format, c.Width, c.Height, c.FPS), func(t *testing.T) { everyFrame(t, fc, c) })
		}
	}
}

func everyFrame(t *testing.T, fc *fakecam, cfg Config) {
	const frames = 30
	dropsBefore := fc.drops(t, 0)
	r := run(t, cfg)
	first := r.film.next(t, 3*time.Second, "first frame", live)
	last := first
	var ages []time.Duration
	missing := 0
	for range frames {
		s := r.film.next(t, time.Second, "frame", func(shot) bool { return true })
		if !s.live || s.w != cfg.Width || s.h != cfg.Height {
			t.Fatalf("a frame of %dx%d, with its code: %v", s.w, s.h, s.live)
		}
		if s.seq != last.seq+1 || s.code.Counter <= last.code.Counter {
			t.Errorf("frame %d, camera's %d came after %d, %d", s.seq, s.code.Counter, last.seq, last.code.Counter)
		}
		missing += int(s.code.Counter - last.code.Counter - 1)
		ages = append(ages, s.taken.Sub(s.code.Time()))
		last = s
	}
	slices.Sort(ages)
	// The code is exact to 0.1 ms. A busy machine may delay some, not half.
	if p50 := ages[frames/2]; ages[0] < -time.Millisecond || p50 > 100*time.Millisecond {
		t.Errorf("capture is %v after making (first %v, last %v)", p50, ages[0], ages[frames-1])
	}
	// A busy machine makes fakecam late and then hurry; 15 must not pass for 30.
	fps := frames / last.taken.Sub(first.taken).Seconds()
	if want := float64(cfg.FPS); fps < 0.55*want || fps > 1.6*want {
		t.Errorf("%.1f frames a second, want %v", fps, want)
	}
	r.stop()
	if err := r.ended(t, closeLimit); err != nil {
		t.Errorf("Run: %v", err)
	}
	fc.closedWithin(t, 0, closeLimit)
	// A frame that fakecam dropped found all four buffers taken: we were not run.
	// Those that newer ones waited behind we dropped ourselves.
	st := r.cam.Stats()
	if dropped := fc.drops(t, 0) - dropsBefore + int(st.Uneven); missing > dropped {
		t.Errorf("%d frames are missing, but only %d were dropped before they reached us", missing, dropped)
	}
	if st.Frames < frames || st.Bad != 0 || st.Format != cfg.Format || st.Width != cfg.Width || st.Height != cfg.Height || st.FPS != float64(cfg.FPS) {
		t.Errorf("stats %+v", st)
	}
}

func TestChosenFormat(t *testing.T) {
	for only, want := range map[string]string{"mjpeg": MJPEG, "yuyv": YUYV, "": YUYV} {
		fc := startFakecam(t, "-only", only)
		cam, err := Open(Config{Path: fc.path(0)}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		if st := cam.Stats(); st.Format != want || st.Width != 1280 || st.Height != 720 {
			t.Errorf("only %q: %+v, want %s", only, st, want)
		}
		if err := cam.Close(); err != nil {
			t.Error(err)
		}
		fc.closedWithin(t, 0, closeLimit)
	}
}

func TestUnplugAndPlug(t *testing.T) {
	fc := startFakecam(t)
	for round := range 3 {
		r := run(t, Config{Path: fc.path(0), Format: []string{YUYV, MJPEG}[round%2]})
		r.film.next(t, 3*time.Second, "frame", live)
		fc.do(t, "unplug 0")
		err := r.ended(t, closeLimit)
		if !errors.Is(err, ErrGone) || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("Run: %v", err)
		}
		fc.closedWithin(t, 0, closeLimit)
		if _, err := Open(Config{Path: fc.path(0)}, quiet()); !errors.Is(err, ErrGone) {
			t.Errorf("Open while unplugged: %v", err)
		}
		fc.do(t, "plug 0")
	}
}

func TestStall(t *testing.T) {
	fc := startFakecam(t)
	r := run(t, Config{Path: fc.path(0), FrameDeadline: 400 * time.Millisecond})
	r.film.next(t, 3*time.Second, "frame", live)
	start := time.Now()
	fc.do(t, "stall 0 60000")
	if err := r.ended(t, 2*time.Second); !errors.Is(err, ErrStalled) {
		t.Errorf("Run: %v", err)
	}
	if d := time.Since(start); d < 350*time.Millisecond {
		t.Errorf("given up after %v", d)
	}
	fc.closedWithin(t, 0, closeLimit)

	// A camera that never starts is given more time, but not for ever.
	r = run(t, Config{Path: fc.path(0), FrameDeadline: 400 * time.Millisecond})
	if err := r.ended(t, firstFrame+2*time.Second); !errors.Is(err, ErrStalled) {
		t.Errorf("Run of a hung camera: %v", err)
	}
	if d := time.Since(start); d < firstFrame {
		t.Errorf("a hung camera was given up after %v", d)
	}
}

// TestCloseIsQuick: video off must darken the camera's lamp at once, also while
// the camera hangs and with a deadline far away.
func TestCloseIsQuick(t *testing.T) {
	fc := startFakecam(t)
	for _, stalled := range []bool{false, true} {
		r := run(t, Config{Path: fc.path(0), FrameDeadline: time.Minute})
		r.film.next(t, 3*time.Second, "frame", live)
		if files, streaming := fc.openers(t, 0); files != 1 || streaming != 1 {
			t.Errorf("while running: %d files open, streaming %d", files, streaming)
		}
		if stalled {
			fc.do(t, "stall 0 60000")
		}
		start := time.Now()
		r.stop()
		if err := r.ended(t, closeLimit); err != nil {
			t.Errorf("Run: %v", err)
		}
		fc.closedWithin(t, 0, closeLimit-time.Since(start))
		t.Logf("stalled %v: closed after %v", stalled, time.Since(start))
	}
}

func TestRunAfterTheEnd(t *testing.T) {
	fc := startFakecam(t)
	cam, err := Open(Config{Path: fc.path(0)}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := cam.Run(ctx, func(*capture.Frame) { t.Error("a frame came") }); err != nil {
		t.Errorf("Run: %v", err)
	}
	fc.closedWithin(t, 0, closeLimit)
	if err := cam.Close(); err != nil {
		t.Errorf("Close after Run: %v", err)
	}
}

func TestBusy(t *testing.T) {
	fc := startFakecam(t)
	second, err := Open(Config{Path: fc.path(0)}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	r := run(t, Config{Path: fc.path(0)})
	r.film.next(t, 3*time.Second, "frame", live)
	// One sees it when it sets the format, the other when it starts.
	if _, err := Open(Config{Path: fc.path(0)}, quiet()); !errors.Is(err, ErrBusy) {
		t.Errorf("Open: %v", err)
	}
	if err := second.Run(t.Context(), (*capture.Frame).Release); !errors.Is(err, ErrBusy) {
		t.Errorf("Run: %v", err)
	}
	fc.openWithin(t, 0, 1, 1, closeLimit) // the first one's only
	r.film.next(t, time.Second, "frame of the first", live)
	got, err := List(fc.dev)
	if err != nil || len(got) != 1 || got[0].Err != nil {
		t.Errorf("List beside a running camera: %+v, %v", got, err)
	}
	r.stop()
	if err := r.ended(t, closeLimit); err != nil {
		t.Error(err)
	}
}

// TestServerKilled: a dead server of a camera in user space counts as unplugged.
func TestServerKilled(t *testing.T) {
	fc := startFakecam(t)
	r := run(t, Config{Path: fc.path(0)})
	r.film.next(t, 3*time.Second, "frame", live)
	fc.stop(t, syscall.SIGKILL)
	if err := r.ended(t, 2*time.Second); !errors.Is(err, ErrGone) {
		t.Errorf("Run: %v", err)
	}
}

// TestTwoCameras run side by side while List looks at both again and again.
func TestTwoCameras(t *testing.T) {
	fc := startFakecam(t, "-n", "2")
	var wg sync.WaitGroup
	for n, format := range []string{YUYV, MJPEG} {
		r := run(t, Config{Path: fc.path(n), Format: format})
		wg.Go(func() {
			for i := range uint64(30) {
				select {
				case s := <-r.film.shots:
					if !s.live || s.seq != i || i > 0 && uint64(s.code.Counter) < i {
						t.Errorf("camera %d: %+v as frame %d", n, s, i)
					}
				case <-time.After(3 * time.Second):
					t.Errorf("camera %d: no frame %d", n, i)
					return
				}
			}
		})
	}
	for range 10 {
		if got, err := List(fc.dev); err != nil || len(got) != 2 {
			t.Errorf("List: %+v, %v", got, err)
		}
	}
	wg.Wait()
}
