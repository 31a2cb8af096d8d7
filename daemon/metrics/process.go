package metrics

import (
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Process is what every Prometheus client tells of its process, by the same names; what
// the kernel does not show is left out. started is when the process began.
func Process(started time.Time) []Family {
	out := []Family{
		One("process_start_time_seconds", Gauge, "Start time of the process since the Unix epoch in seconds.", float64(started.UnixMilli())/1000),
		One("go_goroutines", Gauge, "Goroutines that exist.", float64(runtime.NumGoroutine())),
	}
	var usage unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &usage) == nil {
		spent := time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		out = append(out, One("process_cpu_seconds_total", Counter, "User and system processor time spent in seconds.", spent.Seconds()))
	}
	if pages, ok := resident(); ok {
		out = append(out, One("process_resident_memory_bytes", Gauge, "Resident memory in bytes.", float64(pages*int64(os.Getpagesize()))))
	}
	if open, err := os.ReadDir("/proc/self/fd"); err == nil {
		out = append(out, One("process_open_fds", Gauge, "Open file descriptors.", float64(len(open)-1))) // one is this look's
	}
	var limit unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &limit) == nil {
		out = append(out, One("process_max_fds", Gauge, "Most open file descriptors.", float64(limit.Cur)))
	}
	return out
}

// resident reads the pages of memory that are in use: the second word of
// /proc/self/statm (proc(5)).
func resident() (int64, bool) {
	b, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	words := strings.Fields(string(b))
	if len(words) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseInt(words[1], 10, 64)
	return pages, err == nil
}
