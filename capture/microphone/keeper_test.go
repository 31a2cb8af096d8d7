package microphone_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"kioskd/capture/microphone"
	"kioskd/capture/soundcard/soundtest"
)

// keep runs a Keeper for device into a recorder until the test ends.
func keep(t *testing.T, choose func() (microphone.Config, error)) (*microphone.Keeper, *recorder, func() error) {
	t.Helper()
	r := newRecorder()
	k := microphone.NewKeeper(microphone.KeeperConfig{Choose: choose, Changed: r.state})
	ctx, cancel := context.WithCancel(context.Background())
	end := make(chan error, 1)
	go func() { end <- k.Run(ctx, r.put) }()
	stopped := false
	stop := func() error {
		cancel()
		if stopped {
			return nil
		}
		stopped = true
		select {
		case err := <-end:
			return err
		case <-time.After(10 * time.Second):
			t.Error("Run does not end")
			return nil
		}
	}
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	return k, r, stop
}

func device(name string) func() (microphone.Config, error) {
	return func() (microphone.Config, error) { return microphone.Config{Device: name}, nil }
}

// pace checks that from chunk number from on there were 100 chunks a second.
func pace(t *testing.T, r *recorder, from int) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	n, took := len(r.times)-1-from, r.times[len(r.times)-1].Sub(r.times[from])
	owed := int(took / microphone.ChunkTime)
	t.Logf("%d chunks in %v", n, took.Round(time.Millisecond))
	// The pump keeps its output within 80 ms behind and 30 ms ahead of time.
	if n < owed-12 || n > owed+12 {
		t.Errorf("%d chunks in %v, want %d: the audio clock slipped", n, took, owed)
	}
}

func TestKeeperUnplugAndPlug(t *testing.T) {
	s := soundtest.Server(t)
	k, r, _ := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	r.wait(t, "state", time.Second, code(microphone.Present))
	from := r.count()
	for range 2 {
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		r.wait(t, "silence", 1500*time.Millisecond, hearsSilence)
		r.wait(t, "word of it", 2*time.Second, code(microphone.Gone))
		if l := k.Level(); l.Peak != 0 || l.RMS != 0 {
			t.Errorf("level %+v without a microphone", l)
		}
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		r.wait(t, "tone again", 5*time.Second, hearsTone)
		r.wait(t, "word of it", time.Second, code(microphone.Present))
	}
	pace(t, r, from)
	if l := k.Level(); l.Peak < 0.05 || l.RMS < 0.5*l.Peak || l.RMS > 0.8*l.Peak {
		t.Errorf("level %+v is not a sine's", l)
	}
}

func TestKeeperMute(t *testing.T) {
	s := soundtest.Server(t)
	k, r, _ := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	from := r.count()
	for range 3 {
		r.mu.Lock() // put waits: what it brings after this was decided before or after SetMuted
		k.SetMuted(true)
		began := len(r.times)
		r.mu.Unlock()
		r.wait(t, "20 muted chunks", 2*time.Second, func(r *recorder) bool { return len(r.times) > began+20 })
		r.mu.Lock()
		// The chunk on its way into put when the button was pressed is the only exception.
		if !isSilent(r.pcm[(began+1)*microphone.ChunkSamples:]) {
			t.Error("sound after mute")
		}
		r.mu.Unlock()
		if l := k.Level(); l.Peak == 0 {
			t.Error("the meter is deaf while muted")
		}
		k.SetMuted(false)
		r.wait(t, "tone again", 2*time.Second, hearsTone)
	}
	pace(t, r, from)
	if n := k.Dropped(); n > 5 {
		t.Errorf("%d chunks dropped", n)
	}
}

// A hung sound server holds the device's goroutine in C. Sound goes on as
// silence, the state is told, and it comes back by itself.
func TestKeeperFrozenServer(t *testing.T) {
	s := soundtest.Server(t)
	_, r, _ := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	from := r.count()
	if err := s.Freeze(true); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "silence", 1500*time.Millisecond, hearsSilence)
	r.wait(t, "word of it", 3*time.Second, code(microphone.Hung))
	if err := s.Freeze(false); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "tone again", 8*time.Second, hearsTone)
	r.wait(t, "word of it", time.Second, code(microphone.Present))
	pace(t, r, from)
}

// Even the end of a call must not wait for a hung sound server.
func TestKeeperStuck(t *testing.T) {
	s := soundtest.Server(t)
	_, r, stop := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	if err := s.Freeze(true); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "word of it", 3*time.Second, code(microphone.Hung))
	began := time.Now()
	if err := stop(); err != nil && !errors.Is(err, microphone.ErrStuck) {
		t.Error(err)
	} else {
		t.Logf("%v after %v", err, time.Since(began).Round(time.Millisecond))
	}
	if took := time.Since(began); took > 3*time.Second {
		t.Errorf("Run took %v to end", took)
	}
	if err := s.Kill(); err != nil { // frees the goroutine that waits
		t.Error(err)
	}
}

// Without any device the silence keeps its pace and the reason is told.
func TestKeeperReasons(t *testing.T) {
	for _, c := range []struct {
		err  error
		want microphone.Code
	}{
		{microphone.ErrNoDevice, microphone.Gone},
		{microphone.ErrGone, microphone.Gone},
		{microphone.ErrBusy, microphone.Busy},
		{microphone.ErrPermission, microphone.NoPermission},
		{microphone.ErrStalled, microphone.Hung},
		{errors.New("odd"), microphone.Broken},
	} {
		_, r, stop := keep(t, func() (microphone.Config, error) { return microphone.Config{}, fmt.Errorf("cannot choose: %w", c.err) })
		r.wait(t, "state", time.Second, code(c.want))
		r.wait(t, "silence", time.Second, func(r *recorder) bool { return len(r.times) >= 30 })
		if err := stop(); err != nil {
			t.Error(err)
		}
		if !isSilent(r.pcm) || len(r.states) != 1 || r.states[0].Words == "" || !errors.Is(r.states[0].Err, c.err) {
			t.Errorf("%v: states %+v", c.err, r.states)
		}
		pace(t, r, 0)
	}
}
