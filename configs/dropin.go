package configs

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// maxDropIns bounds the drop-ins of one file.
const maxDropIns = 64

// DropIns lists the drop-ins of the settings file at path: *.toml in the folder
// path.d, by name, but for hidden ones. Their keys go over the file's, a later one's
// over an earlier one's.
func DropIns(path string) ([]string, error) {
	folder := path + ".d"
	entries, err := os.ReadDir(folder) // by name
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the settings' drop-ins: %w", err)
	}
	var out []string
	for _, e := range entries {
		if strings.HasSuffix(e.Name(), ".toml") && !strings.HasPrefix(e.Name(), ".") {
			out = append(out, filepath.Join(folder, e.Name()))
		}
	}
	if len(out) > maxDropIns {
		return nil, fmt.Errorf("cannot use the settings' drop-ins: %s holds %d, at most %d are read", folder, len(out), maxDropIns)
	}
	return out, nil
}

// file reads the file at path and its drop-ins over what is there.
func (b *builder) file(path string) error {
	drops, err := DropIns(path)
	if err != nil {
		return err
	}
	// All files are read, so that all that is wrong is said at once.
	var errs []error
	for _, p := range append([]string{path}, drops...) {
		data, err := readFile(p)
		if err == nil {
			err = b.layer(p, data)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
