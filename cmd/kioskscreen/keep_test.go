package main

import (
	"encoding/json"
	"errors"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// A page that is open goes on with the program that comes after: same origin, same token.
func TestTheDoorIsKept(t *testing.T) {
	file := filepath.Join(t.TempDir(), "door.json")
	far := newFarSide(t)
	keeps := func(o *options) { o.keep = file }
	var c *http.Client
	var base string
	t.Run("before", func(t *testing.T) {
		s := startScreen(t, far.socket, keeps)
		c, base = s.client(), s.base
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("the file is %v, %v", info, err)
		}
	})
	t.Run("after", func(t *testing.T) {
		s := startScreen(t, far.socket, keeps)
		if resp, _ := s.ask(c, http.MethodGet, "/v1/status", "", ""); s.base != base || resp.StatusCode != http.StatusOK {
			t.Errorf("at %s, before at %s, the page's call answers %d", s.base, base, resp.StatusCode)
		}
		if logs := s.logs.String(); strings.Contains(logs, "anew") {
			t.Errorf("it warns: %s", logs)
		}
		// Its address is taken: the next one is another door, with a token of its own.
		other := startScreen(t, far.socket, keeps)
		if resp, _ := other.ask(c, http.MethodGet, "/v1/status", "", ""); other.base == base || resp.StatusCode != http.StatusUnauthorized {
			t.Errorf("at %s as well the call answers %d", other.base, resp.StatusCode)
		}
		if !strings.Contains(other.logs.String(), "has to be opened anew") {
			t.Error("it does not say that the page is lost")
		}
	})
}

func TestReadKept(t *testing.T) {
	dir := t.TempDir()
	good := kept{Address: "127.0.0.1:4711", Token: newSecret()}
	text, err := json.Marshal(good)
	if err != nil {
		t.Fatal(err)
	}
	put := func(name, text string, mode fs.FileMode) string {
		path := filepath.Join(dir, name)
		if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chmod(path, mode)); err != nil {
			t.Fatal(err)
		}
		return path
	}
	path := put("good", string(text), 0o600)
	if got, err := readKept(path); err != nil || got != good {
		t.Errorf("read %+v, %v", got, err)
	}
	if _, err := readKept(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("none: %v", err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	for name, path := range map[string]string{
		"a link":          link,
		"a folder":        dir,
		"readable by all": put("open", string(text), 0o644),
		"no JSON":         put("text", "door", 0o600),
		"half":            put("half", string(text[:20]), 0o600),
		"a short token":   put("short", `{"address":"127.0.0.1:4711","token":"YWJj"}`, 0o600),
		"no port":         put("port", strings.Replace(string(text), ":4711", ":0", 1), 0o600),
	} {
		if got, err := readKept(path); err == nil || errors.Is(err, fs.ErrNotExist) || got != (kept{}) || !strings.Contains(err.Error(), "kept door") {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// Another machine could reach what is not loopback, whatever a file says.
func TestAKeptAddressIsLoopback(t *testing.T) {
	file := filepath.Join(t.TempDir(), "door.json")
	if err := (kept{Address: "0.0.0.0:4711", Token: newSecret()}).write(file); err != nil {
		t.Fatal(err)
	}
	s := startScreen(t, newFarSide(t).socket, func(o *options) { o.keep = file })
	if !strings.HasPrefix(s.base, "http://127.0.0.1:") || strings.HasSuffix(s.base, ":4711") {
		t.Errorf("it listens at %s", s.base)
	}
}
