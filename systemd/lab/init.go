package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"

	"kioskd/daemon/e2e/stage"
)

// Places inside.
const (
	inside    = "/lab"
	insideBin = inside + "/bin"
	insideRun = inside + "/run"
	insideDeb = inside + "/kioskd.deb"
	insideNew = inside + "/newer.deb"
)

// becomeInit builds the lab's root around itself, installs the package and becomes
// systemd. It returns only when that went wrong.
func becomeInit(said string) error {
	var o options
	if err := json.Unmarshal([]byte(said), &o); err != nil {
		return fmt.Errorf("cannot read what to do: %w", err)
	}
	runtime.LockOSThread() // namespaces are a thread's until execve(2)
	steps := []func(options) error{enterGroup, mountRoot, turnRoot, settle, install, writeUnits}
	for _, step := range steps {
		if err := step(o); err != nil {
			return err
		}
	}
	// In a container systemd leaves this to whoever made it (mount_namespaces(7)): the
	// credentials of a service reach it by propagation.
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_SHARED, ""); err != nil {
		return fmt.Errorf("cannot share the lab's mounts: %w", err)
	}
	env := []string{"container=kioskd-lab", "TERM=linux", "PATH=" + path}
	err := unix.Exec("/lib/systemd/systemd", []string{"systemd", "--system", "--unit=lab.target"}, env)
	return fmt.Errorf("cannot become systemd: %w", err)
}

const path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

// enterGroup moves this process into its control group and makes that the root of what
// it sees.
func enterGroup(options) error {
	err := os.WriteFile(filepath.Join(os.Getenv(groupEnv), "cgroup.procs"), []byte("0"), 0o600)
	if err == nil {
		err = unix.Unshare(unix.CLONE_NEWCGROUP)
	}
	if err != nil {
		return fmt.Errorf("cannot enter the control group: %w", err)
	}
	return nil
}

// mountRoot puts an overlay over the root, whose changes are in memory.
func mountRoot(o options) error {
	if err := unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, ""); err != nil {
		return fmt.Errorf("cannot make mounts private: %w", err)
	}
	space := filepath.Join(o.Dir, "space")
	if err := os.MkdirAll(space, 0o755); err != nil { //nolint:gosec // a root's parent
		return fmt.Errorf("cannot make a place for the root: %w", err)
	}
	if err := unix.Mount("lab", space, "tmpfs", 0, "mode=755"); err != nil {
		return fmt.Errorf("cannot mount the root's memory: %w", err)
	}
	upper, work, root := filepath.Join(space, "upper"), filepath.Join(space, "work"), filepath.Join(space, "root")
	for _, d := range []string{upper, work, root} {
		if err := os.Mkdir(d, 0o755); err != nil { //nolint:gosec // a root's folders
			return fmt.Errorf("cannot make a place for the root: %w", err)
		}
	}
	if err := unix.Mount("lab", root, "overlay", 0, "lowerdir="+o.Root+",upperdir="+upper+",workdir="+work); err != nil {
		return fmt.Errorf("cannot mount the root: %w", err)
	}
	for _, m := range []struct {
		what, at, kind string
		flags          uintptr
		data           string
	}{
		{"proc", "proc", "proc", 0, ""},
		{"sysfs", "sys", "sysfs", 0, ""},
		{"cgroup2", "sys/fs/cgroup", "cgroup2", 0, ""},
		{"/dev", "dev", "", unix.MS_BIND | unix.MS_REC, ""},
		{"tmpfs", "run", "tmpfs", 0, "mode=755"},
		{"tmpfs", "tmp", "tmpfs", 0, "mode=1777"},
		{o.Bin, inside[1:] + "/bin", "", unix.MS_BIND, ""},
		{filepath.Join(o.Dir, "run"), inside[1:] + "/run", "", unix.MS_BIND, ""},
		{o.Deb, insideDeb[1:], "", unix.MS_BIND, ""},
		{o.Upgrade, insideNew[1:], "", unix.MS_BIND, ""},
	} {
		if m.what == "" {
			continue
		}
		if err := place(m.what, filepath.Join(root, m.at), m.kind); err != nil {
			return err
		}
		if err := unix.Mount(m.what, filepath.Join(root, m.at), m.kind, m.flags, m.data); err != nil {
			return fmt.Errorf("cannot mount %s in the lab: %w", m.at, err)
		}
	}
	return os.Chdir(root)
}

// place makes what something is mounted on: a folder, or a file for a file.
func place(what, at, kind string) error {
	var err error
	if info, statErr := os.Stat(what); kind == "" && statErr == nil && !info.IsDir() {
		var f *os.File
		if f, err = os.OpenFile(at, os.O_CREATE|os.O_WRONLY, 0o600); err == nil {
			err = f.Close()
		}
	} else {
		err = os.MkdirAll(at, 0o755) //nolint:gosec // a system's folders
	}
	if err != nil {
		return fmt.Errorf("cannot make a place for %s: %w", at, err)
	}
	return nil
}

// turnRoot makes the working folder the root and lets the old one go.
func turnRoot(options) error {
	err := unix.PivotRoot(".", ".") // the old root is on top of the new one now (pivot_root(2))
	if err == nil {
		err = unix.Unmount(".", unix.MNT_DETACH)
	}
	if err == nil {
		err = os.Chdir("/")
	}
	if err != nil {
		return fmt.Errorf("cannot turn to the lab's root: %w", err)
	}
	return nil
}

// settle makes private device folders, for the fake camera.
func settle(options) error {
	if err := stage.Settle(true); err != nil {
		return err
	}
	// Stand-ins for what the sandbox has to refuse, for all to open but for it.
	for name, n := range map[string]struct{ kind, dev uint32 }{
		"kmsg": {unix.S_IFCHR, uint32(unix.Mkdev(1, 11))}, "mem": {unix.S_IFCHR, uint32(unix.Mkdev(1, 1))},
		"port": {unix.S_IFCHR, uint32(unix.Mkdev(1, 4))}, "loop-lab": {unix.S_IFBLK, uint32(unix.Mkdev(7, 0))},
	} {
		at := "/dev/" + name
		if err := unix.Mknod(at, n.kind|0o666, int(n.dev)); err != nil && !errors.Is(err, unix.EEXIST) {
			return fmt.Errorf("cannot make %s: %w", at, err)
		}
		if err := os.Chmod(at, 0o666); err != nil { //nolint:gosec // that is the point
			return fmt.Errorf("cannot open %s to all: %w", at, err)
		}
	}
	return nil
}

// install puts the package in where apt has not. Nothing is started: there is no
// systemd yet.
func install(o options) error {
	if o.Root != "/" {
		return nil
	}
	// The libraries are this machine's own; what else the package wants may be missing.
	return command("dpkg", "--install", "--no-triggers", "--force-depends", "--force-confnew", insideDeb)
}

func command(name string, args ...string) error {
	cmd := exec.Command(name, args...) //nolint:gosec,noctx // our own; it runs before anything could wait for it
	cmd.Env = []string{"PATH=" + path, "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C.UTF-8"}
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("cannot run %s: %w\n%s", name, err, out)
	}
	return nil
}

// writeUnits writes the lab's own units, and masks what would touch the kernel that it
// shares, or only take time.
func writeUnits(options) error {
	const system = "/etc/systemd/system/"
	for _, u := range []string{
		"systemd-udevd.service", "systemd-udevd-control.socket", "systemd-udevd-kernel.socket", "systemd-udev-trigger.service",
		"systemd-sysctl.service", "systemd-modules-load.service", "systemd-random-seed.service", "systemd-timesyncd.service",
		"systemd-hwdb-update.service", "systemd-remount-fs.service", "systemd-binfmt.service", "systemd-pstore.service",
		"systemd-networkd.service", "systemd-resolved.service", "systemd-firstboot.service", "systemd-machine-id-commit.service",
		"systemd-journal-flush.service", "systemd-update-utmp.service", "systemd-boot-system-token.service", "ldconfig.service",
		"dev-hugepages.mount", "dev-mqueue.mount", "sys-kernel-debug.mount", "sys-kernel-tracing.mount", "sys-fs-fuse-connections.mount",
		"sys-kernel-config.mount", "proc-sys-fs-binfmt_misc.automount", "systemd-ask-password-wall.path", "getty.target", "apparmor.service",
	} {
		_ = os.Remove(system + u) // a link of the machine's
		if err := os.Symlink("/dev/null", system+u); err != nil {
			return fmt.Errorf("cannot mask %s: %w", u, err)
		}
	}
	// A container's image may forbid packages to start anything: here they shall.
	if err := os.Remove("/usr/sbin/policy-rc.d"); err != nil && !errors.Is(err, os.ErrNotExist) {
		return fmt.Errorf("cannot let packages start their services: %w", err)
	}
	for name, text := range files() {
		err := os.MkdirAll(filepath.Dir(name), 0o755) //nolint:gosec // a system's folders
		if err == nil {
			err = os.WriteFile(name, []byte(text), 0o644) //nolint:gosec // a system's files
		}
		if err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
	}
	return nil
}

// clinicAddress is the backend's, and where clinicsim listens.
const clinicAddress = "127.0.0.1:8480"

// config is kioskd's, with pictures of a size: small ones leave the cores time for the rest.
func config(width, height int) string {
	return fmt.Sprintf(`[backend]
url = "http://`+clinicAddress+`"
[camera]
width = %d
height = %d
fps = 30
[microphone]
enabled = false
[video]
codec = "vp8"
bitrate_kbps = 700
cpu_budget_percent = 0
[network]
loopback_counts = true
[room]
loopback = true
`, width, height)
}

// smallWidth and smallHeight are the usual picture's.
const smallWidth, smallHeight = 640, 480

func files() map[string]string {
	const system = "/etc/systemd/system/"
	unit := func(lines ...string) string { return strings.Join(lines, "\n") + "\n" }
	return map[string]string{
		system + "lab.target": unit("[Unit]", "Description=The lab", "Requires=basic.target", "Wants=fakecam.service clinicsim.service kiosk0.service kioskd.socket driver.service"),
		system + "fakecam.service": unit("[Unit]", "Description=A camera", "[Service]",
			"ExecStart="+insideBin+"/fakecam -mount /dev/fakecam -dev /dev -ctl /dev/fakecam.sock -name LabCamera", "Restart=always", "RestartSec=100ms"),
		system + "clinicsim.service": unit("[Unit]", "Description=The clinic", "[Service]",
			"ExecStart="+insideBin+"/clinicsim -listen "+clinicAddress+" -token /run/clinicsim/token -launch /run/clinicsim/launch.json", "RuntimeDirectory=clinicsim"),
		system + "driver.service": unit("[Unit]", "Description=The lab's driver", "After=basic.target", "[Service]",
			"ExecStart="+insideBin+"/lab "+stageDrive, "StandardOutput=file:"+insideRun+"/out", "StandardError=file:"+insideRun+"/driver.log",
			"Environment=PATH="+path, "KillMode=process", "SendSIGKILL=no"),
		"/etc/systemd/journald.conf.d/lab.conf": unit("[Journal]", "Storage=volatile", "RateLimitIntervalSec=0", "ForwardToConsole=no"),
		"/etc/kioskd/kioskd.toml":               config(smallWidth, smallHeight),
	}
}
