package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// endMark is the driver's last line, before its exit code.
const endMark = "lab-ends "

// outside prepares the run's folder, starts process 1 in new namespaces and passes on
// what the driver says, until it has ended or ctx does.
func outside(ctx context.Context, o options, stdout io.Writer) (code int, err error) {
	if err := o.absolute(); err != nil {
		return 1, err
	}
	share := filepath.Join(o.Dir, "run")
	if err := errors.Join(os.RemoveAll(share), os.MkdirAll(share, 0o755)); err != nil { //nolint:gosec // read by the lab's users
		return 1, fmt.Errorf("cannot make the run's folder: %w", err)
	}
	if o.Root == fresh {
		if o.Root, err = freshRoot(ctx, o, stdout); err != nil {
			return 1, err
		}
	}
	said, err := json.Marshal(o)
	if err == nil {
		err = os.WriteFile(filepath.Join(share, "options.json"), said, 0o600)
	}
	if err != nil {
		return 1, fmt.Errorf("cannot pass on what to do: %w", err)
	}
	fifo := filepath.Join(share, "out")
	if err := unix.Mkfifo(fifo, 0o600); err != nil {
		return 1, fmt.Errorf("cannot make the way out: %w", err)
	}
	// For reading and writing: so it never says that it ended.
	out, err := os.OpenFile(fifo, os.O_RDWR|unix.O_NONBLOCK, 0)
	if err != nil {
		return 1, fmt.Errorf("cannot open the way out: %w", err)
	}
	defer out.Close() //nolint:errcheck // nothing of ours is in it
	group, err := newGroup()
	if err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, group.remove()) }()
	init, err := startInit(o, group)
	if err != nil {
		return 1, err
	}
	defer init.end()
	go func() { // whoever waits for a line learns of the end
		select {
		case <-ctx.Done():
		case <-init.done:
		}
		_ = out.Close()
	}()
	code, err = follow(out, stdout)
	switch {
	case ctx.Err() != nil:
		err = fmt.Errorf("cannot wait any longer for the lab: %w", ctx.Err())
	case err != nil:
		err = fmt.Errorf("the lab's systemd ended before its driver: %w", err)
	}
	return code, err
}

func (o *options) absolute() error {
	for _, p := range []*string{&o.Dir, &o.Bin, &o.Deb, &o.Upgrade} {
		if *p == "" {
			continue
		}
		abs, err := filepath.Abs(*p)
		if err != nil {
			return fmt.Errorf("cannot find %s: %w", *p, err)
		}
		*p = abs
	}
	if _, err := os.Stat(o.Deb); err != nil {
		return fmt.Errorf("cannot find the package: %w; make it with make deb", err)
	}
	return nil
}

// follow copies lines until the driver's last.
func follow(from io.Reader, to io.Writer) (int, error) {
	lines := bufio.NewScanner(from)
	for lines.Scan() {
		if code, ok := strings.CutPrefix(lines.Text(), endMark); ok {
			return strconv.Atoi(code)
		}
		_, _ = fmt.Fprintln(to, lines.Text())
	}
	return 1, errors.Join(lines.Err(), io.ErrUnexpectedEOF)
}

// initProcess is the lab's process 1; its end is the end of all in the lab.
type initProcess struct {
	cmd  *exec.Cmd
	done chan struct{}
}

func startInit(o options, g group) (*initProcess, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot find this program's own file: %w", err)
	}
	said, err := json.Marshal(o)
	if err != nil {
		return nil, err
	}
	cmd := exec.CommandContext(context.Background(), self, stageInit, string(said)) //nolint:gosec // ourselves
	cmd.Env = append(os.Environ(), groupEnv+"="+string(g))
	log, err := os.Create(filepath.Join(o.Dir, "run", "init.log"))
	if err != nil {
		return nil, fmt.Errorf("cannot keep what the lab's process 1 says: %w", err)
	}
	defer log.Close() //nolint:errcheck // the process has its own
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{
		Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID | unix.CLONE_NEWUTS | unix.CLONE_NEWIPC | unix.CLONE_NEWNET,
		Pdeathsig:  syscall.SIGKILL, Setsid: true,
	}
	p := &initProcess{cmd: cmd, done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig follows the thread that forked, so it must live as long as the lab.
		runtime.LockOSThread()
		defer close(p.done)
		err := cmd.Start()
		started <- err
		if err == nil {
			_ = cmd.Wait() // ended by us
		}
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("cannot make the lab's namespaces (run as root): %w", err)
	}
	return p, nil
}

// end ends process 1 by its id: SIGTERM would only have it exec itself anew.
func (p *initProcess) end() {
	_ = p.cmd.Process.Kill() // it may have ended
	<-p.done
}

// group is a control group that all of the lab is below.
type group string

const groupEnv = "KIOSKD_LAB_GROUP"

// newGroup makes one beside ours in the unified hierarchy (cgroups(7)).
func newGroup() (group, error) {
	root, err := unified()
	if err != nil {
		return "", err
	}
	g := filepath.Join(root, fmt.Sprintf("kioskd-lab-%d", os.Getpid()))
	if err := os.Mkdir(g, 0o755); err != nil { //nolint:gosec // as all of them
		return "", fmt.Errorf("cannot make a control group (run as root): %w", err)
	}
	return group(g), nil
}

// unified finds where cgroup2 is mounted.
func unified() (string, error) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return "", fmt.Errorf("cannot find the control groups: %w", err)
	}
	for line := range strings.Lines(string(mounts)) {
		before, after, _ := strings.Cut(line, " - ")
		if f := strings.Fields(before); len(f) > 4 && strings.HasPrefix(after, "cgroup2 ") {
			return f[4], nil
		}
	}
	return "", errors.New("cannot find the control groups: cgroup2 is not mounted; mount -t cgroup2 none /sys/fs/cgroup")
}

// remove removes it and what systemd made below. Everything in it has ended.
func (g group) remove() error {
	var folders []string
	err := filepath.WalkDir(string(g), func(path string, d os.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			folders = append(folders, path)
		}
		return err
	})
	for i := len(folders) - 1; i >= 0; i-- {
		err = errors.Join(err, unix.Rmdir(folders[i]))
	}
	if err != nil {
		return fmt.Errorf("cannot remove the lab's control group: %w", err)
	}
	return nil
}
