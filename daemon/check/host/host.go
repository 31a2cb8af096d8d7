// Package host looks at the machine around kioskd for kioskctl doctor: units, groups,
// device nodes and who holds them, USB, sound cards, the clock, versions. The daemon
// cannot see these from its sandbox. A check is a file: a probing part that reads, and
// a pure part that judges.
//
// Who may import it: kioskctl. Imports: standard library, x/sys, apitype and check. Its
// sentences are English, as all of kioskctl's.
package host

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"kioskd/daemon/api/apitype"
)

// commandWithin bounds a program that is asked.
const commandWithin = 5 * time.Second

// Host is the machine as the checks see it.
type Host struct {
	// Root is the folder with proc, sys, dev and etc in it: "/", or a test's own.
	Root string
	// Run runs a program and gives what it prints.
	Run func(ctx context.Context, name string, args ...string) (string, error)
	// UID is who asks; who is not root cannot look into other users' processes.
	UID int
	// User is the login name of who asks, the one behind sudo where there is one.
	User string
}

// New is this machine.
func New(getenv func(string) string) *Host {
	h := &Host{Root: "/", Run: run, UID: os.Geteuid(), User: getenv("SUDO_USER")}
	if h.User == "" {
		h.User = getenv("USER")
	}
	return h
}

func run(ctx context.Context, name string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, commandWithin)
	defer cancel()
	out, err := exec.CommandContext(ctx, name, args...).Output() //nolint:gosec // names and words of ours
	return string(out), err
}

// Facts are what the daemon said, where it answered.
type Facts struct {
	Version string // the daemon's; "" where it did not answer
	Own     string // this program's
	Devices []apitype.Device
	// CameraBusy says that the loopback call found its camera busy.
	CameraBusy bool
	// Cameras is the folder with the cameras' nodes.
	Cameras string
}

// Checks runs all of them.
func (h *Host) Checks(ctx context.Context, f Facts) []apitype.Check {
	out := []apitype.Check{versions(f)}
	out = append(out, h.Units(ctx)...)
	out = append(out, h.groups(), h.nodes(f.Cameras))
	out = append(out, h.holders(f.Devices, f.CameraBusy)...)
	return append(out, h.usb(), h.alsa(), h.synchronised())
}

func (h *Host) path(elements ...string) string {
	return filepath.Join(append([]string{h.Root}, elements...)...)
}

// read gives a small file's text without the space around it.
func (h *Host) read(elements ...string) (string, error) {
	b, err := os.ReadFile(h.path(elements...))
	return strings.TrimSpace(string(b)), err
}

func pass(code, message string) apitype.Check {
	return apitype.Check{Code: code, Result: apitype.CheckPass, Message: message}
}

func skip(code, fault, message string) apitype.Check {
	return apitype.Check{Code: code, Result: apitype.CheckSkip, Fault: fault, Message: message}
}

func warn(code, fault, message, hint, command string) apitype.Check {
	return apitype.Check{Code: code, Result: apitype.CheckWarn, Fault: fault, Message: message, Hint: hint, Command: command}
}

func fail(code, fault, message, hint, command string) apitype.Check {
	c := warn(code, fault, message, hint, command)
	c.Result = apitype.CheckFail
	return c
}
