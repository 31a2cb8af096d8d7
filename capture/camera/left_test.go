package camera

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/capture"
)

// mappings counts the mapped regions whose file's name has the word.
func mappings(t *testing.T, word string) int {
	t.Helper()
	b, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for line := range strings.Lines(string(b)) {
		if strings.Contains(line, word) {
			n++
		}
	}
	return n
}

func openFiles(t *testing.T) int {
	t.Helper()
	e, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(e)
}

// TestNothingIsLeft opens, runs, unplugs and stalls 50 times.
func TestNothingIsLeft(t *testing.T) {
	fc := startFakecam(t)
	cycle := func(i int) {
		cam, err := Open(Config{Path: fc.path(0), FrameDeadline: 100 * time.Millisecond}, quiet())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		err = cam.Run(ctx, func(f *capture.Frame) {
			f.Release()
			switch i % 3 {
			case 0:
				cancel()
			case 1:
				fc.do(t, "unplug 0")
			case 2:
				fc.do(t, "stall 0 300")
			}
		})
		if want := []error{nil, ErrGone, ErrStalled}[i%3]; !errors.Is(err, want) {
			t.Fatalf("cycle %d: %v, want %v", i, err, want)
		}
		fc.do(t, "stall 0 0")
		fc.do(t, "plug 0")
	}
	for i := range 3 { // the runtime makes its own files first
		cycle(i)
	}
	files, maps, routines := openFiles(t), mappings(t, "video"), runtime.NumGoroutine()
	for i := range 50 {
		cycle(i)
	}
	if n := openFiles(t); n != files {
		t.Errorf("%d files open, %d before", n, files)
	}
	if n := mappings(t, "video"); n != maps || n != 0 {
		t.Errorf("%d buffers mapped, %d before", n, maps)
	}
	quiescent(t, routines)
	fc.closedWithin(t, 0, closeLimit)
}

// TestHalfStartedStreamIsUnmapped: what a StartStreaming that fails at its last
// step leaves behind.
func TestHalfStartedStreamIsUnmapped(t *testing.T) {
	fc := startFakecam(t)
	cam, err := Open(Config{Path: fc.path(0)}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	if err := cam.cam.StartStreaming(); err != nil {
		t.Fatal(err)
	}
	if n := mappings(t, "video"); n == 0 {
		t.Error("the buffers of a stream are not seen among the mappings")
	}
	if err := unmapAll(cam.cam); err != nil {
		t.Error(err)
	}
	if n := mappings(t, "video"); n != 0 {
		t.Errorf("%d buffers still mapped", n)
	}
	if err := unix.Close(cam.fd); err != nil { // Close would unmap them again
		t.Error(err)
	}
	fc.closedWithin(t, 0, closeLimit)
}

func TestChildrenDoNotInherit(t *testing.T) {
	fc := startFakecam(t)
	cam, err := Open(Config{Path: fc.path(0)}, quiet())
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cam.Close() }()
	flags, err := unix.FcntlInt(uintptr(cam.fd), unix.F_GETFD, 0)
	if err != nil || flags&unix.FD_CLOEXEC == 0 {
		t.Errorf("descriptor flags %#x, %v", flags, err)
	}
	link, err := os.Readlink(fmt.Sprintf("/proc/self/fd/%d", cam.fd))
	if err != nil || !strings.HasSuffix(link, "/video0") {
		t.Errorf("the descriptor is of %q, %v", link, err)
	}
}
