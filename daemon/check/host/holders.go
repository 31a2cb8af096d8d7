package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"kioskd/daemon/api/apitype"
)

// maxHolders bounds what is named of the programs that hold one device.
const maxHolders = 4

// holder is a process that has a device open.
type holder struct{ pid, name, unit string }

// holders names the programs that hold the devices that the daemon called busy. A
// camera may be looked at while another program streams from it, so that the list of
// devices does not call it busy: cameraBusy says that the loopback call found so.
func (h *Host) holders(devices []apitype.Device, cameraBusy bool) []apitype.Check {
	var out []apitype.Check
	for _, d := range devices {
		hidden := cameraBusy && d.Kind == apitype.KindCamera && d.State == apitype.DeviceOK
		if d.State != apitype.DeviceBusy && !hidden {
			continue
		}
		path := d.Path
		if d.Kind != apitype.KindCamera {
			path = h.path("dev", "snd") + "/" // of a sound card: any of its nodes
		}
		found := h.holding(path)
		if hidden && len(found) == 0 && h.UID == 0 {
			continue // it is another one
		}
		out = append(out, judgeHolders(d, found, h.UID))
	}
	return out
}

// judgeHolders names them and the command that ends them.
func judgeHolders(d apitype.Device, found []holder, uid int) apitype.Check {
	const code = "holder"
	switch {
	case len(found) > 0:
		first := found[0]
		command := "kill " + first.pid
		if first.unit != "" && first.unit != service {
			command = "systemctl stop " + quote(first.unit)
		}
		return fail(code, d.Kind+"_held", fmt.Sprintf("%s (%s) is held by %s.", d.Name, d.Path, holderWords(found)),
			"End that program; it may come back by itself, so find out who starts it.", command)
	case uid != 0:
		return warn(code, "holder_hidden", fmt.Sprintf("%s (%s) is held by a program that only root can see.", d.Name, d.Path), "", "sudo kioskctl doctor")
	}
	return warn(code, "holder_gone", fmt.Sprintf("%s (%s) was busy, and nobody holds it now.", d.Name, d.Path), "Ask again.", "kioskctl doctor")
}

func holderWords(found []holder) string {
	var words []string
	for _, f := range found {
		words = append(words, fmt.Sprintf("%s (pid %s)", f.name, f.pid))
	}
	return strings.Join(words, ", ")
}

// holding lists the processes with an open file at the path, or below it where it ends
// in a slash. Those of other users are only seen by root (proc(5), /proc/pid/fd).
func (h *Host) holding(path string) []holder {
	var out []holder
	if real, err := filepath.EvalSymlinks(path); err == nil && !strings.HasSuffix(path, "/") {
		path = real // links of udev's, as in /dev/v4l/by-id
	}
	h.processes(func(pid string) bool {
		fds, err := os.ReadDir(h.path("proc", pid, "fd"))
		if err != nil {
			return true // another user's, or gone
		}
		for _, fd := range fds {
			if !holds(h.path("proc", pid, "fd", fd.Name()), path) {
				continue
			}
			name, _ := h.read("proc", pid, "comm") // gone just now: it has no name
			if name == daemonUser {
				continue // kioskd looks at it itself
			}
			out = append(out, holder{pid: pid, name: printable(name), unit: h.unitOf(pid)})
			break
		}
		return len(out) < maxHolders
	})
	return out
}

// holds tells whether an entry of /proc/pid/fd is the file at the path, or one below it.
// In another mount namespace, such as a container's, it has another name there.
func holds(fd, path string) bool {
	target, err := os.Readlink(fd)
	target = strings.TrimSuffix(target, " (deleted)") // a node that was made anew meanwhile
	switch {
	case err != nil:
		return false
	case target == path, strings.HasSuffix(path, "/") && strings.HasPrefix(target, path):
		return true
	case filepath.Base(target) != filepath.Base(path):
		return false
	}
	a, errA := os.Stat(fd)
	b, errB := os.Stat(path)
	return errA == nil && errB == nil && os.SameFile(a, b)
}

// unitOf is the system's service that a process belongs to; "" where it is none, such as
// a program in a login (cgroups(7)).
func (h *Host) unitOf(pid string) string {
	text, err := h.read("proc", pid, "cgroup")
	if err != nil {
		return ""
	}
	for line := range strings.Lines(text) {
		_, path, found := strings.Cut(strings.TrimSpace(line), "::")
		if name := filepath.Base(path); found && strings.HasPrefix(path, "/system.slice/") && strings.HasSuffix(name, ".service") {
			return name
		}
	}
	return ""
}

// processes calls fn with each process's number until it says false.
func (h *Host) processes(fn func(pid string) bool) {
	entries, err := os.ReadDir(h.path("proc"))
	if err != nil {
		return // no /proc: nothing is known
	}
	for _, e := range entries {
		if _, err := strconv.ParseUint(e.Name(), 10, 32); err == nil && !fn(e.Name()) {
			return
		}
	}
}
