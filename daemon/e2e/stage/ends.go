package stage

import (
	"errors"
	"fmt"
	"slices"
	"syscall"
	"time"
)

// KillKioskd ends the daemon as a crash would: SIGKILL, no goodbye. StartKioskd
// starts the next one.
func (s *Stage) KillKioskd() error {
	return s.end(s.Kioskd, func(p *Process) error { p.Kill(); return p.log.Close() })
}

// QuitKioskd has the daemon print all its goroutines into its log and end (SIGQUIT, as
// Go answers it). StartKioskd starts the next one.
func (s *Stage) QuitKioskd() error { return s.signalled(syscall.SIGQUIT) }

// signalled ends the daemon by a signal that it does not catch.
func (s *Stage) signalled(sig syscall.Signal) error {
	return s.end(s.Kioskd, func(p *Process) error {
		if err := p.cmd.Process.Signal(sig); err != nil {
			return fmt.Errorf("cannot end %s: %w", p.Name, err)
		}
		timer := time.NewTimer(stopWithin)
		defer timer.Stop()
		select {
		case <-p.done:
			return p.log.Close()
		case <-timer.C:
			p.Kill()
			return errors.Join(fmt.Errorf("cannot end %s: it was still there %v after %v", p.Name, stopWithin, sig), p.log.Close())
		}
	})
}

// StopKioskd ends the daemon as systemd would.
func (s *Stage) StopKioskd() error { return s.end(s.Kioskd, (*Process).Stop) }

// end ends one process before the others and forgets it.
func (s *Stage) end(p *Process, how func(*Process) error) error {
	s.mu.Lock()
	s.processes = slices.DeleteFunc(s.processes, func(q *Process) bool { return q == p })
	s.mu.Unlock()
	return how(p)
}

// AbortKioskd has the daemon end as an assertion of a C library would (SIGABRT); Go
// prints all its goroutines into its log. StartKioskd starts the next one.
func (s *Stage) AbortKioskd() error { return s.signalled(syscall.SIGABRT) }
