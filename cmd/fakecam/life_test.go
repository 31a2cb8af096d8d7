package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/v4l2"
)

func TestUnplugPlug(t *testing.T) {
	p := start(t)
	c := open(t, "/dev/video0", v4l2.PixMJPG, 1280, 720)
	c.next(t)
	fd := openFile(t, "/dev/video0", unix.O_NONBLOCK)
	defer unix.Close(fd)
	if err := p.Unplug(0); err != nil {
		t.Fatal(err)
	}
	c.dies(t, time.Second, unix.ENODEV)
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	if _, err := unix.Poll(fds, 1000); err != nil || fds[0].Revents != unix.POLLERR|unix.POLLHUP {
		t.Errorf("poll gives %#x, %v; want POLLERR and POLLHUP", fds[0].Revents, err)
	}
	for _, l := range []string{"/dev/video0", "/dev/v4l/by-id/usb-Fake_HD_Camera_0-video-index0"} {
		if _, err := os.Lstat(l); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("link %s is still there: %v", l, err)
		}
	}
	if err := p.Plug(0); err != nil {
		t.Fatal(err)
	}
	if _, _, err := c.GetFrame(); !errors.Is(err, unix.ENODEV) {
		t.Errorf("a handle of the camera's life before gives %v, want ENODEV", err)
	}
	d := open(t, "/dev/video0", v4l2.PixYUYV, 640, 480)
	if s := d.next(t); s.code.Counter != 0 {
		t.Errorf("counter begins at %d", s.code.Counter)
	}
	_ = c.Close() // the dead handle does not disturb the new one
	for range 4 {
		d.next(t)
	}
	_ = d.Close()
}

// A sleeping poller wakes when the camera is unplugged.
func TestUnplugWakesPoll(t *testing.T) {
	p := start(t)
	c := open(t, "/dev/video0", v4l2.PixYUYV, 640, 480)
	defer c.Close()
	fd := openFile(t, "/dev/video0", unix.O_NONBLOCK)
	defer unix.Close(fd)
	if err := p.Stall(0, 30*time.Second); err != nil {
		t.Fatal(err)
	}
	woke := make(chan int16, 1)
	go func() {
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLPRI}}
		for {
			if _, err := unix.Poll(fds, 5000); !errors.Is(err, unix.EINTR) {
				break
			}
		}
		woke <- fds[0].Revents
	}()
	if err := p.Unplug(0); err != nil {
		t.Fatal(err)
	}
	if ev := <-woke; ev != unix.POLLERR|unix.POLLHUP {
		t.Errorf("poll woke with %#x", ev)
	}
}

func TestStall(t *testing.T) {
	p := start(t)
	c := open(t, "/dev/video0", v4l2.PixYUYV, 640, 480)
	defer c.Close()
	last := c.next(t)
	if err := p.Stall(0, 600*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	var shots [10]shot
	for i := range shots {
		shots[i] = c.grab(t)
	}
	gap := time.Duration(0)
	for i := range shots {
		shots[i].code = read(t, shots[i].pix, c.pix, c.w, c.h)
		gap = max(gap, shots[i].code.Time().Sub(last.code.Time()))
		last = shots[i]
	}
	// Frames that were queued before come first, then none for 600 ms.
	if gap < 550*time.Millisecond || gap > 3*time.Second {
		t.Errorf("a stall of 600 ms took %v", gap)
	}
}

func TestOpeners(t *testing.T) {
	p := start(t)
	is := func(files int, streaming bool) func() bool {
		return func() bool {
			f, s, err := p.Openers(0)
			if err != nil {
				t.Fatal(err)
			}
			return f == files && s == streaming
		}
	}
	eventually(t, "nobody holds the camera", is(0, false))
	fd := openFile(t, "/dev/video0", 0)
	eventually(t, "one opener", is(1, false))
	c := open(t, "/dev/video0", v4l2.PixYUYV, 640, 480)
	eventually(t, "two openers, streaming", is(2, true))
	c.next(t)
	_ = c.Close()
	eventually(t, "one opener left", is(1, false))
	_ = unix.Close(fd)
	eventually(t, "nobody left", is(0, false))
	for range 50 {
		c := open(t, "/dev/video0", v4l2.PixMJPG, 640, 480)
		_ = c.Close()
	}
	eventually(t, "nobody left after 50 opens", is(0, false))
	if s, err := p.Stats(0); err != nil || s.Frames == 0 {
		t.Errorf("stats %+v, %v", s, err)
	}
}

// Without free buffers frames are dropped and counted, and the counter shows it.
func TestDrops(t *testing.T) {
	p := start(t)
	c := open(t, "/dev/video0", v4l2.PixYUYV, 320, 240)
	defer c.Close()
	eventually(t, "drops", func() bool {
		s, err := p.Stats(0)
		if err != nil {
			t.Fatal(err)
		}
		return s.Drops >= 3
	})
	var seen []uint32
	for range 8 {
		seen = append(seen, c.next(t).code.Counter)
	}
	if seen[3] != 3 || seen[4] < 4+3 {
		t.Errorf("counters %v: want 0 to 3, then a gap", seen)
	}
}

// A blocking DQBUF waits for its frame; a busy camera refuses a second user.
func TestBlockingAndBusy(t *testing.T) {
	start(t)
	c := open(t, "/dev/video0", v4l2.PixYUYV, 320, 240)
	defer c.Close()
	second := openFile(t, "/dev/video0", 0)
	defer unix.Close(second)
	if err := streamOn(second); !errors.Is(err, unix.EBUSY) {
		t.Errorf("second user: %v, want EBUSY", err)
	}
	_ = c.StopStreaming()
	_ = c.Close()
	third := openFile(t, "/dev/video0", 0)
	defer unix.Close(third)
	eventually(t, "camera free", func() bool { return streamOn(third) == nil })
	t0 := time.Now()
	seq, err := dequeue(third)
	if wait := time.Since(t0); err != nil || seq != 0 || wait < 5*time.Millisecond {
		t.Errorf("blocking DQBUF: frame %d after %v, %v", seq, wait, err)
	}
	if err := unix.SetNonblock(third, true); err != nil {
		t.Fatal(err)
	}
	if _, err := dequeue(third); !errors.Is(err, unix.EAGAIN) {
		t.Errorf("DQBUF after F_SETFL O_NONBLOCK: %v, want EAGAIN", err)
	}
}

// SIGTERM leaves nothing behind, also with a client that streams.
func TestStop(t *testing.T) {
	p := launch(t)
	c := open(t, "/dev/video0", v4l2.PixMJPG, 640, 480)
	defer c.Close()
	c.next(t)
	if err := p.Stop(); err != nil {
		t.Errorf("ended with %v", err)
	}
	c.dies(t, time.Second, unix.ENODEV, unix.ECONNABORTED, unix.ENOTCONN)
	for _, f := range []string{"/dev/video0", camns.MountDir, camns.Control} {
		if _, err := os.Lstat(f); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("%s is still there: %v", f, err)
		}
	}
	b, err := os.ReadFile("/proc/self/mounts")
	if err != nil || strings.Contains(string(b), "fuse.fakecam") {
		t.Errorf("mount left behind, %v", err)
	}
}

// After kill -9 clients get an error at once, and a new fakecam takes over the
// dead mount.
func TestKilledAndStartedAgain(t *testing.T) {
	p := launch(t)
	c := open(t, "/dev/video0", v4l2.PixMJPG, 640, 480)
	c.next(t)
	p.Kill()
	c.dies(t, time.Second, unix.ECONNABORTED, unix.ENOTCONN)
	_ = c.Close()
	start(t)
	d := open(t, "/dev/video0", v4l2.PixMJPG, 640, 480)
	defer d.Close()
	d.next(t)
}

func TestControlSocket(t *testing.T) {
	p := start(t)
	for line, want := range map[string]string{
		"unplug 1": "error cannot find camera", "dance 0": "error cannot do", "stall 0": "error cannot do stall", "": "error cannot do nothing",
	} {
		if got, err := p.Do(line); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v; want %q", line, got, err, want)
		}
	}
	for _, line := range []string{"unplug 0", "unplug 0", "plug 0", "plug 0"} {
		if got, err := p.Do(line); err != nil || got != "" {
			t.Errorf("%q: %q, %v", line, got, err)
		}
	}
	if got, err := p.Do("openers 0"); err != nil || got != "openers 0 streaming 0" {
		t.Errorf("openers: %q, %v", got, err)
	}
}

// A camera is as punctual as hardware: every thread runs before ordinary ones.
func TestPriority(t *testing.T) {
	p := start(t)
	c := open(t, "/dev/video0", v4l2.PixYUYV, 320, 240)
	defer c.Close()
	c.next(t)
	dir := fmt.Sprintf("/proc/%d/task/", p.Pid())
	tasks, err := os.ReadDir(dir)
	if err != nil || len(tasks) == 0 {
		t.Fatal(tasks, err)
	}
	for _, task := range tasks {
		b, err := os.ReadFile(dir + task.Name() + "/stat")
		if errors.Is(err, os.ErrNotExist) {
			continue // the thread has ended
		}
		f := strings.Fields(string(b[strings.LastIndexByte(string(b), ')')+1:])) // from the third field on
		if err != nil || f[16] != strconv.Itoa(niceness) {
			t.Errorf("thread %s: %v, niceness %s", task.Name(), err, f[16])
		}
	}
}

// fakecam ns gives a command a private /dev.
func TestNs(t *testing.T) {
	cmd := exec.Command(os.Getenv(binaryEnv), "ns", "sh", "-c", "touch /dev/inside && ls /dev")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "inside\n") || !strings.Contains(string(out), "fuse\n") {
		t.Errorf("%v\n%s", err, out)
	}
	if _, err := os.Stat("/dev/inside"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the inner /dev is seen outside: %v", err)
	}
	if out, err := exec.Command(os.Getenv(binaryEnv), "ns").CombinedOutput(); err == nil || !strings.Contains(string(out), "cannot start") {
		t.Errorf("ns without a command: %v %s", err, out)
	}
}

func TestBadFlags(t *testing.T) {
	for want, args := range map[string][]string{
		"cannot draw scene":  {"-scene", "beach"},
		"cannot use mode":    {"-mode", "dio"},
		"cannot make 0":      {"-n", "0"},
		"cannot offer only":  {"-only", "h264"},
		"cannot understand":  {"extra"},
		"cannot make 999":    {"-fps", "999"},
		"not defined: -what": {"-what"},
	} {
		out, err := exec.Command(os.Getenv(binaryEnv), args...).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 || !strings.Contains(string(out), want) {
			t.Errorf("%v: %v, %s; want code 2 and %q", args, err, out, want)
		}
	}
}
