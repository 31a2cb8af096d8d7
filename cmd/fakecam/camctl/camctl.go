// Package camctl starts a fakecam process and drives it over its control
// socket. Tests and tools import it; it owns the process that Start made. The
// caller is in a mount namespace with private devices (package camns).
package camctl

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"kioskd/cmd/fakecam/camns"
)

const (
	callWait  = 5 * time.Second  // an answer takes less than 1 ms
	readyWait = 10 * time.Second // ready takes 10 ms on an idle machine
	stopWait  = 5 * time.Second
)

// Client drives the fakecam whose control socket is at this path. Cameras are
// called by their number, the N of /dev/videoN.
type Client string

// Do sends one command line and returns what follows "ok"; an "error ..."
// answer is returned as an error.
func (c Client) Do(line string) (string, error) {
	dialer := net.Dialer{Timeout: callWait}
	conn, err := dialer.DialContext(context.Background(), "unix", string(c))
	if err != nil {
		return "", fmt.Errorf("cannot reach fakecam: %w", err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(callWait)); err != nil {
		return "", fmt.Errorf("cannot reach fakecam: %w", err)
	}
	if _, err := fmt.Fprintln(conn, line); err != nil {
		return "", fmt.Errorf("cannot send %q to fakecam: %w", line, err)
	}
	answer, err := bufio.NewReader(io.LimitReader(conn, 4096)).ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("cannot read fakecam's answer to %q: %w", line, err)
	}
	answer = strings.TrimSpace(answer)
	if rest, ok := strings.CutPrefix(answer, "ok"); ok {
		return strings.TrimSpace(rest), nil
	}
	return "", fmt.Errorf("cannot do %q: fakecam says: %s", line, answer)
}

// Unplug takes camera n away.
func (c Client) Unplug(n int) error { _, err := c.Do(fmt.Sprintf("unplug %d", n)); return err }

// Plug brings camera n back.
func (c Client) Plug(n int) error { _, err := c.Do(fmt.Sprintf("plug %d", n)); return err }

// Stall lets camera n send no frames for d, in whole milliseconds.
func (c Client) Stall(n int, d time.Duration) error {
	_, err := c.Do(fmt.Sprintf("stall %d %d", n, d.Milliseconds()))
	return err
}

// Everybody is the uid that Deny and Allow take for all users, root too.
const Everybody = -1

// Deny lets user uid's open(2) of camera n answer EACCES. Files that are open
// stay open.
func (c Client) Deny(n, uid int) error { return c.rights("deny", n, uid) }

// Allow takes Deny back.
func (c Client) Allow(n, uid int) error { return c.rights("allow", n, uid) }

func (c Client) rights(verb string, n, uid int) error {
	user := "all"
	if uid != Everybody {
		user = strconv.Itoa(uid)
	}
	_, err := c.Do(fmt.Sprintf("%s %d %s", verb, n, user))
	return err
}

// Shutter closes or opens the privacy shutter of camera n.
func (c Client) Shutter(n int, closed bool) error {
	word := "off"
	if closed {
		word = "on"
	}
	_, err := c.Do(fmt.Sprintf("shutter %d %s", n, word))
	return err
}

// Openers says how many open files camera n has and whether it streams.
func (c Client) Openers(n int) (files int, streaming bool, err error) {
	s, err := c.Do(fmt.Sprintf("openers %d", n))
	if err != nil {
		return 0, false, err
	}
	var on int
	if _, err := fmt.Sscanf(s, "openers %d streaming %d", &files, &on); err != nil {
		return 0, false, fmt.Errorf("cannot read openers from %q: %w", s, err)
	}
	return files, on == 1, nil
}

// Hang lets open(2) and ioctl(2) of camera n answer only after d, in whole
// milliseconds; 0 ends a hang.
func (c Client) Hang(n int, d time.Duration) error {
	_, err := c.Do(fmt.Sprintf("hang %d %d", n, d.Milliseconds()))
	return err
}

// Move unplugs camera n and plugs it back as /dev/videoTO.
func (c Client) Move(n, to int) error { _, err := c.Do(fmt.Sprintf("move %d %d", n, to)); return err }

// Fault begins or ends a fault of camera n: garbage, short, oversize, wrongsize,
// uneven or revoke (see cmd/fakecam).
func (c Client) Fault(n int, name string, on bool) error {
	word := "off"
	if on {
		word = "on"
	}
	_, err := c.Do(fmt.Sprintf("%s %d %s", name, n, word))
	return err
}

// Control reads a control of camera n by its name in v4l2-ctl's spelling;
// inactive says that another control decides it.
func (c Client) Control(n int, name string) (value int, inactive bool, err error) {
	s, err := c.Do(fmt.Sprintf("control %d %s", n, name))
	if err != nil {
		return 0, false, err
	}
	var off int
	if _, err := fmt.Sscanf(s, "value %d inactive %d", &value, &off); err != nil {
		return 0, false, fmt.Errorf("cannot read a control from %q: %w", s, err)
	}
	return value, off == 1, nil
}

// Stats are figures since fakecam's start: frames delivered, frames made without
// a queued buffer, frames not made because the machine was slow.
type Stats struct {
	Frames, Drops, Late uint64
	// Faults counts by name what faults have done: frames that were garbage, short,
	// oversize, wrongsize or uneven, files and opens that were revoked, requests
	// that hung, and how often the camera moved.
	Faults map[string]uint64
}

// Stats gives the figures of camera n.
func (c Client) Stats(n int) (Stats, error) {
	s, err := c.Do(fmt.Sprintf("stats %d", n))
	if err != nil {
		return Stats{}, err
	}
	var st Stats
	if _, err := fmt.Sscanf(s, "frames %d drops %d late %d", &st.Frames, &st.Drops, &st.Late); err != nil {
		return Stats{}, fmt.Errorf("cannot read stats from %q: %w", s, err)
	}
	st.Faults = map[string]uint64{}
	f := strings.Fields(s)
	for i := 6; i+1 < len(f); i += 2 {
		if st.Faults[f[i]], err = strconv.ParseUint(f[i+1], 10, 64); err != nil {
			return Stats{}, fmt.Errorf("cannot read stats from %q: %w", s, err)
		}
	}
	return st, nil
}

// Process is a running fakecam.
type Process struct {
	Client
	cmd   *exec.Cmd
	ended chan error // its one value is the end
}

// Start runs the fakecam binary in the places of package camns, with more args,
// and waits until its cameras can be opened. It is killed with its starter.
func Start(ctx context.Context, binary string, args ...string) (*Process, error) {
	return StartAt(ctx, binary, camns.Camera(0), args...)
}

// StartAt is Start in other places, for one more fakecam beside the first.
func StartAt(ctx context.Context, binary string, at camns.Places, args ...string) (*Process, error) {
	base := at.Args()
	// ctx bounds the start only: Stop and Kill end what runs.
	cmd := exec.CommandContext(context.Background(), binary, append(base, args...)...)
	cmd.Stderr = os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	r, w, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("cannot make a pipe: %w", err)
	}
	defer r.Close() //nolint:errcheck // opened for reading only
	cmd.Stdout = w
	p := &Process{Client: Client(at.Control), cmd: cmd, ended: make(chan error, 1)}
	started := make(chan error, 1)
	go func() {
		// Pdeathsig follows the thread that forked: this one lives as long as fakecam.
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		err := cmd.Start()
		started <- err
		if err == nil {
			p.ended <- cmd.Wait()
		}
	}()
	err = <-started
	_ = w.Close()
	if err != nil {
		return nil, fmt.Errorf("cannot start fakecam: %w", err)
	}
	if err := p.ready(ctx, r); err != nil {
		return nil, errors.Join(err, p.Stop())
	}
	return p, nil
}

// ready waits for the line "ready".
func (p *Process) ready(ctx context.Context, r *os.File) error {
	if err := r.SetReadDeadline(time.Now().Add(readyWait)); err != nil {
		return fmt.Errorf("cannot wait for fakecam: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = r.SetReadDeadline(time.Unix(1, 0)) })
	defer stop()
	line, err := bufio.NewReader(r).ReadString('\n')
	if err != nil || strings.TrimSpace(line) != "ready" {
		return fmt.Errorf("cannot start fakecam: it said %q: %w", line, errors.Join(err, ctx.Err()))
	}
	return nil
}

// Pid is fakecam's process id.
func (p *Process) Pid() int { return p.cmd.Process.Pid }

// Stop ends fakecam with SIGTERM, after 5 s with SIGKILL, waits for its end and
// returns how it ended: nil is exit code 0. Call it once.
func (p *Process) Stop() error {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	timer := time.NewTimer(stopWait)
	defer timer.Stop()
	select {
	case err := <-p.ended:
		return err
	case <-timer.C:
		_ = p.cmd.Process.Kill()
		return fmt.Errorf("cannot end fakecam within %v: killed: %w", stopWait, <-p.ended)
	}
}

// Kill ends fakecam with SIGKILL, as a crash would, and waits for its end. It is
// called in place of Stop.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended //nolint:errcheck // "killed", which is no news
}
