package main

import (
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

// endWithin is how long a process may take after SIGTERM.
const endWithin = 5 * time.Second

// process is one program that runs beside us, its output in a log.
type process struct {
	name string
	log  string
	end  context.CancelFunc
	done chan struct{}
	err  error // of Wait, valid after done
}

// start runs a program with more of an environment.
func start(name, log string, env []string, args ...string) (*process, error) {
	f, err := os.OpenFile(log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("cannot open the log of %s: %w", name, err)
	}
	ctx, end := context.WithCancel(context.Background())
	cmd := exec.CommandContext(ctx, args[0], args[1:]...) //nolint:gosec // our own programs and QEMU
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdout, cmd.Stderr = f, f
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = endWithin
	p := &process{name: name, log: log, end: end, done: make(chan struct{})}
	if err := cmd.Start(); err != nil {
		end()
		return nil, errors.Join(fmt.Errorf("cannot start %s: %w", name, err), f.Close())
	}
	go func() {
		p.err = errors.Join(cmd.Wait(), f.Close())
		close(p.done)
	}()
	return p, nil
}

// stop ends the process and waits for it.
func (p *process) stop() {
	p.end()
	<-p.done
}

// until asks again and again, until ask is content, the process ends or ctx does.
func (p *process) until(ctx context.Context, ask func(context.Context) error) error {
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ask(ctx)
		if err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-p.done:
			return fmt.Errorf("cannot wait for %s: it ended: %w\n%s", p.name, p.err, tail(p.log))
		case <-ctx.Done():
			return fmt.Errorf("cannot wait any longer for %s: %w\n%s", p.name, err, tail(p.log))
		}
	}
}

// tail is the end of a log.
func tail(path string) string {
	b, err := os.ReadFile(filepath.Clean(path))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(b)), "\n")
	return strings.Join(lines[max(0, len(lines)-20):], "\n")
}
