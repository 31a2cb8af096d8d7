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

func TestWatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var is atomic.Int32
		var told []clock.Answer
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() {
			defer close(done)
			clock.Watch(ctx, func(context.Context) clock.Answer { return clock.Answer(is.Load()) }, func(a clock.Answer) { told = append(told, a) })
		}()
		for _, step := range []struct {
			set   clock.Answer
			after time.Duration
			want  []clock.Answer
		}{
			{clock.Unknown, 0, []clock.Answer{clock.Unknown}},
			{clock.No, 3 * time.Second, []clock.Answer{clock.Unknown, clock.No}},
			{clock.Yes, 5 * time.Second, []clock.Answer{clock.Unknown, clock.No, clock.Yes}},
			{clock.Yes, 10 * time.Minute, []clock.Answer{clock.Unknown, clock.No, clock.Yes}}, // told once
			{clock.No, time.Minute, []clock.Answer{clock.Unknown, clock.No, clock.Yes, clock.No}},
			{clock.Yes, 6 * time.Second, []clock.Answer{clock.Unknown, clock.No, clock.Yes, clock.No, clock.Yes}},
		} {
			is.Store(int32(step.set))
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
