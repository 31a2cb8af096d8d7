package check_test

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"kioskd/daemon/check"
)

// TestRootDisk fills a real file system of its own.
func TestRootDisk(t *testing.T) {
	if os.Getuid() != 0 {
		t.Fatal("only root can mount: run make test")
	}
	dir := t.TempDir()
	if err := unix.Mount("tmpfs", dir, "tmpfs", 0, "size=160m"); err != nil {
		t.Fatalf("cannot mount a disk to fill: %v", err)
	}
	defer func() {
		if err := unix.Unmount(dir, unix.MNT_DETACH); err != nil {
			t.Error(err)
		}
	}()
	fill := func(name string, bytes int64) {
		t.Helper()
		f, err := os.Create(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := unix.Fallocate(int(f.Fd()), 0, 0, bytes); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name          string
		bytes         int64
		result, fault string
	}{{"a", 1 << 20, "pass", ""}, {"b", 64 << 20, "warn", "disk_low"}, {"c", 85 << 20, "fail", "disk_full"}} {
		fill(tt.name, tt.bytes)
		got := one(t, check.Options{StateDir: dir}, "disk")
		if got.Result != tt.result || got.Fault != tt.fault {
			t.Errorf("after %s: %+v", tt.name, got)
		}
		if tt.fault != "" && got.Command != "journalctl --vacuum-size=100M" {
			t.Errorf("after %s: the command is %q", tt.name, got.Command)
		}
	}
	if got := one(t, check.Options{StateDir: filepath.Join(dir, "none")}, "disk"); got.Fault != "state_missing" || got.Command != "systemctl restart kioskd" {
		t.Errorf("no such folder: %+v", got)
	}
}
