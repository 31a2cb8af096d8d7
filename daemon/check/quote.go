package check

import "strings"

// Quote makes one word of text for a POSIX shell: what was read from a device, a file
// or a process must not become a command of its own when somebody pastes it.
func Quote(text string) string {
	plain := text != "" && strings.Trim(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:=,@+") == ""
	if plain && text[0] != '-' {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}
