package main

import (
	"io"
	"os"
	"strconv"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// colours is how a picture's colours are written.
type colours int

const (
	noColours   colours = iota // brightness by characters
	fewColours                 // 256, as xterm has them
	manyColours                // 24 bits
)

// screen is what output goes to.
type screen struct {
	terminal      bool
	columns, rows int
	colours       colours
	moves         bool // it understands more than plain text: the cursor can be moved
}

// Bounds of a terminal's size: what says less or more lies.
const (
	leastColumns, leastRows = 20, 4
	mostColumns, mostRows   = 500, 200
)

// screenOf looks at what out is. The size comes from the terminal (TIOCGWINSZ),
// else from COLUMNS and LINES, else it is 80 by 24. NO_COLOR (no-color.org) and a
// dumb terminal have no colours; COLORTERM says whether there are more than 256.
func screenOf(out io.Writer, getenv func(string) string) screen {
	f, ok := out.(*os.File)
	if !ok {
		return screen{}
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil {
		return screen{}
	}
	dumb := getenv("TERM") == "" || getenv("TERM") == "dumb"
	s := screen{terminal: true, columns: int(size.Col), rows: int(size.Row), moves: !dumb, colours: fewColours}
	switch {
	case dumb || getenv("NO_COLOR") != "":
		s.colours = noColours
	case getenv("COLORTERM") == "truecolor" || getenv("COLORTERM") == "24bit":
		s.colours = manyColours
	}
	if s.columns == 0 || s.rows == 0 {
		s.columns, s.rows = number(getenv("COLUMNS"), 80), number(getenv("LINES"), 24)
	}
	s.columns = min(max(s.columns, leastColumns), mostColumns)
	s.rows = min(max(s.rows, leastRows), mostRows)
	return s
}

func number(text string, instead int) int {
	if n, err := strconv.Atoi(text); err == nil && n > 0 {
		return n
	}
	return instead
}

// What a terminal is told (ECMA-48; ?1049 and ?25 are xterm's).
const (
	enterPicture = "\x1b[?1049h\x1b[?25l\x1b[2J" // another page, without a cursor
	leavePicture = "\x1b[?25h\x1b[?1049l"
	goHome       = "\x1b[H"
	eraseRest    = "\x1b[K" // of the line
	eraseBelow   = "\x1b[J"
	plainAgain   = "\x1b[0m"
)

// shorten cuts a text to so many characters.
func shorten(text string, width int) string {
	if utf8.RuneCountInString(text) <= width {
		return text
	}
	return string([]rune(text)[:max(width-1, 0)]) + "…"
}

// wrap breaks a line at spaces so that it fits into width; what follows is
// indented as the line is, and two more. Width 0: it stays as it is. A line's own
// runs of spaces stay where it fits.
func wrap(line string, width int) []string {
	if width == 0 || utf8.RuneCountInString(line) <= width {
		return []string{line}
	}
	indent := line[:len(line)-len(strings.TrimLeft(line, " "))]
	var lines []string
	now := indent
	for _, word := range strings.Fields(line) {
		switch {
		case strings.TrimSpace(now) == "":
			now += word
		case utf8.RuneCountInString(now)+1+utf8.RuneCountInString(word) <= width:
			now += " " + word
		default:
			lines = append(lines, now)
			now = indent + "  " + word
		}
	}
	return append(lines, now)
}
