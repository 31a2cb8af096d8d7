package devices

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"kioskd/capture"
	"kioskd/capture/soundcard/soundtest"
	"kioskd/cmd/fakecam/camctl"
	"kioskd/daemon/api/apitype"
)

// running is a trial's camera and microphone that run until stop, which counts.
type running struct {
	cancel           context.CancelFunc
	all              sync.WaitGroup
	pictures, sounds atomic.Int64
}

func (s Sources) run(ctx context.Context) *running {
	ctx, cancel := context.WithCancel(ctx)
	r := &running{cancel: cancel}
	r.all.Go(func() { s.Microphone(ctx, func([]int16, time.Time) { r.sounds.Add(1) }) })
	r.all.Go(func() { s.Camera(ctx, func(*capture.Frame) { r.pictures.Add(1) }) })
	return r
}

func (r *running) stop() {
	r.cancel()
	r.all.Wait()
}

// A trial has the camera give pictures and the microphone sound, for a check and shown
// to nobody, and lets both go.
func TestTrial(t *testing.T) {
	sound := soundtest.Server(t)
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras, withSound(sound.PCM))
	id := k.names(1)[0]
	err := k.Trial(t.Context(), "somebody", func(ctx context.Context, s Sources) error {
		r := s.run(ctx)
		defer r.stop()
		k.eventually("pictures come", wait, func() bool { return s.Live() > 3 })
		if got := inUse(k); !strings.Contains(got, id+" check") || strings.Count(got, " check") != 2 {
			t.Errorf("in use is %q", got)
		}
		if u := k.Technician(); u != nil {
			t.Errorf("the screen is told %+v", u)
		}
		if err := k.Trial(t.Context(), "somebody", func(context.Context, Sources) error { return nil }); code(err) != apitype.CodeDeviceInUse {
			t.Errorf("a second trial: %v", err)
		}
		r.stop()
		if r.pictures.Load() < 3 || r.sounds.Load() < 3 || s.Trouble() != "" {
			t.Errorf("%d pictures, %d chunks of sound, trouble %q", r.pictures.Load(), r.sounds.Load(), s.Trouble())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if got := inUse(k); got != "" {
		t.Errorf("after it %q is in use", got)
	}
	nobody(t, cams, 0, 500*time.Millisecond)
	if got := k.texts(); !strings.HasPrefix(got, "check") {
		t.Errorf("the audit is %q", got)
	}
}

// Without a picture there are slates, and it is said why.
func TestTrialWithoutAPicture(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	k.names(1)
	if err := cams.Deny(0, camctl.Everybody); err != nil {
		t.Fatal(err)
	}
	k.Report()
	err := k.Trial(t.Context(), "somebody", func(ctx context.Context, s Sources) error {
		r := s.run(ctx)
		defer r.stop()
		k.eventually("it is said why", wait, func() bool { return s.Trouble() == apitype.DeviceNoPermission && r.pictures.Load() > 0 })
		if s.Live() != 0 {
			t.Errorf("%d pictures came", s.Live())
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A session ends a trial at once, and lets none begin.
func TestSessionEndsATrial(t *testing.T) {
	cams := plugIn(t, 1)
	k := newKiosk(t, realCameras)
	k.names(1)
	begun, done := make(chan struct{}), make(chan error, 1)
	go func() {
		done <- k.Trial(t.Context(), "somebody", func(ctx context.Context, s Sources) error {
			r := s.run(ctx)
			close(begun)
			<-ctx.Done()
			r.stop()
			return nil
		})
	}()
	<-begun
	k.Session(true, false)
	if err := <-done; code(err) != apitype.CodeSessionActive {
		t.Errorf("it ended with %v", err)
	}
	nobody(t, cams, 0, 500*time.Millisecond)
	if err := k.Trial(t.Context(), "somebody", func(context.Context, Sources) error { return nil }); code(err) != apitype.CodeSessionActive {
		t.Errorf("in a session: %v", err)
	}
	k.Session(false, false)
}
