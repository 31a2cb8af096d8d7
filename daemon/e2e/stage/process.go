package stage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// stopWithin is how long a process may take after SIGTERM.
const stopWithin = 8 * time.Second

// Process is one program of the stage.
type Process struct {
	Name string
	cmd  *exec.Cmd
	log  *os.File
	done chan struct{}
	err  error // of Wait, valid after done
}

// start runs a program whose output goes to logs/NAME.log. extra is added to
// the environment. root keeps the caller's user, others get the stage's.
func (s *Stage) start(name string, root bool, extra []string, args ...string) (*Process, error) {
	log, err := os.OpenFile(filepath.Join(s.dir, "logs", name+".log"), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log of %s: %w", name, err)
	}
	cmd := exec.CommandContext(context.Background(), args[0], args[1:]...)
	cmd.Env = append(s.environ(), extra...)
	cmd.Stdout, cmd.Stderr = log, log
	// No Pdeathsig: it follows a thread, and Go moves us between threads. The
	// pid namespace ends everything.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if !root {
		cmd.SysProcAttr.Credential = s.opts.Credential
	}
	p := &Process{Name: name, cmd: cmd, log: log, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		return nil, errors.Join(fmt.Errorf("cannot start %s: %w", name, err), log.Close())
	}
	go func() {
		p.err = cmd.Wait()
		close(p.done)
	}()
	s.mu.Lock()
	s.processes = append(s.processes, p)
	s.mu.Unlock()
	return p, nil
}

// PID is the process's id in the stage's namespace.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Kill ends the process as a power cut would and waits for its end.
func (p *Process) Kill() {
	_ = p.cmd.Process.Kill() // ended already: the wait below knows
	<-p.done
}

// Stop asks the process to end, waits, and reports a bad exit or none at all.
func (p *Process) Stop() error {
	select {
	case <-p.done:
	default:
		_ = p.cmd.Process.Signal(syscall.SIGTERM) // ended just now: the wait below knows
	}
	timer := time.NewTimer(stopWithin)
	defer timer.Stop()
	select {
	case <-p.done:
	case <-timer.C:
		p.Kill()
		return errors.Join(fmt.Errorf("cannot stop %s: it was still there %v after SIGTERM", p.Name, stopWithin), p.log.Close())
	}
	if p.err != nil {
		return errors.Join(fmt.Errorf("cannot call the end of %s clean: %w\n%s", p.Name, p.err, p.tail()), p.log.Close())
	}
	return p.log.Close()
}

// waitFile returns a file's content as soon as it is there, or why not.
func (p *Process) waitFile(ctx context.Context, path string) ([]byte, error) {
	for {
		if b, err := os.ReadFile(path); err == nil && len(bytes.TrimSpace(b)) > 0 {
			return b, nil
		}
		if err := p.pause(ctx); err != nil {
			return nil, fmt.Errorf("cannot wait for %s: %w", path, err)
		}
	}
}

// pause waits a moment, or says why waiting is pointless.
func (p *Process) pause(ctx context.Context) error {
	t := time.NewTimer(10 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-p.done:
		return fmt.Errorf("%s ended: %w\n%s", p.Name, p.err, p.tail())
	case <-ctx.Done():
		return fmt.Errorf("%s did not get there: %w\n%s", p.Name, context.Cause(ctx), p.tail())
	}
}

// tail is the end of the process's log.
func (p *Process) tail() string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-15):], "\n")
}

// Log is all that the process has written so far.
func (p *Process) Log() string {
	b, err := os.ReadFile(p.log.Name())
	if err != nil {
		return err.Error()
	}
	return string(b)
}
