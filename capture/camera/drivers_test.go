package camera

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"
)

// TestDriversLeaveBehind: who hangs is left behind once, and nobody goes in after him.
func TestDriversLeaveBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrivers()
		begun := time.Now()
		answer := make(chan struct{})
		hang := func(context.Context) { <-answer }
		err := d.do(t.Context(), "/dev/video0", "look at", time.Second, hang)
		if !errors.Is(err, ErrHung) || !errors.Is(err, ErrStalled) || time.Since(begun) != time.Second+doGrace {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		for range 100 {
			if err := d.do(t.Context(), "/dev/video0", "run", time.Second, hang); !errors.Is(err, ErrHung) {
				t.Errorf("gone into again: %v", err)
			}
		}
		if time.Since(begun) != time.Second+doGrace {
			t.Errorf("refusing took time: %v", time.Since(begun))
		}
		if err := d.do(t.Context(), "/dev/video1", "run", time.Second, func(context.Context) {}); err != nil {
			t.Errorf("another camera: %v", err)
		}
		if h := d.hanging(); len(h) != 1 || h[0] != (Hanging{"/dev/video0", "look at", begun}) {
			t.Errorf("hanging: %+v", h)
		}
		close(answer)
		synctest.Wait()
		if h := d.hanging(); len(h) != 0 {
			t.Errorf("still hanging: %+v", h)
		}
		if err := d.do(t.Context(), "/dev/video0", "run", time.Second, func(context.Context) {}); err != nil {
			t.Errorf("when it answers again: %v", err)
		}
		if err := d.close(time.Second); err != nil {
			t.Errorf("close: %v", err)
		}
	})
}

// TestDriversAreBounded: before one is late, more may go in, but not without end.
func TestDriversAreBounded(t *testing.T) {
	d := newDrivers()
	var in []*call
	for range maxInside {
		c, err := d.enter("/dev/video0", "run")
		if err != nil {
			t.Fatal(err)
		}
		in = append(in, c)
	}
	if _, err := d.enter("/dev/video0", "run"); !errors.Is(err, ErrHung) {
		t.Errorf("one more: %v", err)
	}
	in[0].leave()
	if in[0].overdue() {
		t.Error("one that has left is overdue")
	}
	c, err := d.enter("/dev/video0", "run")
	if err != nil {
		t.Errorf("after one has left: %v", err)
	}
	for _, c := range append(in[1:], c) {
		c.leave()
	}
	if len(d.calls) != 0 {
		t.Errorf("left over: %+v", d.calls)
	}
}

// TestDriversGrace: who heeds the context is not late, whoever ends it.
func TestDriversGrace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrivers()
		heeds := func(ctx context.Context) { <-ctx.Done(); time.Sleep(doGrace / 2) }
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, cancel)
		if err := d.do(ctx, "/dev/video0", "run", time.Minute, heeds); err != nil {
			t.Errorf("ended by its caller: %v", err)
		}
		if err := d.do(t.Context(), "/dev/video0", "run", time.Second, heeds); err != nil {
			t.Errorf("ended by its time: %v", err)
		}
		if h := d.hanging(); len(h) != 0 {
			t.Errorf("hanging: %+v", h)
		}
	})
}

// TestDriversClose waits for who is inside, not for ever, and lets nobody in.
func TestDriversClose(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDrivers()
		slow, err := d.enter("/dev/video0", "look at")
		if err != nil {
			t.Fatal(err)
		}
		hung, err := d.enter("/dev/video1", "run")
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(500*time.Millisecond, slow.leave)
		begun := time.Now()
		if err := d.close(time.Second); !errors.Is(err, ErrHung) || time.Since(begun) != time.Second {
			t.Errorf("close: %v after %v", err, time.Since(begun))
		}
		if h := d.hanging(); len(h) != 1 || h[0].Path != "/dev/video1" {
			t.Errorf("hanging: %+v", h)
		}
		if _, err := d.enter("/dev/video2", "run"); !errors.Is(err, errClosed) {
			t.Errorf("let in: %v", err)
		}
		hung.leave()
		if err := d.close(time.Second); err != nil {
			t.Errorf("close again: %v", err)
		}
	})
}
