package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"kioskd/daemon/api/apitype"
)

// openTerminal gives a pseudo-terminal of a size: what a program has of it, and
// what was shown on it once the program is done (pty(7)).
func openTerminal(t *testing.T, columns, rows uint16) (program *os.File, shown func() string) {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	fd := int(master.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.IoctlSetWinsize(int(program.Fd()), unix.TIOCSWINSZ, &unix.Winsize{Col: columns, Row: rows}); err != nil {
		t.Fatal(err)
	}
	all := make(chan string, 1)
	go func() {
		b, _ := io.ReadAll(master) // EIO when the program's end is closed
		_ = master.Close()
		all <- strings.ReplaceAll(string(b), "\r\n", "\n")
	}()
	done := ""
	shown = func() string {
		if program != nil {
			_ = program.Close()
			program, done = nil, <-all
		}
		return done
	}
	t.Cleanup(func() { shown() })
	return program, shown
}

func TestScreenOf(t *testing.T) {
	program, _ := openTerminal(t, 100, 30)
	sizeless, _ := openTerminal(t, 0, 0)
	file, err := os.Create(filepath.Join(t.TempDir(), "f"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	for _, c := range []struct {
		out  io.Writer
		vars map[string]string
		want screen
	}{
		{program, map[string]string{"TERM": "xterm", "COLORTERM": "truecolor"}, screen{true, 100, 30, manyColours, true}},
		{program, map[string]string{"TERM": "xterm", "COLORTERM": "24bit"}, screen{true, 100, 30, manyColours, true}},
		{program, map[string]string{"TERM": "linux"}, screen{true, 100, 30, fewColours, true}},
		{program, map[string]string{"TERM": "xterm", "COLORTERM": "truecolor", "NO_COLOR": "1"}, screen{true, 100, 30, noColours, true}},
		{program, map[string]string{"TERM": "dumb", "COLORTERM": "truecolor"}, screen{true, 100, 30, noColours, false}},
		{program, nil, screen{true, 100, 30, noColours, false}},
		{sizeless, map[string]string{"TERM": "xterm"}, screen{true, 80, 24, fewColours, true}},
		{sizeless, map[string]string{"TERM": "xterm", "COLUMNS": "132", "LINES": "43"}, screen{true, 132, 43, fewColours, true}},
		{sizeless, map[string]string{"TERM": "xterm", "COLUMNS": "1", "LINES": "99999"}, screen{true, leastColumns, mostRows, fewColours, true}},
		{file, map[string]string{"TERM": "xterm"}, screen{}},
		{new(bytes.Buffer), map[string]string{"TERM": "xterm"}, screen{}},
	} {
		if got := screenOf(c.out, func(name string) string { return c.vars[name] }); got != c.want {
			t.Errorf("%v: %+v, want %+v", c.vars, got, c.want)
		}
	}
}

func TestWrap(t *testing.T) {
	for _, c := range []struct {
		line  string
		width int
		want  string
	}{
		{"as  it is", 0, "as  it is"},
		{"as  it is", 9, "as  it is"},
		{"  one two three", 9, "  one two/    three"},
		{"averylongwordindeed and more", 10, "averylongwordindeed/  and more"},
		{"", 5, ""},
	} {
		if got := strings.Join(wrap(c.line, c.width), "/"); got != c.want {
			t.Errorf("%q in %d is %q, want %q", c.line, c.width, got, c.want)
		}
	}
}

// terminalDesk opens a desk and tells kioskctl where, and what its terminal is.
func terminalDesk(t *testing.T, term, colorterm string) *desk {
	t.Helper()
	socket := filepath.Join(t.TempDir(), "s")
	d, err := openDesk(socket, clinicDesk())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.close(); err != nil {
			t.Error(err)
		}
	})
	for name, value := range map[string]string{"KIOSKD_SOCKET": socket, "TERM": term, "COLORTERM": colorterm, "NO_COLOR": ""} {
		t.Setenv(name, value)
	}
	return d
}

// A picture has the terminal's size, less the line for the prompt, and its own
// shape.
func TestPreviewOnATerminal(t *testing.T) {
	terminalDesk(t, "xterm", "truecolor")
	out, shown := openTerminal(t, 40, 10)
	var stderr bytes.Buffer
	if code := run(deadline(t), []string{"preview", "face"}, out, &stderr); code != exitOK {
		t.Fatalf("exit code %d: %s", code, stderr.String())
	}
	lines := strings.Split(strings.TrimSuffix(shown(), "\n"), "\n")
	if len(lines) != 9 {
		t.Fatalf("there are %d lines: %q", len(lines), lines)
	}
	for _, l := range lines[:8] {
		if n := strings.Count(l, "▀"); n != 28 { // 28 by 16 points are 16:9
			t.Errorf("a line has %d characters: %q", n, l)
		}
	}
	if c := lines[8]; !strings.HasPrefix(c, "HD Pro Webcam C920 (face), 64x36, ") {
		t.Errorf("under it is %q", c)
	}
	if !strings.Contains(lines[0], "\x1b[38;2;254;0;0;48;2;254;0;0m") { // JPEG's red
		t.Errorf("the first line is not red: %q", lines[0])
	}
}

// Watching draws on a page of its own, one picture over the other, tells when the
// camera goes, goes on when it is back, and leaves the terminal as it was.
func TestPreviewWatch(t *testing.T) {
	d := terminalDesk(t, "xterm", "")
	out, shown := openTerminal(t, 40, 10)
	ctx, cancel := context.WithCancel(deadline(t))
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"preview", "--watch", "face"}, out, &stderr) }()
	await := func(n int) {
		for range n {
			select {
			case <-d.asked:
			case <-ctx.Done():
				t.Error("it does not go on")
			}
		}
	}
	await(3)
	d.set(func() {
		d.fails = apitype.NewProblem(409, apitype.CodeDeviceMissing, "The camera is not plugged in", "Look at its plug")
	})
	await(3)
	d.set(func() { d.fails = nil })
	await(3)
	cancel() // Ctrl-C
	if c := <-code; c != exitOK {
		t.Fatalf("exit code %d: %s", c, stderr.String())
	}
	text := shown()
	if !strings.HasPrefix(text, enterPicture+goHome) || !strings.HasSuffix(text, leavePicture) {
		t.Errorf("it starts %q and ends %q", text[:min(len(text), 40)], text[max(len(text)-40, 0):])
	}
	frames := strings.Split(text, goHome)[1:]
	missing := 0
	for _, f := range frames {
		if n := strings.Count(f, "\n"); n > 9 {
			t.Errorf("a picture of %d lines scrolls in 10", n+1)
		}
		if strings.HasPrefix(f, "The camera is not plugged in: Look at i…") {
			missing++
		}
	}
	if missing < 1 || len(frames)-missing < 3 {
		t.Errorf("of %d pictures %d say that the camera is gone", len(frames), missing)
	}
}

// A session that opens ends the watching with its sentence, on the page that was
// there before.
func TestPreviewWatchEndsWithASession(t *testing.T) {
	d := terminalDesk(t, "xterm", "")
	d.fails = apitype.NewProblem(409, apitype.CodeSessionActive, "cannot take a picture: there is a session", "")
	out, shown := openTerminal(t, 40, 10)
	var stderr bytes.Buffer
	if code := run(deadline(t), []string{"preview", "--watch", "face"}, out, &stderr); code != exitFailed {
		t.Errorf("exit code %d", code)
	}
	if got := stderr.String(); got != "kioskctl: cannot take a picture: there is a session\n" {
		t.Errorf("it says %q", got)
	}
	if got := shown(); got != enterPicture+leavePicture {
		t.Errorf("it shows %q", got)
	}
}

// The meter is one line that is written over and leaves the terminal room for a
// Ctrl-C.
func TestMeterOnATerminal(t *testing.T) {
	for term, full := range map[string]string{"xterm": "█", "dumb": "#"} {
		t.Run(term, func(t *testing.T) {
			d := terminalDesk(t, term, "")
			d.levels = levelsOf(append(repeat(0.5, 10), repeat(0, 60)...)...)
			d.ends = apitype.NewProblem(409, apitype.CodeSessionActive, "a session opened", "")
			out, shown := openTerminal(t, 60, 10)
			var stderr bytes.Buffer
			if code := run(deadline(t), []string{"meter"}, out, &stderr); code != exitFailed || !strings.Contains(stderr.String(), "a session opened") {
				t.Errorf("exit code %d: %s", code, stderr.String())
			}
			bars := strings.Split(shown(), "\r")
			if len(bars) != 71 || bars[0] != "C920\n" {
				t.Fatalf("%d bars after %q", len(bars)-1, bars[0])
			}
			if !strings.HasPrefix(bars[1], "["+strings.Repeat(full, 18)) || !strings.Contains(bars[1], "-12.0 dBFS, peak  -6.0") {
				t.Errorf("the first is %q", bars[1])
			}
			if strings.Contains(bars[40], silentWords) || !strings.Contains(bars[70], silentWords) || !strings.HasSuffix(bars[70], "\n") {
				t.Errorf("after 3 s %q, after 6 s %q", bars[40], bars[70])
			}
		})
	}
}
