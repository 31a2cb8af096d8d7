package sim

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const maxToken = 4096

// loadToken reads the kiosk's token, or makes one where there is no file.
func loadToken(path string) (string, error) {
	if path == "" {
		return "", errors.New("cannot start without a token file: name one with -token")
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return makeToken(path)
	}
	if err != nil {
		return "", fmt.Errorf("cannot read the token file: %w", err)
	}
	token := strings.TrimSpace(string(b))
	if token == "" || len(token) > maxToken || strings.ContainsFunc(token, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return "", fmt.Errorf("cannot use the token in %s: want 1 to %d visible ASCII characters; remove the file to get a new one", path, maxToken)
	}
	return token, nil
}

func makeToken(path string) (string, error) {
	token := rand.Text()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("cannot make the token file: %w", err)
	}
	_, err = f.WriteString(token + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return "", fmt.Errorf("cannot write the token file: %w", err)
	}
	return token, nil
}

// writeLaunch puts the addresses into path in one step, so that who waits for
// the file never reads half of it. CreateTemp makes files with mode 0600.
func writeLaunch(path string, a Addresses) error {
	b, err := json.Marshal(a)
	if err != nil {
		return fmt.Errorf("cannot write the launch file: %w", err)
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".launch-*")
	if err != nil {
		return fmt.Errorf("cannot write the launch file: %w", err)
	}
	_, err = f.Write(append(b, '\n'))
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("cannot write the launch file: %w", errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
