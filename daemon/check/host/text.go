package host

import (
	"strings"
	"unicode"

	"kioskd/daemon/check"
)

// quote makes one word of a shell of text.
func quote(text string) string { return check.Quote(text) }

// printable replaces what could steer a terminal: a process and a device name
// themselves (CWE-150).
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, text)
}
