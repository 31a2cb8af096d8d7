package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Where things are in the initramfs; the program outside puts them there.
const (
	modulesDir = "modules" // files, loaded in the order of their names
	payloadDir = "payload" // copied over the root file system
	disk       = "/dev/vda"
	newRoot    = "/new"
	diskWithin = 60 * time.Second
)

// boot is what an initramfs does: load the modules of the disk, mount it, and
// replace itself with the init on it. It returns only when that went wrong.
func boot(root string) error {
	for _, m := range []struct{ kind, at string }{{"proc", "/proc"}, {"sysfs", "/sys"}, {"devtmpfs", "/dev"}} {
		if err := mount(m.kind, m.at, m.kind); err != nil {
			return err
		}
	}
	if err := loadModules(filepath.Join(root, modulesDir)); err != nil {
		return err
	}
	if err := waitFor(disk, diskWithin); err != nil {
		return err
	}
	if err := mount(disk, newRoot, "ext4"); err != nil {
		return err
	}
	if err := copyTree(filepath.Join(root, payloadDir), newRoot); err != nil {
		return err
	}
	if err := install(newRoot); err != nil {
		return err
	}
	for _, at := range []string{"/proc", "/sys", "/dev"} {
		if err := unix.Mount(at, newRoot+at, "", unix.MS_MOVE, ""); err != nil {
			return fmt.Errorf("cannot move %s: %w", at, err)
		}
	}
	return switchRoot(newRoot, "/sbin/init")
}

// install has dpkg install the package that came with the payload. Nothing is started:
// there is no systemd yet.
func install(root string) error {
	// --no-triggers: there are no manual pages to index. The libraries are in the image.
	cmd := exec.Command("/usr/bin/dpkg", "--install", "--no-triggers", "--force-depends", "--force-confold", "/root/kioskd.deb") //nolint:noctx // nobody else is there who could end it
	cmd.SysProcAttr = &syscall.SysProcAttr{Chroot: root}
	cmd.Dir = "/"
	cmd.Env = []string{"PATH=/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot install the package: %w\n%s", err, out)
	}
	return nil
}

func mount(what, at, kind string) error {
	if err := os.MkdirAll(at, 0o755); err != nil { //nolint:gosec // a system's folders are for all its users
		return fmt.Errorf("cannot make a place to mount %s: %w", what, err)
	}
	if err := unix.Mount(what, at, kind, 0, ""); err != nil {
		return fmt.Errorf("cannot mount %s: %w", what, err)
	}
	return nil
}

// loadModules loads every file of the folder, in the order of their names.
func loadModules(dir string) error {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return fmt.Errorf("cannot find the kernel's modules: %w", err)
	}
	for _, e := range entries {
		f, err := os.Open(filepath.Join(dir, e.Name()))
		if err != nil {
			return fmt.Errorf("cannot load a kernel module: %w", err)
		}
		err = unix.FinitModule(int(f.Fd()), "", 0)
		_ = f.Close() // opened for reading only
		if err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("cannot load the kernel module %s: %w", e.Name(), err)
		}
	}
	return nil
}

// waitFor waits until a path is there.
func waitFor(path string, within time.Duration) error {
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	last := time.Now().Add(within)
	for {
		if _, err := os.Lstat(path); err == nil {
			return nil
		}
		if now := <-tick.C; now.After(last) {
			return fmt.Errorf("cannot find %s: it did not come within %v", path, within)
		}
	}
}

// copyTree copies folders, files with their permissions, and links, over what is
// there, and removes each file behind itself: it is memory.
func copyTree(from, to string) error {
	err := filepath.WalkDir(from, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		target := filepath.Join(to, strings.TrimPrefix(path, from))
		switch info, err := d.Info(); {
		case err != nil:
			return err
		case d.IsDir():
			return os.MkdirAll(target, 0o755) //nolint:gosec // a system's folders are for all its users
		case d.Type() == fs.ModeSymlink:
			return copyLink(path, target)
		default:
			return moveFile(path, target, info.Mode().Perm())
		}
	})
	if err != nil {
		return fmt.Errorf("cannot copy the run's files: %w", err)
	}
	return nil
}

func copyLink(path, target string) error {
	to, err := os.Readlink(path)
	if err != nil {
		return err
	}
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return os.Symlink(to, target)
}

func moveFile(path, target string, mode fs.FileMode) error {
	content, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	// A link that is there would lead the write elsewhere.
	if err := os.Remove(target); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.WriteFile(target, content, mode); err != nil {
		return err
	}
	// The mode above went through the umask.
	if err := os.Chmod(target, mode); err != nil {
		return err
	}
	return os.Remove(path)
}

// switchRoot makes root the root and becomes its init (switch_root(8)).
func switchRoot(root, init string) error {
	if err := os.Chdir(root); err != nil {
		return fmt.Errorf("cannot enter the root file system: %w", err)
	}
	if err := unix.Mount(".", "/", "", unix.MS_MOVE, ""); err != nil {
		return fmt.Errorf("cannot move the root file system: %w", err)
	}
	if err := errors.Join(unix.Chroot("."), os.Chdir("/")); err != nil {
		return fmt.Errorf("cannot change the root: %w", err)
	}
	err := unix.Exec(init, []string{init}, []string{"TERM=linux", "PATH=/usr/sbin:/usr/bin:/sbin:/bin"})
	return fmt.Errorf("cannot become %s: %w", init, err)
}
