package store

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// TestTheCacheIsNotBelieved: where the disk has not taken what a daemon wrote, the kernel
// says so once and goes on showing it to whoever reads. The next daemon must see what the
// disk holds. A real file system on a loop device that is cut off: needs root.
func TestTheCacheIsNotBelieved(t *testing.T) {
	if _, err := os.Stat("/dev/loop-control"); err != nil {
		t.Skip("there are no loop devices here")
	}
	cmd := child(t, "cache", t.TempDir())
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	out, err := cmd.Output()
	if err != nil || string(out) != "ok\n" {
		t.Fatalf("the child says %q, %v (root is needed for a loop device)", out, err)
	}
}

// childCache prints ok, or what is wrong.
func childCache(dir string) {
	if err := believe(dir); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("ok")
}

// loop makes a file system of 16 MiB in memory and mounts it at dir/m. When the mount
// namespace ends, all of it is gone.
func loop(dir string) (device string, err error) {
	disk, at := filepath.Join(dir, "disk"), filepath.Join(dir, "m")
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=32m"); err != nil {
		return "", fmt.Errorf("cannot mount: %w", err)
	}
	if err := errors.Join(os.WriteFile(disk, nil, 0o600), os.Truncate(disk, 16<<20), os.Mkdir(at, 0o700)); err != nil {
		return "", err
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-O", "^has_journal", disk).CombinedOutput(); err != nil {
		return "", fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	out, err := exec.Command("losetup", "--find", "--show", disk).CombinedOutput()
	if device = strings.TrimSpace(string(out)); err != nil {
		return "", fmt.Errorf("losetup: %w: %s", err, out)
	}
	err = syscall.Mount(device, at, "ext4", 0, "")
	if out, detach := exec.Command("losetup", "--detach", device).CombinedOutput(); detach != nil { // at the unmount
		err = errors.Join(err, fmt.Errorf("losetup: %w: %s", detach, out))
	}
	return device, err
}

// resize cuts a loop device off behind its first bytes; 0 gives it back.
func resize(device string, bytes uint64) error {
	f, err := os.OpenFile(device, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := unix.IoctlLoopGetStatus64(int(f.Fd()))
	if err != nil {
		return err
	}
	info.Sizelimit = bytes
	return unix.IoctlLoopSetStatus64(int(f.Fd()), info)
}

// stage gives the file's bytes with a session of this name.
func stage(dir, session string) ([]byte, error) {
	s, err := Open(dir, Options{})
	if err != nil {
		return nil, err
	}
	err = errors.Join(s.Save(Save{ID: session, Model: []byte(session), Journal: []Entry{{Text: session}}}), s.Close())
	b, read := os.ReadFile(filepath.Join(dir, FileName))
	return b, errors.Join(err, read)
}

// overlay writes bytes over a file and syncs it.
func overlay(path string, b []byte) error {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(b, 0)
	return errors.Join(err, f.Sync(), f.Close())
}

func believe(top string) error {
	device, err := loop(top)
	if err != nil {
		return err
	}
	dir := filepath.Join(top, "m", "state")
	path := filepath.Join(dir, FileName)
	good, err := stage(dir, "one")
	if err != nil {
		return err
	}
	newer, err := stage(dir, "two")
	if err != nil || len(newer) != len(good) {
		return fmt.Errorf("%d bytes, then %d: %w", len(good), len(newer), err)
	}
	if err := overlay(path, good); err != nil {
		return err
	}
	syscall.Sync()
	// What a daemon leaves whose last sync failed: the disk has the one, the cache the other.
	if err := resize(device, 64<<10); err != nil {
		return fmt.Errorf("cannot cut the device off: %w", err)
	}
	lost := overlay(path, newer)
	if err := resize(device, 0); err != nil {
		return fmt.Errorf("cannot give the device back: %w", err)
	}
	if cached, err := os.ReadFile(path); !errors.Is(lost, syscall.EIO) || !bytes.Equal(cached, newer) {
		return fmt.Errorf("the cache is the new one: %t, and the sync says %w", bytes.Equal(cached, newer), errors.Join(lost, err))
	}
	s, err := Open(dir, Options{})
	if err != nil {
		return err
	}
	defer s.Close()
	id, _, ok, err := s.LoadSession()
	if !ok || id != "one" || s.SetAside() != "" {
		return fmt.Errorf("the disk holds session one, the store says %q, %t, set aside %q, %w", id, ok, s.SetAside(), err)
	}
	return nil
}
