package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/blackjack/webcam"
	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/picture"
	"kioskd/cmd/fakecam/v4l2"
)

// binaryEnv is set in the re-executed test process, which is in a mount
// namespace of its own: the fakecam binary to test.
const binaryEnv = "FAKECAM_TEST_BINARY"

func TestMain(m *testing.M) {
	if os.Getenv(binaryEnv) == "" {
		os.Exit(outside())
	}
	// A fuzzing worker is a child of the test that has made the devices already.
	if !slices.Contains(os.Args, "-test.fuzzworker") {
		if err := camns.Setup(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	goleak.VerifyTestMain(m)
}

// outside builds fakecam and runs this test again in a new mount namespace.
func outside() int {
	if os.Getuid() != 0 {
		fmt.Fprintln(os.Stderr, "cannot test fakecam: it mounts a file system; run this test as root")
		return 1
	}
	attr := &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
	if built := os.Getenv("KIOSKD_BIN"); built != "" { // make has built it
		return again(filepath.Join(built, "fakecam"), attr, os.Args[1:]...)
	}
	dir, err := os.MkdirTemp("", "fakecam")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "fakecam")
	if out, err := exec.Command("go", "build", "-o", bin, ".").CombinedOutput(); err != nil {
		fmt.Fprintf(os.Stderr, "cannot build fakecam: %v\n%s", err, out)
		return 1
	}
	return again(bin, attr, os.Args[1:]...)
}

// again runs this test binary once more and returns its exit code.
func again(bin string, attr *syscall.SysProcAttr, args ...string) int {
	self, err := os.Executable()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	cmd := exec.Command(self, args...)
	cmd.Env = append(os.Environ(), binaryEnv+"="+bin)
	cmd.Stdout, cmd.Stderr, cmd.SysProcAttr = os.Stdout, os.Stderr, attr
	if err := cmd.Run(); err != nil {
		fmt.Fprintln(os.Stderr, "test in a mount namespace:", err)
		return 1
	}
	return 0
}

// start runs fakecam until the test ends, when it must end with code 0.
func start(t *testing.T, args ...string) *camctl.Process {
	t.Helper()
	p := launch(t, args...)
	t.Cleanup(func() {
		if err := p.Stop(); err != nil {
			t.Errorf("fakecam ended badly: %v", err)
		}
	})
	return p
}

func launch(t *testing.T, args ...string) *camctl.Process {
	t.Helper()
	p, err := camctl.Start(context.Background(), os.Getenv(binaryEnv), args...)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// shot is one frame as a client got it.
type shot struct {
	code blocks.Code
	got  time.Time
	pix  []byte
}

// client streams from a camera as kioskd does.
type client struct {
	*webcam.Webcam
	pix    uint32
	w, h   int
	noTear bool // the scene has no tear check
}

func open(t *testing.T, path string, pix uint32, w, h int) *client {
	t.Helper()
	c, err := webcam.Open(path)
	if err != nil {
		t.Fatalf("cannot open %s: %v", path, err)
	}
	f, gw, gh, err := c.SetImageFormat(webcam.PixelFormat(pix), uint32(w), uint32(h))
	if err != nil || uint32(f) != pix || int(gw) != w || int(gh) != h {
		t.Fatalf("asked for %#x %dx%d, got %#x %dx%d, %v", pix, w, h, uint32(f), gw, gh, err)
	}
	if err := c.SetBufferCount(4); err != nil {
		t.Fatal(err)
	}
	if err := c.StartStreaming(); err != nil {
		t.Fatalf("cannot stream: %v", err)
	}
	return &client{Webcam: c, pix: pix, w: w, h: h}
}

// next waits for a frame and reads its code.
func (c *client) next(t *testing.T) shot {
	t.Helper()
	s := c.grab(t)
	s.code = read(t, s.pix, c.pix, c.w, c.h)
	return s
}

// code reads the counter of a frame that was grabbed.
func (c *client) code(t *testing.T, s shot) uint32 {
	t.Helper()
	return read(t, s.pix, c.pix, c.w, c.h).Counter
}

// grab waits for a frame and keeps of a YUYV frame the lines of the code only,
// after a look at all lines: the race detector makes copies slow.
func (c *client) grab(t *testing.T) shot {
	t.Helper()
	if err := c.WaitForFrame(5); err != nil {
		t.Fatalf("no frame: %v", err)
	}
	b, i, err := c.GetFrame()
	if err != nil {
		t.Fatalf("cannot get a frame: %v", err)
	}
	s := shot{got: time.Now()}
	if c.pix == v4l2.PixYUYV {
		if len(b) != 2*c.w*c.h {
			t.Fatalf("frame of %d bytes, want %d", len(b), 2*c.w*c.h)
		}
		n := binary.LittleEndian.Uint32(b[len(b)-8:])
		if y := picture.TearCheck(b, c.w, c.h, n); y >= 0 && !c.noTear {
			t.Errorf("frame %d is torn at line %d", n, y)
		}
		b = b[:2*c.w*blocks.Height(c.h)]
	}
	s.pix = append([]byte(nil), b...)
	if err := c.ReleaseFrame(i); err != nil {
		t.Fatalf("cannot release a frame: %v", err)
	}
	return s
}

// dies waits until GetFrame says that the camera is gone.
func (c *client) dies(t *testing.T, within time.Duration, want ...error) {
	t.Helper()
	for end := time.Now().Add(within); time.Now().Before(end); {
		_ = c.WaitForFrame(1)
		b, i, err := c.GetFrame()
		for _, w := range want {
			if errors.Is(err, w) {
				return
			}
		}
		if err == nil && b != nil {
			_ = c.ReleaseFrame(i)
		}
	}
	t.Fatalf("camera did not give %v within %v", want, within)
}

// eventually waits for cond, which must come true within 2 s.
func eventually(t *testing.T, what string, cond func() bool) {
	t.Helper()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for end := time.Now().Add(2 * time.Second); time.Now().Before(end); <-tick.C {
		if cond() {
			return
		}
	}
	t.Fatalf("%s: not within 2 s", what)
}

// openFile opens a camera without a library, blocking unless flags say otherwise.
func openFile(t *testing.T, path string, flags int) int {
	t.Helper()
	fd, err := unix.Open(path, unix.O_RDWR|unix.O_CLOEXEC|flags, 0)
	if err != nil {
		t.Fatalf("cannot open %s: %v", path, err)
	}
	return fd
}

func formatName(pix uint32) string {
	return map[uint32]string{v4l2.PixYUYV: "YUYV", v4l2.PixMJPG: "MJPEG"}[pix]
}
