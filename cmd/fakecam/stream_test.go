package main

import (
	"bytes"
	"fmt"
	"image"
	"image/jpeg"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"kioskd/cmd/fakecam/blocks"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/cmd/fakecam/camns"
	"kioskd/cmd/fakecam/v4l2"
)

// read reads the code of a frame. Of a JPEG it decodes the strips of the code
// only, which takes a tenth of the time.
func read(t *testing.T, pix []byte, format uint32, w, h int) blocks.Code {
	t.Helper()
	top := blocks.Height(h)
	luma, stride := make([]byte, w*top), w
	if format == v4l2.PixYUYV {
		for i := range luma {
			luma[i] = pix[2*i]
		}
	} else {
		y := decode(t, cropJPEG(t, pix, top))
		luma, stride = y.Y, y.YStride
	}
	// A plane of top lines: the rows of blocks are those of h lines.
	c, err := blocks.ReadScaled(luma, stride, w, h, h)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func decode(t *testing.T, b []byte) *image.YCbCr {
	t.Helper()
	img, err := jpeg.Decode(bytes.NewReader(b))
	if err != nil {
		t.Fatalf("cannot decode a frame of %d bytes: %v", len(b), err)
	}
	return img.(*image.YCbCr)
}

// cropJPEG keeps the first lines, a multiple of 16, of a JPEG with a restart
// marker every 16 lines.
func cropJPEG(t *testing.T, b []byte, lines int) []byte {
	t.Helper()
	sof := bytes.Index(b, []byte{0xff, 0xc0})
	if sof < 0 {
		t.Fatalf("no SOF0 in a frame of %d bytes", len(b))
	}
	last := []byte{0xff, 0xd0 + byte((lines/16-1)%8)}
	end := bytes.Index(b, last)
	if lines > 16*8 || end < 0 {
		t.Fatalf("no restart marker after %d lines", lines)
	}
	out := append([]byte(nil), b[:end]...)
	out[sof+5], out[sof+6] = byte(lines>>8), byte(lines)
	return append(out, 0xff, 0xd9)
}

const (
	window  = 20               // frames in a row that must be in time
	patient = 40 * time.Second // for them to come: the machine has other work too
)

// checkRun streams until a window of frames is in perfect time: counters rise by
// one, none is older than 100 ms, 30 a second. What does not depend on
// the machine holds for every frame: it is whole and readable, counters rise,
// and fakecam's own figures account for every frame that is missing.
func checkRun(t *testing.T, p camctl.Client, pix uint32, w, h int) {
	t.Helper()
	before, err := p.Stats(0)
	if err != nil {
		t.Fatal(err)
	}
	c := open(t, "/dev/video0", pix, w, h)
	defer c.Close()
	var good []shot
	got, next, wrong := 0, uint32(0), ""
	for end := time.Now().Add(patient); len(good) < window && time.Now().Before(end); got++ {
		s := c.next(t)
		if s.code.Counter < next {
			t.Fatalf("counter %d after %d", s.code.Counter, next-1)
		}
		age, step := s.got.Sub(s.code.Time()), time.Second/30
		if len(good) > 0 {
			step = s.code.Time().Sub(good[len(good)-1].code.Time())
		}
		if s.code.Counter != next || age > 100*time.Millisecond || (step-time.Second/30).Abs() > 15*time.Millisecond {
			wrong = fmt.Sprintf("frame %d where %d is next, %v old, %v after the one before", s.code.Counter, next, age, step)
			good = nil
		}
		if age < 0 {
			t.Errorf("frame %d is from the future: %v", s.code.Counter, age)
		}
		good, next = append(good, s), s.code.Counter+1
	}
	after, err := p.Stats(0)
	if err != nil {
		t.Fatal(err)
	}
	if len(good) < window {
		t.Fatalf("no %d frames in time within %v; last seen: %s; drops %d, late %d", window, patient, wrong, after.Drops-before.Drops, after.Late-before.Late)
	}
	if lost, drops := int(next)-got, int(after.Drops-before.Drops); lost > drops {
		t.Errorf("%d frames are missing, fakecam dropped %d", lost, drops)
	}
	span := good[len(good)-1].code.Time().Sub(good[0].code.Time())
	if fps := float64(len(good)-1) / span.Seconds(); fps < 28 || fps > 32 {
		t.Errorf("%.2f frames a second, want 30", fps)
	}
	if pix == v4l2.PixMJPG { // the rest of the picture is whole too
		y := decode(t, good[0].pix)
		if y.Rect != image.Rect(0, 0, w, h) {
			t.Errorf("picture of %v, want %dx%d", y.Rect, w, h)
		}
	}
}

func TestStream(t *testing.T) {
	for _, mode := range []string{"passthrough", "store"} {
		t.Run(mode, func(t *testing.T) {
			p := start(t, "-mode", mode)
			for _, f := range []struct {
				pix  uint32
				w, h int
			}{{v4l2.PixYUYV, 1280, 720}, {v4l2.PixMJPG, 1280, 720}, {v4l2.PixYUYV, 320, 240}, {v4l2.PixMJPG, 640, 480}} {
				t.Run(fmt.Sprintf("%s%d", formatName(f.pix), f.h), func(t *testing.T) {
					checkRun(t, p.Client, f.pix, f.w, f.h)
				})
			}
		})
	}
}

// Two cameras stream at once, found by their by-id and by-path names.
func TestTwoCameras(t *testing.T) {
	start(t, "-n", "2", "-scene", "webcam", "-fps", "10")
	a := open(t, "/dev/v4l/by-id/usb-Fake_HD_Camera_0-video-index0", v4l2.PixMJPG, 640, 480)
	defer a.Close()
	b := open(t, "/dev/v4l/by-path/pci-0000:00:14.0-usb-0:2:1.0-video-index0", v4l2.PixYUYV, 640, 480)
	defer b.Close()
	b.noTear = true
	var as, bs [8]shot
	for i := range as {
		as[i], bs[i] = a.grab(t), b.grab(t)
	}
	for i := range as[1:] {
		if x, y := a.code(t, as[i]), a.code(t, as[i+1]); y <= x {
			t.Errorf("camera 0: counter %d after %d", y, x)
		}
		if x, y := b.code(t, bs[i]), b.code(t, bs[i+1]); y <= x {
			t.Errorf("camera 1: counter %d after %d", y, x)
		}
	}
}

func TestOnly(t *testing.T) {
	p := launch(t, "-only", "mjpeg")
	c := open(t, "/dev/video0", v4l2.PixMJPG, 1280, 720)
	if _, w, h, err := c.SetImageFormat(v4l2.PixYUYV, 1280, 720); err == nil {
		t.Errorf("format changed to %dx%d while buffers are in use", w, h)
	}
	sizes := fmt.Sprint(c.GetSupportedFrameSizes(v4l2.PixYUYV))
	if strings.Contains(sizes, "720") || !strings.Contains(sizes, "640") {
		t.Errorf("-only mjpeg offers YUYV sizes %s", sizes)
	}
	_ = c.Close()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	start(t, "-only", "yuyv")
	c = open(t, "/dev/video0", v4l2.PixYUYV, 1280, 720)
	defer c.Close()
	if f := c.GetSupportedFormats(); len(f) != 1 {
		t.Errorf("-only yuyv offers %v", f)
	}
}

// All of it works in a new pid namespace too, with the outer /proc still there.
func TestPidNamespace(t *testing.T) {
	if os.Getpid() == 1 {
		p := start(t)
		checkRun(t, p.Client, v4l2.PixYUYV, 640, 480)
		st, err := os.Stat("/dev/video0")
		if err != nil || st.Mode()&os.ModeCharDevice == 0 {
			t.Errorf("stat sees %v, %v; want a character device", st, err)
		}
		return
	}
	attr := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS | syscall.CLONE_NEWPID, Pdeathsig: syscall.SIGKILL}
	if rc := again(os.Getenv(binaryEnv), attr, "-test.run", "^TestPidNamespace$"); rc != 0 {
		t.Errorf("test in a pid namespace ended with code %d", rc)
	}
}

// The frame log has a line for each frame that was delivered.
func TestFrameLog(t *testing.T) {
	path := t.TempDir() + "/frames"
	p := launch(t, "-log", path)
	c := open(t, "/dev/video0", v4l2.PixYUYV, 320, 240)
	s := c.next(t)
	_ = c.Close()
	if err := p.Stop(); err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var minor, seq, mono, at int64
	found := false
	for l := range strings.Lines(string(b)) {
		if n, _ := fmt.Sscanf(l, "f %d %d %d %d", &minor, &seq, &mono, &at); n == 4 && uint32(seq) == s.code.Counter {
			found = at/100_000 == s.code.Time().UnixNano()/100_000
		}
	}
	if !found || !strings.HasPrefix(string(b), "e 0 true ") || !strings.Contains(string(b), "\ne 0 false ") {
		t.Errorf("frame %d of %v is not in the log, or the plugs are not:\n%s", s.code.Counter, s.code.Time(), b)
	}
}

// stat(2) sees a character device 81:0; open(2) works.
func TestStat(t *testing.T) {
	start(t)
	var st syscall.Stat_t
	if err := syscall.Stat("/dev/video0", &st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFCHR || st.Rdev != camns.Major<<8 {
		t.Errorf("mode %o, device %#x, %v", st.Mode, st.Rdev, err)
	}
	d, err := os.ReadDir(camns.MountDir)
	if err != nil || len(d) != 1 || d[0].Name() != "video0" || d[0].Type()&os.ModeCharDevice == 0 {
		t.Errorf("folder has %v, %v", d, err)
	}
	if _, err := os.Stat(camns.MountDir + "/video1"); !os.IsNotExist(err) {
		t.Errorf("a camera that is not there: %v", err)
	}
}
