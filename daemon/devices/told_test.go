package devices

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/capture/camera"
	"kioskd/capture/microphone"
	"kioskd/configs"
)

// The microphone is held while it is open, by what its Keeper says: a try that fails as
// the one before takes no hold, and what is said late drops none.
func TestMicrophoneIsHeldWhileItIsOpen(t *testing.T) {
	k := newKiosk(t, func(cfg *configs.Config) { cfg.Microphone.Enabled = true })
	k.mic.keeper = microphone.NewKeeper(microphone.KeeperConfig{})
	shown := "" // what was last told to be in use
	k.o.Shown = func() { shown = inUse(k) }
	try := func() {
		if _, err := k.chooseMicrophone(); err != nil {
			t.Fatal(err)
		}
	}
	for i, c := range []struct {
		do   func()
		want string
	}{
		{try, ""},
		{func() { k.microphoneChanged(microphone.State{Device: "mic", Err: microphone.ErrBusy}) }, ""},
		{try, ""}, // fails as before, which the Keeper does not say again
		{func() { k.microphoneChanged(microphone.State{Device: "mic"}) }, "mic-mic session"},
		{try, "mic-mic session"},
		{func() { k.microphoneChanged(microphone.State{Device: "mic", Err: microphone.ErrStalled}) }, "mic-mic session"},
		{func() { k.microphoneChanged(microphone.State{Device: "mic", Err: microphone.ErrGone}) }, ""},
		{func() { k.microphoneChanged(microphone.State{Device: "mic", Err: microphone.ErrStalled}) }, "mic-mic session"}, // in its opening
		{func() { k.microphoneChanged(microphone.State{Device: "hw:other"}) }, "other session"},
		{func() { k.microphoneChanged(microphone.State{Device: "nowhere"}) }, ""},
	} {
		k.heardOf("other")
		if c.do(); inUse(k) != c.want || shown != c.want {
			t.Errorf("step %d: %q is in use, %q was shown, want %q", i, inUse(k), shown, c.want)
		}
	}
}

// Of two that tell a condition at a time the newer one counts.
func TestConditionsDoNotCross(t *testing.T) {
	k := newKiosk(t)
	k.cam.keeper, k.cam.code = camera.NewKeeper(camera.KeeperConfig{}), camera.Present
	for i := range 3000 {
		var both sync.WaitGroup
		both.Go(func() { k.shutterChanged(true) })
		both.Go(func() { k.shutterChanged(false) })
		both.Wait()
		if shut := conditions(k) == "camera_shuttered"; shut != k.cam.shut {
			t.Fatalf("round %d: shut %v, and %q is told", i, k.cam.shut, conditions(k))
		}
	}
}

// Where the kernel's word ends it is asked for again, ever more rarely, and the devices
// are looked at meanwhile.
func TestKernelsWordIsAskedForAgain(t *testing.T) {
	k := newKiosk(t)
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		began := time.Now()
		var asked []time.Duration
		k.o.Events = func(ctx context.Context, _ func()) error {
			asked = append(asked, time.Since(began))
			if len(asked) == 7 { // it is well for an hour
				began = began.Add(time.Hour)
				time.Sleep(time.Hour)
			}
			return errors.New("the socket broke")
		}
		done := make(chan struct{})
		go func() { defer close(done); k.listen(ctx) }()
		time.Sleep(time.Hour + 124*time.Second + time.Second/2)
		cancel()
		<-done
		want := []time.Duration{0, 1, 3, 7, 15, 31, 61, 62, 64, 68, 76, 92, 122}
		if len(asked) != len(want) {
			t.Fatalf("asked at %v", asked)
		}
		for i := range want {
			if asked[i] != want[i]*time.Second {
				t.Fatalf("asked at %v", asked)
			}
		}
		if k.changes != len(want)-1 {
			t.Errorf("looked %d times", k.changes)
		}
	})
}
