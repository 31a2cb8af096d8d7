package backend

import (
	"fmt"
	"io"
	"os"
	"strings"
)

const maxToken = 4096 // bytes

// FileToken reads the bearer token from a file at each call: trimmed of blanks
// and line ends, 1 to 4096 visible ASCII characters. Its errors name the file
// and hold nothing of what is in it.
func FileToken(path string) func() (string, error) {
	return func() (string, error) {
		file, err := os.Open(path)
		if err != nil {
			return "", fmt.Errorf("cannot read the backend's token: %w; put it there or set backend.token_file", err)
		}
		defer file.Close() //nolint:errcheck // opened for reading only
		data, err := io.ReadAll(io.LimitReader(file, maxToken+64))
		if err != nil {
			return "", fmt.Errorf("cannot read the backend's token: %w", err)
		}
		token := strings.TrimSpace(string(data))
		if !visible(token) {
			return "", fmt.Errorf("cannot read the backend's token: %s does not hold 1 to %d visible ASCII characters", path, maxToken)
		}
		return token, nil
	}
}

// visible holds a token to what a header can carry (VCHAR, RFC 5234).
func visible(token string) bool {
	return token != "" && len(token) <= maxToken && strings.IndexFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) < 0
}
