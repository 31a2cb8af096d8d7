package main

import (
	"bytes"
	"context"
	"errors"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"kioskd/cmd/fakecam/v4l2"
)

// complianceWait bounds one run; it takes 4 s on an idle machine.
const complianceWait = 2 * time.Minute

// total is v4l2-compliance's last line.
var total = regexp.MustCompile(`Total for [^:]*: (\d+), Succeeded: (\d+), Failed: (\d+), Warnings: (\d+)`)

// v4l2-compliance finds nothing wrong with the camera in either of its formats,
// and streams 30 frames from it in each way it knows.
func TestCompliance(t *testing.T) {
	tool, err := exec.LookPath("v4l2-compliance")
	if err != nil {
		t.Fatalf("%v: apt-get install v4l-utils", err)
	}
	for _, pix := range []uint32{v4l2.PixYUYV, v4l2.PixMJPG} {
		t.Run(formatName(pix), func(t *testing.T) {
			// In store mode read(2) finds frames in the page cache, and that is all that fails.
			start(t, "-mode", "passthrough", "-metadata")
			fd := openFile(t, "/dev/video0", 0)
			defer unix.Close(fd)
			// It keeps the format that it finds.
			if err := ioctl(fd, sFmt, args(208, 1, 0, 640, 480, pix)); err != nil {
				t.Fatal(err)
			}
			complies(t, tool, "/dev/video0", 54, "-s30")
			now := args(208, 1)
			if err := ioctl(fd, gFmt, now); err != nil || word(now, 16) != pix {
				t.Errorf("it left format %#x, %v: another one was streamed", word(now, 16), err)
			}
		})
	}
}

// complies runs the tool on a device and wants no failure among at least so many tests.
func complies(t *testing.T, tool, device string, least int, flags ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), complianceWait)
	defer cancel()
	cmd := exec.CommandContext(ctx, tool, append([]string{"-d", device}, flags...)...)
	out, err := cmd.CombinedOutput()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(bytes.ReplaceAll(out, []byte("\r"), []byte("\n")))) {
		if strings.Contains(line, "warn:") {
			t.Log(strings.TrimSpace(line))
		}
		if strings.Contains(line, "fail:") || strings.Contains(line, "FAIL") {
			t.Error(strings.TrimSpace(line))
		}
	}
	m := total.FindSubmatch(out)
	if m == nil || err != nil {
		t.Fatalf("it ended with %v:\n%s", err, out)
	}
	if n, err := strconv.Atoi(string(m[1])); err != nil || n < least || !bytes.Equal(m[3], []byte("0")) {
		t.Errorf("%s; want no failure among %d at least", m[0], least)
	}
}
