package camera

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"runtime"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/blackjack/webcam"
	"golang.org/x/sys/unix"

	"kioskd/capture"
)

func quiet() *slog.Logger { return slog.New(slog.NewTextHandler(io.Discard, nil)) }

func TestClassify(t *testing.T) {
	for _, c := range []struct {
		err  error
		want error
	}{
		{unix.ENODEV, ErrGone},
		{unix.ENOENT, ErrGone},
		{unix.ENXIO, ErrGone},
		{unix.ECONNABORTED, ErrGone},
		{unix.ENOTCONN, ErrGone},
		{unix.ESHUTDOWN, ErrGone},
		{unix.EBUSY, ErrBusy},
		{unix.EACCES, ErrPermission},
		{unix.EPERM, ErrPermission},
		{fmt.Errorf("wrapped: %w", unix.EBUSY), ErrBusy},
		{errors.New("Failed to map request buffers: " + unix.EBUSY.Error()), ErrBusy},
		{errors.New("Failed to start streaming: " + unix.ENODEV.Error()), ErrGone},
		{unix.EIO, nil},
		{unix.EINVAL, nil},
		{errors.New("Failed to start streaming: " + unix.ENOSPC.Error()), nil},
		{errors.New("Not a video capture device"), nil},
	} {
		got := classify("start", "/dev/video9", c.err)
		if !strings.HasPrefix(got.Error(), "cannot start camera /dev/video9: ") || !errors.Is(got, c.err) {
			t.Errorf("%v became %q", c.err, got)
		}
		for _, kind := range []error{ErrGone, ErrBusy, ErrPermission, ErrStalled} {
			if is := errors.Is(got, kind); is != errors.Is(kind, c.want) {
				t.Errorf("%v: is %q: %v", c.err, kind, is)
			}
		}
	}
}

func TestLibraryKeepsItsFields(t *testing.T) {
	var cam webcam.Webcam
	if fd, err := descriptor(&cam); err != nil || fd != 0 {
		t.Errorf("descriptor: %d, %v", fd, err)
	}
	if err := unmapAll(&cam); err != nil {
		t.Errorf("unmapAll: %v", err)
	}
	if n := reflect.TypeFor[v4l2Format]().Size(); n != 208 {
		t.Errorf("v4l2Format has %d bytes, the kernel's 208", n)
	}
}

type badDriver struct{ mapped [][]byte }

func (d badDriver) GetFrame() ([]byte, uint32, error) { return d.mapped[0][:100], 0, nil }

func TestOversizedFrameIsAnError(t *testing.T) {
	for _, d := range []badDriver{{nil}, {[][]byte{make([]byte, 99)}}} {
		if _, _, err := dequeue(d); err == nil {
			t.Errorf("%v: no error", d)
		}
	}
	if b, _, err := dequeue(badDriver{[][]byte{make([]byte, 100)}}); err != nil || len(b) != 100 {
		t.Errorf("%d bytes, %v", len(b), err)
	}
}

func TestStableNames(t *testing.T) {
	dir := t.TempDir()
	link := func(kind, name, to string) {
		d := filepath.Join(dir, "v4l", kind)
		if err := os.MkdirAll(d, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(to, filepath.Join(d, name)); err != nil {
			t.Fatal(err)
		}
	}
	link("by-id", "usb-A-video-index0", "../../video0")
	link("by-path", "pci-1", "../../video0")
	link("by-path", "pci-2", "../../video2")
	link("by-path", "pci-3", filepath.Join(dir, "video4"))
	if err := os.WriteFile(filepath.Join(dir, "v4l/by-id/no-link"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	want := map[string]stableName{
		filepath.Join(dir, "video0"): {"usb-A-video-index0", "pci-1"},
		filepath.Join(dir, "video2"): {"", "pci-2"},
		filepath.Join(dir, "video4"): {"", "pci-3"},
	}
	if got := stableNames(dir); !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := stableNames(filepath.Join(dir, "nowhere")); len(got) != 0 {
		t.Errorf("no links: %v", got)
	}
}

func TestNodeNumbers(t *testing.T) {
	dir := t.TempDir()
	for _, n := range []string{"video10", "video2", "video", "video-1", "video02", "video70000", "videox", "vbi0", "null"} {
		if err := os.WriteFile(filepath.Join(dir, n), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	if got := nodeNumbers(entries); !reflect.DeepEqual(got, []int{2, 10}) {
		t.Errorf("got %v", got)
	}
	// None of them is a camera.
	if got, err := List(dir); err != nil || len(got) != 0 {
		t.Errorf("plain files: %v, %v", got, err)
	}
	if _, err := List(filepath.Join(dir, "nowhere")); err == nil || !strings.HasPrefix(err.Error(), "cannot list cameras") {
		t.Errorf("no folder: %v", err)
	}
}

// TestNoPermission lets another user look at a node of root's.
func TestNoPermission(t *testing.T) {
	dir := t.TempDir()
	node := filepath.Join(dir, "video3")
	if err := os.WriteFile(node, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for d := dir; d != os.TempDir() && len(d) > 4; d = filepath.Dir(d) {
		if err := os.Chmod(d, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	// File access of this thread only; the thread ends with its goroutine.
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if err := unix.Setfsuid(65534); err != nil {
			t.Error(err)
			return
		}
		p := NewProber(ProberConfig{Dev: dir})
		g, ok := p.probe(node, stableName{}, false) // List asks on threads of root's
		if !ok || g.Permission || g.Path != node || g.Base != identifier(node) || !errors.Is(g.Err, ErrPermission) {
			t.Errorf("got %+v, a camera: %v; want it reported", g, ok)
		}
		if _, err := Open(Config{Path: node}, quiet()); !errors.Is(err, ErrPermission) {
			t.Errorf("Open: %v", err)
		}
	}()
	<-done
}

func TestOpenWhatIsNoCamera(t *testing.T) {
	if _, err := Open(Config{Path: "/dev/video-nowhere"}, quiet()); !errors.Is(err, ErrGone) {
		t.Errorf("no such node: %v", err)
	}
	_, err := Open(Config{Path: "/dev/null"}, quiet())
	if err == nil || errors.Is(err, ErrGone) || !strings.HasPrefix(err.Error(), "cannot open camera /dev/null: ") {
		t.Errorf("/dev/null: %v", err)
	}
}

// TestWait drives the wait with a pipe in the place of a camera.
func TestWait(t *testing.T) {
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_CLOEXEC|unix.O_NONBLOCK); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = unix.Close(p[0]) }()
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	w, err := newWaker(ctx)
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()

	start := time.Now()
	if ready, err := w.wait(p[0], start.Add(50*time.Millisecond)); ready || err != nil {
		t.Errorf("nothing there: %v, %v", ready, err)
	}
	if d := time.Since(start); d < 50*time.Millisecond || d > 2*time.Second {
		t.Errorf("a deadline of 50 ms took %v", d)
	}
	if ready, err := w.wait(p[0], start); ready || err != nil {
		t.Errorf("deadline over: %v, %v", ready, err)
	}
	if _, err := unix.Write(p[1], []byte{1}); err != nil {
		t.Fatal(err)
	}
	if ready, err := w.wait(p[0], time.Now().Add(time.Minute)); !ready || err != nil {
		t.Errorf("data there: %v, %v", ready, err)
	}
	var b [8]byte
	if _, err := unix.Read(p[0], b[:]); err != nil {
		t.Fatal(err)
	}

	time.AfterFunc(20*time.Millisecond, cancel)
	start = time.Now()
	if ready, err := w.wait(p[0], start.Add(time.Minute)); ready || err != nil {
		t.Errorf("context ended: %v, %v", ready, err)
	}
	if d := time.Since(start); d > 2*time.Second {
		t.Errorf("the end of the context woke it after %v", d)
	}

	w2, err := newWaker(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer w2.close()
	if err := unix.Close(p[1]); err != nil {
		t.Fatal(err)
	}
	if _, err := w2.wait(p[0], time.Now().Add(time.Minute)); !errors.Is(kindOf(err), ErrGone) {
		t.Errorf("hung up: %v", err)
	}
}

// TestKeeperWithoutCamera runs on synctest's clock.
func TestKeeperWithoutCamera(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		tries := 0
		var states []State
		k := NewKeeper(KeeperConfig{
			Choose:  func() (Config, error) { tries++; return Config{Path: "/dev/video-nowhere"}, nil },
			Changed: func(s State) { states = append(states, s) },
			Slate:   []string{"No camera"}, Width: 64, Height: 48, Log: quiet(),
		})
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		start := time.Now()
		var at []time.Duration
		if err := k.Run(ctx, func(f *capture.Frame) {
			if f.Seq != uint64(len(at)) || !f.Time.Equal(time.Now()) || f.Rect.Dx() != 64 || f.Rect.Dy() != 48 {
				t.Errorf("slate %d: sequence %d, time %v, size %v", len(at), f.Seq, f.Time, f.Rect)
			}
			at = append(at, time.Since(start))
			f.Release()
		}); err != nil {
			t.Fatal(err)
		}
		if d := time.Since(start); d != 10*time.Second {
			t.Errorf("Run ended after %v", d)
		}
		// At 0.5 s, then five a second to 9.9 s.
		if len(at) != 48 || at[0] != slateAfter {
			t.Errorf("%d slates, the first after %v", len(at), at[:1])
		}
		if tries < 65 || tries > 68 {
			t.Errorf("%d tries in 10 s, want one every 150 ms", tries)
		}
		if len(states) != 1 || states[0].Code != Gone || !errors.Is(states[0].Err, ErrGone) || states[0].Words == "" {
			t.Errorf("states %+v, want camera_missing once", states)
		}
	})
}

// TestTimesGrow: a picture whose conversion took longer than a slate's wait keeps
// its place, but not its time.
func TestTimesGrow(t *testing.T) {
	var seen []*capture.Frame
	k := NewKeeper(KeeperConfig{Log: quiet()})
	k.put = func(f *capture.Frame) { seen = append(seen, f) }
	now := time.Now()
	for _, d := range []time.Duration{0, time.Second, 900 * time.Millisecond, time.Second, 2 * time.Second} {
		f := capture.NewPool(16, 16).Get()
		f.Time = now.Add(d)
		k.hand(f)
	}
	for i := range seen {
		if seen[i].Seq != uint64(i) || i > 0 && !seen[i].Time.After(seen[i-1].Time) {
			t.Errorf("frame %d: number %d, %v after the first", i, seen[i].Seq, seen[i].Time.Sub(now))
		}
	}
	if d := seen[4].Time.Sub(now); d != 2*time.Second {
		t.Errorf("a frame in order got another time: %v", d)
	}
}

func TestKeeperBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		causes := []error{ErrBusy, ErrBusy, ErrPermission, errors.New("cannot anything"), ErrStalled, ErrStalled}
		var tries []time.Duration
		var codes []Code
		start := time.Now()
		k := NewKeeper(KeeperConfig{
			Choose: func() (Config, error) {
				tries = append(tries, time.Since(start))
				return Config{}, causes[min(len(tries), len(causes))-1]
			},
			Changed: func(s State) { codes = append(codes, s.Code) },
			Log:     quiet(),
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3700*time.Millisecond)
		defer cancel()
		if err := k.Run(ctx, (*capture.Frame).Release); err != nil {
			t.Fatal(err)
		}
		var want []time.Duration
		for _, ms := range []int{0, 100, 300, 700, 1000, 1600, 2600, 3600} {
			want = append(want, time.Duration(ms)*time.Millisecond)
		}
		if !reflect.DeepEqual(tries, want) {
			t.Errorf("tries at %v, want %v", tries, want)
		}
		if want := []Code{Busy, NoPermission, Broken, Hung}; !reflect.DeepEqual(codes, want) {
			t.Errorf("states %v, want %v", codes, want)
		}
	})
}

// TestPoke: an event ends the pause, and the pauses start anew.
func TestPoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var tries []time.Duration
		start := time.Now()
		k := NewKeeper(KeeperConfig{
			Choose: func() (Config, error) { tries = append(tries, time.Since(start)); return Config{}, ErrBusy },
			Log:    quiet(),
		})
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
		defer cancel()
		time.AfterFunc(2*time.Second, func() {
			for range 50 { // a hub comes with everything behind it
				k.Poke()
			}
		})
		if err := k.Run(ctx, (*capture.Frame).Release); err != nil {
			t.Fatal(err)
		}
		var want []time.Duration
		for _, ms := range []int{0, 100, 300, 700, 1500, 2000, 2100, 2300, 2700} {
			want = append(want, time.Duration(ms)*time.Millisecond)
		}
		// Pokes that come while one is worked on may count as a second one.
		tries = slices.Compact(tries)
		if !reflect.DeepEqual(tries, want) {
			t.Errorf("tries at %v, want %v", tries, want)
		}
	})
}

// TestWordsOfStates: each reason has a code and a sentence of its own.
func TestWordsOfStates(t *testing.T) {
	seen := map[string]error{}
	for err, want := range map[error]Code{
		ErrGone: Gone, ErrBusy: Busy, ErrPermission: NoPermission, ErrNoRoom: NoBandwidth,
		ErrStalled: Hung, ErrHung: Hung, ErrDamaged: Hung, errors.New("cannot anything"): Broken,
	} {
		code, words := describe(fmt.Errorf("cannot run it: %w", err))
		if code != want || !strings.HasSuffix(words, ".") || seen[words] != nil {
			t.Errorf("%v: %s, %q; the words of %v", err, code, words, seen[words])
		}
		seen[words] = err
	}
	if code, words := describe(nil); code != Present || seen[words] != nil {
		t.Errorf("%s, %q", code, words)
	}
}
