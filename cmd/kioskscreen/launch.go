package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"html/template"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
)

// launchPage is the launch file in its .html form. A browser started with that
// file's path never shows the code in its command line, where every user of the
// machine could read it.
const launchPage = `<!doctype html><meta charset="utf-8"><meta name="referrer" content="no-referrer">` +
	`<meta http-equiv="refresh" content="0;url={{.}}"><title>kiosk</title>
`

// launcher tells the one who starts the browser where the one-use link is: in a
// file that only its own user can read, or on standard output.
type launcher struct {
	file     string // empty: none
	printURL bool
	stdout   io.Writer
	base     string // "http://127.0.0.1:PORT"

	mu sync.Mutex
}

// publish writes the link of the given path, in place of the one before.
func (l *launcher) publish(path string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	url := l.base + path
	if l.printURL {
		if _, err := fmt.Fprintln(l.stdout, url); err != nil {
			return fmt.Errorf("cannot print the link of the screen: %w", err)
		}
	}
	if l.file == "" {
		return nil
	}
	data, err := l.render(url)
	if err != nil {
		return fmt.Errorf("cannot write the launch file %s: %w", l.file, err)
	}
	return replaceFile(l.file, data)
}

func (l *launcher) render(url string) ([]byte, error) {
	if !strings.HasSuffix(l.file, ".html") {
		data, err := json.Marshal(map[string]string{"screen": url})
		return append(data, '\n'), err
	}
	var b bytes.Buffer
	page, err := template.New("launch").Parse(launchPage)
	if err == nil {
		err = page.Execute(&b, url)
	}
	return b.Bytes(), err
}

// remove takes the file away: its link leads nowhere once the program is gone.
func (l *launcher) remove() {
	if l.file != "" {
		_ = os.Remove(l.file) // may be gone already, and there is nobody left to tell
	}
}

// replaceFile writes a file whole or not at all, readable by its owner only.
// os.CreateTemp makes it 0600 from the start, whatever the umask.
func replaceFile(name string, data []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".launch-*")
	if err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("cannot write the launch file %s: its folder does not exist, make it first", name)
		}
		return fmt.Errorf("cannot write the launch file %s: %w", name, err)
	}
	_, err = f.Write(data)
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), name)
	}
	if err != nil {
		return fmt.Errorf("cannot write the launch file %s: %w", name, errors.Join(err, os.Remove(f.Name())))
	}
	return nil
}
