package stage

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"kioskd/cmd/fakecam/camns"
	"kioskd/configs"
)

func TestPercentile(t *testing.T) {
	ten := []float64{10, 9, 8, 7, 6, 5, 4, 3, 2, 1}
	for _, c := range []struct {
		v       []float64
		q, want float64
	}{
		{nil, 0.5, 0},
		{[]float64{7}, 0, 7},
		{[]float64{7}, 0.5, 7},
		{[]float64{7}, 1, 7},
		{[]float64{1, 2}, 0.5, 1},
		{[]float64{1, 2}, 0.51, 2},
		{ten, 0, 1},
		{ten, 0.1, 1},
		{ten, 0.5, 5},
		{ten, 0.95, 10},
		{ten, 0.9, 9},
		{ten, 1, 10},
	} {
		if got := Percentile(c.v, c.q); got != c.want {
			t.Errorf("of %v at %v: %v, want %v", c.v, c.q, got, c.want)
		}
	}
	if ten[0] != 10 {
		t.Error("the caller's slice was sorted")
	}
}

func TestHears(t *testing.T) {
	for hz, want := range map[float64]bool{0: false, 425: false, 426: true, 440: true, 454: true, 455: false, 660: false} {
		if got := Hears(hz, ToneHz); got != want {
			t.Errorf("%v Hz is the tone: %v", hz, got)
		}
	}
}

func TestFiguresAreOneLine(t *testing.T) {
	f := Figures{Active: 412 * time.Millisecond, P50: 51.4, P95: 79.6, Frames: 300, Lost: 2}
	want := "call active after 412 ms; camera->clinician p50 51 ms p95 80 ms; 300 frames, 2 lost"
	if got := f.String(); got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

// What the stage writes for kioskd is a configuration that kioskd takes.
func TestConfigIsOne(t *testing.T) {
	for _, fake := range []bool{true, false} {
		s := newStage(t)
		s.backend = "http://127.0.0.1:1234"
		s.opts.FakeCamera, s.opts.Microphone = fake, "kiosk_mic"
		s.opts.Config = "[session]\nwait_seconds = 7\n"
		c, err := configs.Parse("stage", []byte(s.config()))
		if err != nil {
			t.Fatal(err)
		}
		want := "/dev"
		if fake {
			want = camns.DevDir
		}
		if c.Camera.Directory != want || c.API.Socket != s.Socket || c.Backend.URL != s.backend || c.Microphone.Device != "kiosk_mic" ||
			c.Session.WaitSeconds != 7 || !c.Room.Loopback || !c.Network.LoopbackCounts || !strings.HasPrefix(c.Store.Dir, s.dir) {
			t.Errorf("it says %+v", c)
		}
	}
}

func TestPrepareMakesTheFolderAnew(t *testing.T) {
	s := newStage(t)
	old := filepath.Join(s.dir, "state", "old")
	if err := os.WriteFile(old, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.prepare(); err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(old); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the old file is there: %v", err)
	}
	if info, err := os.Stat(filepath.Join(s.dir, "state")); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the new folder is %v, %v", info, err)
	}
}

func TestStartThatFailsLeavesNothing(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "r")
	ctx, cancel := context.WithTimeout(t.Context(), wait)
	defer cancel()
	s, err := Start(ctx, Options{Bin: t.TempDir(), Dir: dir, Microphone: "null"})
	if err == nil || s != nil || !strings.Contains(err.Error(), "cannot start clinicsim") {
		t.Errorf("got %v", err)
	}
}

func TestCameraWithoutFakecam(t *testing.T) {
	if _, err := newStage(t).Camera(t.Context(), 0, "unplug"); err == nil || !strings.HasPrefix(err.Error(), "cannot reach fakecam") {
		t.Errorf("got %v", err)
	}
}

func TestInsideIsSaidByTheEnvironment(t *testing.T) {
	t.Setenv(insideEnv, "")
	if Inside() {
		t.Error("inside without the mark")
	}
	t.Setenv(insideEnv, "1")
	if !Inside() {
		t.Error("outside in spite of the mark")
	}
}
