package agent

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
)

// Holder is one open file of a process.
type Holder struct {
	PID  int    `json:"pid"`
	Name string `json:"name"` // of the process, as proc(5) has it in comm
	Path string `json:"path"` // "/dev/video0"; of a node that is gone too
}

// String is "kioskd[312] /dev/video0".
func (h Holder) String() string { return fmt.Sprintf("%s[%d] %s", h.Name, h.PID, h.Path) }

// deleted is what proc(5) adds to the name of a file that has none any more.
const deleted = " (deleted)"

// Holders looks through all processes below proc, usually /proc, for open files
// whose paths begin with one of the prefixes. Processes that end meanwhile are left
// out.
func Holders(proc string, prefixes ...string) ([]Holder, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("cannot look who has devices open: %w", err)
	}
	list := []Holder{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		open, err := openFiles(filepath.Join(proc, e.Name()), prefixes)
		if err != nil {
			return nil, err
		}
		for _, path := range open {
			list = append(list, Holder{PID: pid, Name: comm(filepath.Join(proc, e.Name())), Path: path})
		}
	}
	return list, nil
}

// openFiles lists the paths that one process has open and that begin as wanted.
func openFiles(process string, prefixes []string) ([]string, error) {
	fds, err := os.ReadDir(filepath.Join(process, "fd"))
	if gone(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot look at a process's files: %w", err)
	}
	var out []string
	for _, fd := range fds {
		path, err := os.Readlink(filepath.Join(process, "fd", fd.Name()))
		if err != nil {
			continue // closed meanwhile
		}
		path = strings.TrimSuffix(path, deleted)
		if slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(path, p) }) {
			out = append(out, path)
		}
	}
	return out, nil
}

// gone tells whether a process has ended: its folder is not there, or empty.
func gone(err error) bool { return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ESRCH) }

func comm(process string) string {
	b, err := os.ReadFile(filepath.Join(process, "comm"))
	if err != nil {
		return "?" // it ended
	}
	return strings.TrimSpace(string(b))
}
