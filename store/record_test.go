package store

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// event is one change of files that a process has asked the kernel for. A file is
// known by a number, as an inode, and a directory by its path.
type event struct {
	op   string // write, size, sync, create, mkdir, rename, remove, syncdir, ack
	file int
	off  int64 // of a write; the size
	data []byte
	path string // of a name; of the directory that is synced
	to   string // the new name
}

// recorder turns the calls of a traced process into events below root.
type recorder struct {
	t      *testing.T
	pid    int
	root   string
	mem    *os.File
	names  map[string]int
	files  int
	events []event
}

func newRecorder(t *testing.T, pid int, root string) *recorder {
	t.Helper()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = mem.Close() })
	return &recorder{t: t, pid: pid, root: root, mem: mem, names: map[string]int{}}
}

// record takes a call that is about to be made, and is sure to succeed.
func (r *recorder) record(c call) {
	switch c.number {
	case syscall.SYS_WRITE, syscall.SYS_PWRITE64:
		r.write(c)
	case syscall.SYS_FSYNC, syscall.SYS_FDATASYNC:
		path, ok := r.open(c.args[0])
		if !ok {
			return
		}
		if file, known := r.names[path]; known {
			r.add(event{op: "sync", file: file, path: path})
		} else {
			r.add(event{op: "syncdir", path: path})
		}
	case syscall.SYS_FTRUNCATE:
		if path, ok := r.open(c.args[0]); ok {
			r.add(event{op: "size", file: r.names[path], off: int64(c.args[1]), path: path})
		}
	case syscall.SYS_OPENAT:
		path := r.text(c.args[1])
		if c.args[2]&syscall.O_CREAT == 0 || !r.below(path) {
			return
		}
		if _, err := os.Lstat(path); errors.Is(err, os.ErrNotExist) {
			r.files++
			r.names[path] = r.files
			r.add(event{op: "create", file: r.files, path: path})
		}
	case syscall.SYS_MKDIRAT:
		path := r.text(c.args[1])
		if _, err := os.Lstat(path); r.below(path) && errors.Is(err, os.ErrNotExist) {
			r.add(event{op: "mkdir", path: path})
		}
	case syscall.SYS_RENAMEAT:
		from, to := r.text(c.args[1]), r.text(c.args[3])
		if r.below(from) {
			r.names[to] = r.names[from]
			delete(r.names, from)
			r.add(event{op: "rename", file: r.names[to], path: from, to: to})
		}
	case syscall.SYS_UNLINKAT:
		path := r.text(c.args[1])
		if _, known := r.names[path]; known {
			delete(r.names, path)
			r.add(event{op: "remove", path: path})
		}
	}
}

func (r *recorder) write(c call) {
	if c.number == syscall.SYS_WRITE && c.args[0] == 1 {
		r.add(event{op: "ack"})
		return
	}
	path, ok := r.open(c.args[0])
	if !ok {
		return
	}
	e := event{op: "write", file: r.names[path], off: int64(c.args[3]), data: make([]byte, c.args[2]), path: path}
	if c.number == syscall.SYS_WRITE {
		e.off = r.position(c.args[0])
	}
	if _, err := r.mem.ReadAt(e.data, int64(c.args[1])); err != nil {
		r.t.Errorf("cannot read what is written: %v", err)
	}
	r.add(e)
}

func (r *recorder) add(e event) { r.events = append(r.events, e) }

func (r *recorder) below(path string) bool { return strings.HasPrefix(path, r.root+"/") }

// open gives the path that a descriptor has open, if it is below the root, or is it.
func (r *recorder) open(fd uint64) (string, bool) {
	path, err := os.Readlink(fmt.Sprintf("/proc/%d/fd/%d", r.pid, fd))
	return path, err == nil && (r.below(path) || path == r.root)
}

// position is a descriptor's offset (proc_pid_fdinfo(5)).
func (r *recorder) position(fd uint64) (at int64) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/fdinfo/%d", r.pid, fd))
	if err == nil {
		_, err = fmt.Sscanf(string(text), "pos: %d", &at)
	}
	if err != nil {
		r.t.Errorf("cannot tell where it writes: %v", err)
	}
	return at
}

// text reads a string that ends with a zero.
func (r *recorder) text(at uint64) string {
	b := make([]byte, unix.PathMax)
	n, err := r.mem.ReadAt(b, int64(at))
	end := bytes.IndexByte(b[:n], 0)
	if end < 0 {
		r.t.Errorf("cannot read a path: %v", err)
		return ""
	}
	return filepath.Clean(string(b[:end]))
}

// call is a system call and its arguments.
type call struct {
	number uint64
	args   [6]uint64
}

// entered tells which call a thread is about to make (PTRACE_GET_SYSCALL_INFO, Linux
// 5.3, ptrace(2)).
func entered(tid int) (c call, ok bool) {
	const getInfo, entry = 0x420e, 1
	var info [88]byte
	_, _, errno := syscall.Syscall6(syscall.SYS_PTRACE, getInfo, uintptr(tid), uintptr(len(info)), uintptr(unsafe.Pointer(&info)), 0, 0)
	if errno != 0 || info[0] != entry {
		return call{}, false
	}
	r := bytes.NewReader(info[24:])
	if err := errors.Join(binary.Read(r, binary.NativeEndian, &c.number), binary.Read(r, binary.NativeEndian, &c.args)); err != nil {
		return call{}, false
	}
	return c, true
}

// recordScript runs a script in a directory of its own two levels below a new root,
// and gives all that it did to files there.
func recordScript(t *testing.T, spec string) (root string, events []event) {
	t.Helper()
	root = t.TempDir()
	var r *recorder
	told := traceScript(t, filepath.Join(root, "a", "state"), spec, func(pid int, c call) syscall.Errno {
		if r == nil {
			r = newRecorder(t, pid, root)
		}
		r.record(c)
		return 0
	})
	if r == nil || told != strings.Repeat(".", len(steps(spec))) {
		t.Fatalf("the writer told %q", told)
	}
	return root, r.events
}
