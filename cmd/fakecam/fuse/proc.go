package fuse

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// callers looks at the processes whose requests arrive: FUSE does not pass on
// which system call was made nor the file's current flags. It has a procfs of
// its own for the pid namespace of the mount, so it does not matter what is
// mounted on /proc.
type callers struct{ proc int }

func newCallers() (*callers, error) {
	fs, err := unix.Fsopen("proc", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot open a procfs (needs root and kernel 5.2): %w", err)
	}
	defer unix.Close(fs)
	if err := unix.FsconfigCreate(fs); err != nil {
		return nil, fmt.Errorf("cannot make a procfs (needs root): %w", err)
	}
	fd, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, unix.MS_NOSUID|unix.MS_NODEV|unix.MS_NOEXEC)
	if err != nil {
		return nil, fmt.Errorf("cannot mount a procfs: %w", err)
	}
	return &callers{proc: fd}, nil
}

func (c *callers) close() error { return unix.Close(c.proc) }

// read gives the beginning of a file of procfs.
func (c *callers) read(name string) (string, error) {
	fd, err := unix.Openat(c.proc, name, unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return "", err
	}
	defer unix.Close(fd)
	var b [512]byte
	n, err := unix.Read(fd, b[:])
	return string(b[:max(n, 0)]), err
}

// syscallOf reads which system call a thread is in, and its first argument.
func (c *callers) syscallOf(tid uint32) (nr int, arg uint64, ok bool) {
	// The request can reach us before its sender has gone to sleep; until then
	// the file says "running". That takes microseconds, or a turn of the scheduler
	// where all processors are busy.
	deadline, retry := time.NewTimer(100*time.Millisecond), time.NewTicker(20*time.Microsecond)
	defer deadline.Stop()
	defer retry.Stop()
	for {
		s, err := c.read(strconv.FormatUint(uint64(tid), 10) + "/syscall")
		if err != nil {
			return 0, 0, false
		}
		if nr, arg, err = parseSyscall(s); err == nil {
			return nr, arg, true
		}
		if !errors.Is(err, errRunning) {
			return 0, 0, false
		}
		select {
		case <-retry.C:
		case <-deadline.C:
			return 0, 0, false
		}
	}
}

var errRunning = errors.New("thread is running")

// parseSyscall reads /proc/PID/syscall: "running", or the number and the
// arguments (proc_pid_syscall(5)).
func parseSyscall(s string) (nr int, arg uint64, err error) {
	f := strings.Fields(s)
	if len(f) == 1 && f[0] == "running" {
		return 0, 0, errRunning
	}
	if len(f) < 2 {
		return 0, 0, fmt.Errorf("cannot read system call from %d fields", len(f))
	}
	if nr, err = strconv.Atoi(f[0]); err != nil {
		return 0, 0, fmt.Errorf("cannot read system call: %w", err)
	}
	if arg, err = strconv.ParseUint(f[1], 0, 64); err != nil {
		return 0, 0, fmt.Errorf("cannot read system call's argument: %w", err)
	}
	return nr, arg, nil
}

// statting says whether a thread is in stat(2) or one of its kind.
func (c *callers) statting(tid uint32) bool {
	nr, _, ok := c.syscallOf(tid)
	return ok && isStat(nr)
}

// nonblock says whether the file that a thread in ioctl(2) uses has O_NONBLOCK
// now: FUSE_OPEN carries the first flags only, F_SETFL is never reported.
// before is the answer where that can't be seen.
func (c *callers) nonblock(tid uint32, before bool) bool {
	nr, fd, ok := c.syscallOf(tid)
	if !ok || nr != unix.SYS_IOCTL {
		return before
	}
	s, err := c.read(fmt.Sprintf("%d/fdinfo/%d", tid, fd))
	if err != nil {
		return before
	}
	flags, err := parseFdinfo(s)
	if err != nil {
		return before
	}
	return flags&unix.O_NONBLOCK != 0
}

// parseFdinfo reads the open flags from /proc/PID/fdinfo/FD (proc_pid_fdinfo(5)).
func parseFdinfo(s string) (uint64, error) {
	for l := range strings.Lines(s) {
		if v, ok := strings.CutPrefix(l, "flags:"); ok {
			return strconv.ParseUint(strings.TrimSpace(v), 8, 64)
		}
	}
	return 0, os.ErrNotExist
}

// memory copies between b and the caller's memory at addr; the caller sleeps in
// a system call. It needs the right to trace it.
func memory(tid uint32, addr uint64, b []byte, write bool) bool {
	if len(b) == 0 {
		return true
	}
	local := []unix.Iovec{{Base: &b[0], Len: uint64(len(b))}}
	remote := []unix.RemoteIovec{{Base: uintptr(addr), Len: len(b)}}
	call := unix.ProcessVMReadv
	if write {
		call = unix.ProcessVMWritev
	}
	n, err := call(int(tid), local, remote, 0)
	return err == nil && n == len(b)
}
