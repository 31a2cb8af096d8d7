package main

import (
	"log/slog"
	"os"
	"strconv"

	"golang.org/x/sys/unix"
)

// niceness puts a camera before the programs that look at it: a real one does
// not wait for the processor.
const niceness = -10

// raise gives every thread of the process this niceness; threads that come later
// inherit it. Where that is not allowed fakecam works, but may be late.
func raise(log *slog.Logger) {
	for range 2 { // again for threads that came while the first round went on
		raiseOnce(log)
	}
}

func raiseOnce(log *slog.Logger) {
	tids := []int{unix.Gettid()}
	if tasks, err := os.ReadDir("/proc/self/task"); err == nil {
		for _, t := range tasks {
			if tid, err := strconv.Atoi(t.Name()); err == nil {
				tids = append(tids, tid)
			}
		}
	}
	for _, tid := range tids {
		if err := unix.Setpriority(unix.PRIO_PROCESS, tid, niceness); err != nil && err != unix.ESRCH {
			log.Info("cannot raise the priority, frames may be late", "error", err)
			return
		}
	}
}
