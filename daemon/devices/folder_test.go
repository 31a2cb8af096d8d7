package devices

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// watching starts watchFolder and returns a channel that gets each change.
func watching(t *testing.T, dir string) <-chan struct{} {
	t.Helper()
	changes := make(chan struct{}, 64)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- watchFolder(ctx, dir, "video", func() { changes <- struct{}{} }) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-done:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(5 * time.Second):
			t.Error("watchFolder did not end with its context")
		}
	})
	select {
	case <-changes: // it has begun
	case <-time.After(5 * time.Second):
		t.Fatal("the watch did not begin within 5 s")
	}
	return changes
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o644); err != nil {
		t.Fatal(err)
	}
}

func TestWatchFolderTellsOfEachKindOfChange(t *testing.T) {
	dir := t.TempDir()
	changes := watching(t, dir)
	node := filepath.Join(dir, "video7")
	for _, step := range []struct {
		what string
		do   func() error
	}{
		{"a node comes", func() error { return os.WriteFile(node, nil, 0o600) }},
		{"its mode changes", func() error { return os.Chmod(node, 0o660) }},
		{"it is renamed", func() error { return os.Rename(node, node+"b") }},
		{"it goes", func() error { return os.Remove(node + "b") }},
	} {
		for len(changes) > 0 {
			<-changes
		}
		if err := step.do(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-changes:
		case <-time.After(3 * time.Second):
			t.Errorf("%s: not told", step.what)
		}
	}
}

func TestWatchFolderSumsAFloodUp(t *testing.T) {
	dir := t.TempDir()
	changes := watching(t, dir)
	for range 200 {
		touch(t, filepath.Join(dir, "video1"))
	}
	select {
	case <-changes:
	case <-time.After(5 * time.Second):
		t.Fatal("the flood was not told")
	}
	if n := len(changes); n > 5 {
		t.Errorf("%d more changes for one flood", n)
	}
}

func TestWatchFolderSaysWhenItCannot(t *testing.T) {
	err := watchFolder(t.Context(), filepath.Join(t.TempDir(), "nowhere"), "video", func() {})
	if err == nil {
		t.Fatal("a folder that is not there was watched")
	}
}

func TestWatchFolderLooksAtCamerasOnly(t *testing.T) {
	dir := t.TempDir()
	changes := watching(t, dir)
	for len(changes) > 0 {
		<-changes
	}
	touch(t, filepath.Join(dir, "tty1"))
	touch(t, filepath.Join(dir, "avideo"))
	select {
	case <-changes:
		t.Error("a node that is no camera's was told")
	case <-time.After(4 * settleFor):
	}
}

func TestWatchFolderSaysThatItsFolderWent(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "by-id")
	if err := os.Mkdir(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- watchFolder(t.Context(), dir, "video", func() {}) }()
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	select {
	case err := <-done:
		if err == nil {
			t.Error("no word of it")
		}
	case <-time.After(5 * time.Second):
		t.Error("it watches a folder that is not there")
	}
}

func TestConcernsReadsTheKernelsForm(t *testing.T) {
	event := func(mask uint32, name string) []byte {
		b := make([]byte, 16, 64)
		binary.NativeEndian.PutUint32(b[4:], mask)
		padded := append([]byte(name), make([]byte, 16-len(name))...)
		if name == "" {
			padded = nil
		}
		binary.NativeEndian.PutUint32(b[12:], uint32(len(padded)))
		return append(b, padded...)
	}
	long := event(unix.IN_CREATE, "tty")
	binary.NativeEndian.PutUint32(long[12:], 1<<31)
	for name, c := range map[string]struct {
		events []byte
		want   bool
	}{
		"nothing":        {nil, false},
		"half a head":    {make([]byte, 10), false},
		"another device": {event(unix.IN_CREATE, "tty1"), false},
		"the folder":     {event(unix.IN_ATTRIB, ""), false},
		"a camera":       {event(unix.IN_CREATE, "video12"), true},
		"second":         {append(event(unix.IN_CREATE, "tty1"), event(unix.IN_DELETE, "video0")...), true},
		"overflow":       {event(unix.IN_Q_OVERFLOW, ""), true},
		"a lie":          {long, true},
	} {
		if got := concerns(c.events, "video"); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
