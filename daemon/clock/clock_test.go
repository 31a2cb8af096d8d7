package clock_test

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"golang.org/x/sys/unix"

	"kioskd/daemon/clock"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestUptime(t *testing.T) {
	boot, first := clock.Uptime()
	again, second := clock.Uptime()
	if boot == "" || boot != again || first <= 0 || second < first || second-first > time.Minute {
		t.Errorf("boot %q after %v, then %q after %v", boot, first, again, second)
	}
	b, err := os.ReadFile("/proc/uptime") // proc_uptime(5): seconds, sleep included
	if err != nil {
		t.Fatal(err)
	}
	kernels, err := time.ParseDuration(strings.Fields(string(b))[0] + "s")
	if d := kernels - second; err != nil || d < -time.Second || d > time.Minute {
		t.Errorf("the kernel says %v, we say %v: %v", kernels, second, err)
	}
}

// Whether this machine's clock is kept right is not ours to say: the file of timesyncd
// or the kernel's own word decides, and both are asked here in another way.
func TestSynchronised(t *testing.T) {
	var kernel unix.Timex
	state, err := unix.Adjtimex(&kernel)
	if err != nil {
		t.Fatal(err)
	}
	_, told := os.Stat("/run/systemd/timesync/synchronized")
	if want := state != unix.TIME_ERROR || told == nil; clock.Synchronised() != want {
		t.Errorf("synchronised is %t, the kernel's state is %d with status %#x, timesyncd's file: %v", clock.Synchronised(), state, kernel.Status, told)
	}
}

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var is atomic.Bool
		var told []bool
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			clock.Watch(ctx, is.Load, func(s bool) { told = append(told, s) })
		}()
		for _, step := range []struct {
			set   bool
			after time.Duration
			want  []bool
		}{
			{false, 0, []bool{false}},
			{true, 5 * time.Second, []bool{false, true}},
			{true, 10 * time.Minute, []bool{false, true}}, // told once
			{false, time.Minute, []bool{false, true, false}},
			{true, 6 * time.Second, []bool{false, true, false, true}},
		} {
			is.Store(step.set)
			time.Sleep(step.after)
			synctest.Wait()
			if !slices.Equal(told, step.want) {
				t.Fatalf("told %v, want %v", told, step.want)
			}
		}
		cancel()
		<-done
	})
}
