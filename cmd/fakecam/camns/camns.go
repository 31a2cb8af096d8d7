// Package camns builds the private devices in which a fakecam lives: a /dev of
// its own, where /dev/video0 can appear, and a /sys/dev/char that names it.
// Both are mounts of the caller's mount namespace, so they are seen by nobody
// outside and end with the last process inside.
//
// It owns those two mounts and nothing else. cmd/fakecam uses it, and tests and
// tools that need a camera may import it. It needs CAP_SYS_ADMIN.
//
// A test re-executes itself with
//
//	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL}
//
// and calls Setup first thing in the child; a program that becomes another one
// calls Exec.
package camns

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"

	"golang.org/x/sys/unix"
)

// Where things go in the private /dev, so that they vanish with it.
const (
	// MountDir is a good -mount for a fakecam in the namespace.
	MountDir = "/dev/fakecam"
	// Control is a good -ctl for a fakecam in the namespace.
	Control = "/dev/fakecam.sock"
	// DevDir is the -dev to use: where cameras are looked for.
	DevDir = "/dev"
	// CharDir is where sysfs has devices by their number. Setup covers it, fakecam
	// puts its cameras there.
	CharDir = "/sys/dev/char"

	// Major is the device number of video4linux (kernel
	// Documentation/admin-guide/devices.txt, char 81).
	Major = 81
	// MaxCameras bounds the N of /dev/videoN.
	MaxCameras = 16
)

// Places are where one fakecam process puts its things in the private /dev.
type Places struct {
	First   int    // number of its first camera
	Mount   string // its -mount
	Control string // its -ctl
}

// Camera gives the places of a fakecam process whose first camera is /dev/videoN;
// those of 0 are MountDir and Control. So several processes live in one
// namespace, each with a mount and a control socket of its own.
func Camera(n int) Places {
	if n == 0 {
		return Places{Mount: MountDir, Control: Control}
	}
	return Places{First: n, Mount: MountDir + strconv.Itoa(n), Control: fmt.Sprintf("%s/fakecam%d.sock", DevDir, n)}
}

// Args are the flags that send a fakecam there.
func (p Places) Args() []string {
	return []string{"-mount", p.Mount, "-dev", DevDir, "-ctl", p.Control, "-first", strconv.Itoa(p.First)}
}

// ErrShared means that the caller's mount namespace is its parent's: mounting
// there would hide the machine's own devices.
var ErrShared = errors.New("the process has no mount namespace of its own; start it with Unshareflags CLONE_NEWNS")

// nodes are taken over from the machine's /dev where they are there.
func nodes() []string {
	return []string{"null", "zero", "full", "random", "urandom", "tty", "fuse", "shm", "pts", "snd", "net", "mqueue"}
}

// Setup gives the calling thread's mount namespace a private /dev and
// /sys/dev/char. The namespace must be a new one (else ErrShared): the caller
// was started in it, or is process 1 of a new pid namespace. keep names more
// nodes or folders of the real /dev to take over, such as "dri".
func Setup(keep ...string) error {
	if err := own(); err != nil {
		return fmt.Errorf("cannot set up private devices: %w", err)
	}
	// What is mounted from here on stays here, also where the namespace was made by clone(2).
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private (run as root): %w", err)
	}
	if err := setupDev("/dev", append(nodes(), keep...)); err != nil {
		return fmt.Errorf("cannot set up a private /dev: %w", err)
	}
	if err := setupSys(CharDir); err != nil {
		return fmt.Errorf("cannot set up a private /sys/dev/char: %w", err)
	}
	return nil
}

// Exec moves the process into a new mount namespace with private devices and
// becomes argv there: same process id, same files. It returns only on error.
func Exec(argv, env []string, keep ...string) error {
	if len(argv) == 0 {
		return errors.New("cannot start a command in private devices: no command given")
	}
	// unshare(2) is for one thread; execve(2) from this thread makes it the process.
	runtime.LockOSThread()
	if err := unix.Unshare(unix.CLONE_NEWNS); err != nil {
		return fmt.Errorf("cannot make a mount namespace (run as root): %w", err)
	}
	if err := Setup(keep...); err != nil {
		return err
	}
	path, err := exec.LookPath(argv[0])
	if err != nil {
		return fmt.Errorf("cannot start %s: %w", argv[0], err)
	}
	return fmt.Errorf("cannot start %s: %w", argv[0], unix.Exec(path, argv, env))
}

// own reports ErrShared when the thread is in its parent process's namespace.
func own() error {
	ppid := os.Getppid()
	if ppid == 0 || os.Getpid() == 1 { // the parent is outside: a new pid namespace
		return nil
	}
	mine, err := os.Readlink("/proc/thread-self/ns/mnt")
	if err != nil {
		return fmt.Errorf("cannot tell the mount namespace (is /proc mounted?): %w", err)
	}
	parent, err := os.Readlink("/proc/" + strconv.Itoa(ppid) + "/ns/mnt")
	if err != nil {
		return fmt.Errorf("cannot tell the parent's mount namespace: %w", err)
	}
	if mine == parent {
		return ErrShared
	}
	return nil
}

// setupDev covers dir with a tmpfs that holds the named nodes of what it covers.
func setupDev(dir string, keep []string) error {
	held := map[string]int{}
	defer func() {
		for _, fd := range held {
			_ = unix.Close(fd)
		}
	}()
	for _, n := range keep { // hold them open: the mount below hides their names
		if fd, err := unix.Open(filepath.Join(dir, n), unix.O_PATH|unix.O_CLOEXEC|unix.O_NOFOLLOW, 0); err == nil {
			if old, twice := held[n]; twice {
				_ = unix.Close(old)
			}
			held[n] = fd
		}
	}
	if err := unix.Mount("fakedev", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NOEXEC, "mode=755"); err != nil {
		return err
	}
	for n, fd := range held {
		if err := bind(fd, filepath.Join(dir, n)); err != nil {
			return fmt.Errorf("cannot take over %s: %w", n, err)
		}
	}
	for link, to := range map[string]string{
		"fd": "/proc/self/fd", "stdin": "fd/0", "stdout": "fd/1", "stderr": "fd/2", "ptmx": "pts/ptmx",
	} {
		if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
			return err
		}
	}
	if _, ok := held["shm"]; ok {
		return nil
	}
	if err := os.Mkdir(filepath.Join(dir, "shm"), 0o777); err != nil {
		return err
	}
	return os.Chmod(filepath.Join(dir, "shm"), 0o1777)
}

// bind mounts the open file or folder at a new name.
func bind(fd int, at string) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFDIR {
		if err := os.Mkdir(at, 0o755); err != nil {
			return err
		}
	} else {
		f, err := os.OpenFile(at, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		if err := f.Close(); err != nil {
			return err
		}
	}
	// Not mount(2) with /proc/self/fd: /proc may be that of another pid namespace.
	tree, err := unix.OpenTree(fd, "", unix.OPEN_TREE_CLONE|unix.OPEN_TREE_CLOEXEC|unix.AT_EMPTY_PATH|unix.AT_RECURSIVE)
	if err != nil {
		return err
	}
	defer unix.Close(tree)
	return unix.MoveMount(tree, "", unix.AT_FDCWD, at, unix.MOVE_MOUNT_F_EMPTY_PATH)
}

// setupSys covers /sys/dev/char with a tmpfs that has what was there but the
// cameras. A fakecam makes entries 81:N for its own, where identities are read
// and v4l2-utils find a device's name.
func setupSys(dir string) error {
	old, err := os.ReadDir(dir)
	if err != nil {
		return err
	}
	links := map[string]string{}
	for _, e := range old {
		if to, err := os.Readlink(filepath.Join(dir, e.Name())); err == nil {
			links[e.Name()] = to
		}
	}
	if err := unix.Mount("fakesys", dir, "tmpfs", unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC, "mode=755"); err != nil {
		return err
	}
	for n := range MaxCameras {
		delete(links, fmt.Sprintf("%d:%d", Major, n))
	}
	for name, to := range links {
		if err := os.Symlink(to, filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	return nil
}
