package systemd

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
)

// maxCredential bounds one credential, in bytes: systemd's own limit for all of
// a unit's is 1 MiB (systemd.exec(5)); ours are tokens and keys.
const maxCredential = 64 << 10

// ErrNoCredential means that the unit passes no credential of that name.
var ErrNoCredential = errors.New("no such credential")

var credentialName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$`)

// CredentialPath is where systemd put the credential of that name
// (LoadCredential= of the unit). ErrNoCredential where systemd gave none.
func CredentialPath(name string) (string, error) {
	if !credentialName.MatchString(name) {
		return "", fmt.Errorf("cannot look up a credential: %q is no credential's name", name)
	}
	dir := os.Getenv("CREDENTIALS_DIRECTORY")
	if dir == "" {
		return "", fmt.Errorf("cannot find credential %s: %w; add LoadCredential=%s:FILE to the unit", name, ErrNoCredential, name)
	}
	path := filepath.Join(dir, name)
	if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
		return "", fmt.Errorf("cannot find credential %s: %w; add LoadCredential=%s:FILE to the unit", name, ErrNoCredential, name)
	} else if err != nil {
		return "", fmt.Errorf("cannot find credential %s: %w", name, err)
	}
	return path, nil
}

// Credential reads the credential of that name, at most 64 KiB. The error never
// holds its bytes.
func Credential(name string) ([]byte, error) {
	path, err := CredentialPath(name)
	if err != nil {
		return nil, err
	}
	file, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("cannot read credential %s: %w", name, err)
	}
	defer file.Close() //nolint:errcheck // opened for reading only
	data, err := io.ReadAll(io.LimitReader(file, maxCredential+1))
	if err != nil {
		return nil, fmt.Errorf("cannot read credential %s: %w", name, err)
	}
	if len(data) > maxCredential {
		return nil, fmt.Errorf("cannot read credential %s: larger than %d KiB", name, maxCredential>>10)
	}
	return data, nil
}
