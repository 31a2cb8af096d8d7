package main

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// action is one thing that is tried.
type action struct {
	name string
	try  func() error
}

// refusals are the kernel's words for no: no right, not to be written, hidden, not of
// this kind.
func refusals() []error {
	return []error{unix.EPERM, unix.EACCES, unix.EROFS, unix.ENOENT, unix.EAFNOSUPPORT}
}

func actions() []action {
	return append(append(devices(), files()...), append(calls(), kernel()...)...)
}

// open opens and closes.
func open(path string, flags int) func() error {
	return func() error {
		fd, err := unix.Open(path, flags|unix.O_CLOEXEC|unix.O_NONBLOCK, 0o600)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
}

// devices are nodes that anybody else could open here (0666).
func devices() []action {
	return []action{
		{"open /dev/kmsg", open("/dev/kmsg", unix.O_RDONLY)},
		{"open /dev/mem", open("/dev/mem", unix.O_RDONLY)},
		{"open /dev/port", open("/dev/port", unix.O_RDONLY)},
		{"open a disk", open("/dev/loop-lab", unix.O_RDONLY)},
		{"open /dev/fuse", open("/dev/fuse", unix.O_RDWR)},
	}
}

func files() []action {
	return []action{
		{"read in /home", open("/home/lab-secret", unix.O_RDONLY)},
		{"read in /root", open("/root/lab-secret", unix.O_RDONLY)},
		{"write in /etc", open("/etc/lab-open", unix.O_WRONLY)},
		{"write in /usr", open("/usr/lab-open", unix.O_WRONLY)},
		{"write in /var/lib", open("/var/lib/lab-open", unix.O_WRONLY)},
		{"write in /opt", open("/opt/lab-open", unix.O_WRONLY)},
		{"read /proc/1/environ", open("/proc/1/environ", unix.O_RDONLY)},
		{"read /proc/1/cmdline", open("/proc/1/cmdline", unix.O_RDONLY)},
		{"read /proc/meminfo", open("/proc/meminfo", unix.O_RDONLY)},
		{"write a kernel setting", open("/proc/sys/kernel/panic", unix.O_WRONLY)},
		{"write in /sys", open("/sys/kernel/mm/transparent_hugepage/enabled", unix.O_WRONLY)},
		{"write a control group", open("/sys/fs/cgroup/cgroup.procs", unix.O_WRONLY)},
		{"make a device", func() error { return unix.Mknod("/tmp/node", unix.S_IFCHR|0o600, int(unix.Mkdev(1, 3))) }},
		{"make a set-user-id file", func() error {
			if err := os.WriteFile("/tmp/suid", nil, 0o600); err != nil { //nolint:gosec // the service's own /tmp
				return err
			}
			return unix.Chmod("/tmp/suid", 0o4755)
		}},
	}
}

func socket(domain, kind, protocol int) func() error {
	return func() error {
		fd, err := unix.Socket(domain, kind, protocol)
		if err == nil {
			err = unix.Close(fd)
		}
		return err
	}
}

func number(trap uintptr, args ...uintptr) func() error {
	return func() error {
		var a [6]uintptr
		copy(a[:], args)
		_, _, errno := unix.Syscall6(trap, a[0], a[1], a[2], a[3], a[4], a[5])
		if errno != 0 {
			return errno
		}
		return nil
	}
}

// calls are what a program that was taken over would do next.
func calls() []action {
	return []action{
		{"trace another process", func() error { return unix.PtraceAttach(os.Getppid()) }},
		{"read another process's memory", func() error {
			here := make([]byte, 1)
			local := []unix.Iovec{{Base: &here[0], Len: 1}}
			_, err := unix.ProcessVMReadv(os.Getppid(), local, []unix.RemoteIovec{{Base: 1 << 16, Len: 1}}, 0)
			return err
		}},
		{"end another user's process", func() error { return unix.Kill(1, 0) }},
		{"become root", func() error { return syscall.Setuid(0) }},
		{"take root's group", func() error { return syscall.Setgid(0) }},
		{"drop the groups", func() error { return syscall.Setgroups(nil) }},
		{"a packet socket", socket(unix.AF_PACKET, unix.SOCK_RAW, 0)},
		{"a raw socket", socket(unix.AF_INET, unix.SOCK_RAW, unix.IPPROTO_ICMP)},
		{"a Bluetooth socket", socket(unix.AF_BLUETOOTH, unix.SOCK_STREAM, 0)},
		{"a VM socket", socket(unix.AF_VSOCK, unix.SOCK_STREAM, 0)},
		{"a crypto socket", socket(unix.AF_ALG, unix.SOCK_SEQPACKET, 0)},
		{"memory to write and run", func() error {
			_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE|unix.PROT_EXEC, unix.MAP_PRIVATE|unix.MAP_ANON)
			return err
		}},
		{"run written memory", func() error {
			m, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_ANON)
			if err == nil {
				err = unix.Mprotect(m, unix.PROT_READ|unix.PROT_EXEC)
			}
			return err
		}},
		{"real-time scheduling", func() error {
			param := struct{ priority int32 }{1}
			return number(unix.SYS_SCHED_SETSCHEDULER, 0, 1, uintptr(unsafe.Pointer(&param)))() // SCHED_FIFO
		}},
		{"another personality", number(unix.SYS_PERSONALITY, 0x0040000)}, // ADDR_NO_RANDOMIZE
		{"a user namespace", func() error { return unix.Unshare(unix.CLONE_NEWUSER) }},
	}
}

// kernel are what changes the machine. The arguments are wrong on purpose.
func kernel() []action {
	return []action{
		{"a mount namespace", func() error { return unix.Unshare(unix.CLONE_NEWNS) }},
		{"mount", func() error { return unix.Mount("none", "/tmp", "no-such-kind", 0, "") }},
		{"unmount", func() error { return unix.Unmount("/tmp", 0) }},
		{"change the root", func() error { return unix.Chroot("/tmp") }},
		{"set the host's name", func() error { return number(unix.SYS_SETHOSTNAME, 0, ^uintptr(0))() }},
		{"set the clock", func() error { return unix.Settimeofday(&unix.Timeval{Sec: -1, Usec: -1}) }},
		{"load a module", number(unix.SYS_FINIT_MODULE, ^uintptr(0))},
		{"remove a module", number(unix.SYS_DELETE_MODULE)},
		{"load a kernel", number(unix.SYS_KEXEC_LOAD, 0, 1<<20)},
		{"reboot", number(unix.SYS_REBOOT, 1, 2, 3)},
		{"swap to a file", number(unix.SYS_SWAPON, 0)},
		{"a BPF program", number(unix.SYS_BPF, 5, 0, 1<<20)},
		{"performance counters", number(unix.SYS_PERF_EVENT_OPEN)},
		{"I/O ports", number(unix.SYS_IOPL, 3)},
		{"the kernel's log", number(unix.SYS_SYSLOG, 3)},
		{"raise the priority", number(unix.SYS_SETPRIORITY, 0, 0, ^uintptr(9))},
	}
}
