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

// Trees looks for a while at processes with all their descendants, as one: a
// browser is many. Processes that end meanwhile count for what their parents
// have waited for. CPU is also given for each root alone.
func Trees(ctx context.Context, look time.Duration, roots ...int) (Usage, []float64, error) {
	before, _, err := trees(roots)
	if err != nil {
		return Usage{}, nil, err
	}
	start := time.Now()
	timer := time.NewTimer(look)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-ctx.Done():
		return Usage{}, nil, fmt.Errorf("cannot measure %d processes: %w", len(roots), context.Cause(ctx))
	}
	after, pids, err := trees(roots)
	if err != nil {
		return Usage{}, nil, err
	}
	var u Usage
	parts := make([]float64, len(roots))
	for i := range roots {
		parts[i] = float64(after[i]-before[i]) / clockTick / time.Since(start).Seconds() * 100
		u.CPU += parts[i]
	}
	for _, pid := range pids {
		rss, rerr := kibibytes(pid, "Rss:")
		pss, perr := kibibytes(pid, "Pss:")
		if errors.Join(rerr, perr) != nil {
			continue // it ended just now
		}
		u.RSS, u.PSS = u.RSS+rss/1024, u.PSS+pss/1024
	}
	return u, parts, nil
}

// trees is the CPU time of processes, each with its descendants, and who all of them are.
func trees(roots []int) (ticks []int64, pids []int, err error) {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil, nil, fmt.Errorf("cannot list the processes: %w", err)
	}
	times, children := map[int]int64{}, map[int][]int{}
	for _, e := range entries {
		pid, err := strconv.Atoi(e.Name())
		if err != nil {
			continue
		}
		f, err := statFields(pid)
		if err != nil {
			continue // it ended just now
		}
		parent := int(f[1])
		children[parent] = append(children[parent], pid)
		times[pid] = f[11] + f[12] + f[13] + f[14]
	}
	for _, root := range roots {
		if _, ok := times[root]; !ok {
			return nil, nil, fmt.Errorf("cannot measure process %d: it ended", root)
		}
		var sum int64
		for next := []int{root}; len(next) > 0; {
			pid := next[0]
			sum += times[pid]
			pids = append(pids, pid)
			next = append(next[1:], children[pid]...)
		}
		ticks = append(ticks, sum)
	}
	return ticks, pids, nil
}

// cpuTicks is user and system time of a process.
func cpuTicks(pid int) (int64, error) {
	f, err := statFields(pid)
	if err != nil {
		return 0, err
	}
	return f[11] + f[12], nil
}

// statFields are the numbers of /proc/PID/stat from the process's state on, which
// itself is 0 (proc_pid_stat(5): the parent is the 4th field, user and system time
// the 14th and 15th, those of children that were waited for the next two).
func statFields(pid int) ([15]int64, error) {
	var out [15]int64
	b, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return out, fmt.Errorf("cannot read CPU time: %w", err)
	}
	_, rest, ok := strings.Cut(string(b), ") ") // the name may hold spaces
	fields := strings.Fields(rest)
	if !ok || len(fields) < len(out) {
		return out, errors.New("cannot read CPU time: an unknown form of /proc/PID/stat")
	}
	for i := 1; i < len(out); i++ {
		if out[i], err = strconv.ParseInt(fields[i], 10, 64); err != nil {
			return out, fmt.Errorf("cannot read CPU time: %w", err)
		}
	}
	return out, nil
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
