package stage

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"
)

// Usage is what one process costs.
type Usage struct {
	RSS float64 // MiB
	PSS float64 // MiB, shared pages split among their users
	CPU float64 // % of one core, over the time looked at
}

// String is memory and CPU.
func (u Usage) String() string { return fmt.Sprintf("%.0f MiB RSS, %.1f %% of a core", u.RSS, u.CPU) }

// clockTick is USER_HZ, 100 on every Linux architecture that Go runs on (proc(5)).
const clockTick = 100

// Usage looks at a process for a while.
func (p *Process) Usage(ctx context.Context, look time.Duration) (Usage, error) {
	before, err := cpuTicks(p.PID())
	if err != nil {
		return Usage{}, err
	}
	start := time.Now()
	timer := time.NewTimer(look)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-p.done:
		return Usage{}, fmt.Errorf("cannot measure %s: it ended", p.Name)
	case <-ctx.Done():
		return Usage{}, fmt.Errorf("cannot measure %s: %w", p.Name, context.Cause(ctx))
	}
	after, err := cpuTicks(p.PID())
	if err != nil {
		return Usage{}, err
	}
	u := Usage{CPU: float64(after-before) / clockTick / time.Since(start).Seconds() * 100}
	rss, rerr := kibibytes(p.PID(), "Rss:")
	pss, perr := kibibytes(p.PID(), "Pss:")
	u.RSS, u.PSS = rss/1024, pss/1024
	return u, errors.Join(rerr, perr)
}

// cpuTicks is user and system time of a process (proc_pid_stat(5), fields 14 and 15).
func cpuTicks(pid int) (int64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return 0, fmt.Errorf("cannot read CPU time: %w", err)
	}
	_, rest, ok := strings.Cut(string(b), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	if !ok || len(fields) < 13 {
		return 0, errors.New("cannot read CPU time: an unknown form of /proc/PID/stat")
	}
	user, uerr := strconv.ParseInt(fields[11], 10, 64)
	system, serr := strconv.ParseInt(fields[12], 10, 64)
	return user + system, errors.Join(uerr, serr)
}

// kibibytes reads one line of smaps_rollup.
func kibibytes(pid int, name string) (float64, error) {
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/smaps_rollup")
	if err != nil {
		return 0, fmt.Errorf("cannot read memory use: %w", err)
	}
	for line := range strings.Lines(string(b)) {
		if rest, ok := strings.CutPrefix(line, name); ok {
			return strconv.ParseFloat(strings.Fields(rest)[0], 64)
		}
	}
	return 0, fmt.Errorf("cannot read memory use: no %s", name)
}
