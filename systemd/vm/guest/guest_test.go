package main

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func write(t *testing.T, path, text string, mode os.FileMode) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
}

func TestCopyTree(t *testing.T) {
	from, to, outside := filepath.Join(t.TempDir(), "payload"), t.TempDir(), filepath.Join(t.TempDir(), "outside")
	write(t, filepath.Join(from, "usr/bin/kioskd"), "program", 0o755)
	write(t, filepath.Join(from, "etc/token"), "secret", 0o600)
	write(t, filepath.Join(from, "etc/resolv.conf"), "new", 0o644)
	write(t, filepath.Join(to, "etc/token"), "an older and longer one", 0o644)
	write(t, filepath.Join(to, "etc/kept"), "kept", 0o644)
	write(t, outside, "outside", 0o644)
	for path, target := range map[string]string{
		filepath.Join(from, "etc/units/x.service"): "../x.service",
		filepath.Join(to, "etc/units/x.service"):   "/dev/null",
		filepath.Join(to, "etc/resolv.conf"):       outside, // a link must not lead a write elsewhere
	} {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.Symlink(target, path); err != nil {
			t.Fatal(err)
		}
	}
	if err := copyTree(from, to); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"usr/bin/kioskd": "program", "etc/token": "secret", "etc/resolv.conf": "new", "etc/kept": "kept",
	} {
		if b, err := os.ReadFile(filepath.Join(to, path)); err != nil || string(b) != want {
			t.Errorf("%s: %q, %v", path, b, err)
		}
	}
	for path, want := range map[string]os.FileMode{"usr/bin/kioskd": 0o755, "etc/token": 0o600} {
		if info, err := os.Stat(filepath.Join(to, path)); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v", path, info, err)
		}
	}
	if link, err := os.Readlink(filepath.Join(to, "etc/units/x.service")); err != nil || link != "../x.service" {
		t.Errorf("the link leads to %q, %v", link, err)
	}
	if b, err := os.ReadFile(outside); err != nil || string(b) != "outside" {
		t.Errorf("outside is %q, %v", b, err)
	}
	if _, err := os.Stat(filepath.Join(from, "usr/bin/kioskd")); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the copied file still takes memory: %v", err)
	}
	if err := copyTree(filepath.Join(from, "none"), to); err == nil {
		t.Error("nothing was copied without an error")
	}
}

func TestWaitFor(t *testing.T) {
	path := filepath.Join(t.TempDir(), "vda")
	if err := waitFor(path, 50*time.Millisecond); err == nil || !strings.Contains(err.Error(), "did not come within 50ms") {
		t.Errorf("got %v", err)
	}
	done := make(chan error, 1)
	go func() { done <- waitFor(path, time.Minute) }()
	write(t, path, "", 0o600)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// What is no module is named.
func TestLoadModules(t *testing.T) {
	dir := t.TempDir()
	if err := loadModules(filepath.Join(dir, "none")); err == nil {
		t.Error("no folder, and no error")
	}
	if err := loadModules(dir); err != nil {
		t.Error(err)
	}
	write(t, filepath.Join(dir, "000-text.ko"), "text", 0o644)
	if err := loadModules(dir); err == nil || !strings.Contains(err.Error(), "000-text.ko") {
		t.Errorf("got %v", err)
	}
}

func TestTogether(t *testing.T) {
	broken := errors.New("broken")
	stopped := false
	err := together(t.Context(),
		func(context.Context) error { return broken },
		func(ctx context.Context) error { <-ctx.Done(); stopped = true; return nil })
	if !errors.Is(err, broken) || !stopped {
		t.Errorf("%v, the other stopped: %v", err, stopped)
	}
}

func TestOpen(t *testing.T) {
	var out strings.Builder
	dir := t.TempDir()
	if err := open([]string{"-write", "/dev/null", dir, dir + "/none"}, &out); err != nil {
		t.Fatal(err)
	}
	if want := "/dev/null ok\n" + dir + " EISDIR\n" + dir + "/none ENOENT\n"; out.String() != want {
		t.Errorf("it says %q, want %q", out.String(), want)
	}
	if err := open([]string{"-cgroup", dir, "/dev/null"}, &out); err == nil || !strings.HasPrefix(err.Error(), "cannot enter") {
		t.Errorf("a group that is none: %v", err)
	}
}

func TestServeRefusesArguments(t *testing.T) {
	for _, args := range [][]string{{"-unknown"}, {"-link", "no-such-link", "-address", "192.0.2.9/24", "-gateway", "192.0.2.1"}} {
		if err := serve(t.Context(), args); err == nil || !strings.HasPrefix(err.Error(), "cannot ") {
			t.Errorf("%q: %v", args, err)
		}
	}
}
