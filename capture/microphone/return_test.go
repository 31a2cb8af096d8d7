package microphone_test

import (
	"testing"
	"time"

	"kioskd/capture/microphone"
	"kioskd/capture/soundcard/soundtest"
)

// The promise is that sound is back within three seconds of the server's return.
const backWithin = 3 * time.Second

// A sound server that was killed in the middle of a capture and comes back.
func TestKeeperServerKilled(t *testing.T) {
	s := soundtest.Server(t)
	_, r, _ := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	for range 10 {
		if err := s.Kill(); err != nil {
			t.Fatal(err)
		}
		r.wait(t, "silence", 1500*time.Millisecond, hearsSilence)
		r.wait(t, "word of it", 2*time.Second, code(microphone.Gone))
		if err := s.Restart(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.wait(t, "tone again", backWithin, hearsTone)
		t.Logf("back after %v", time.Since(began).Round(time.Millisecond))
	}
}

// One that hangs holds alsa-lib's calls for ever, also those that try to connect.
// Another that takes its place is found though they never return.
func TestKeeperServerReplaced(t *testing.T) {
	s := soundtest.Server(t)
	_, r, _ := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	for range 3 {
		if err := s.Freeze(true); err != nil {
			t.Fatal(err)
		}
		r.wait(t, "silence", 1500*time.Millisecond, hearsSilence)
		r.wait(t, "word of it", 3*time.Second, code(microphone.Hung))
		if err := s.Replace(); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		r.wait(t, "tone again", backWithin, hearsTone)
		t.Logf("back after %v", time.Since(began).Round(time.Millisecond))
	}
	if err := s.Close(); err != nil { // frees what hangs
		t.Error(err)
	}
}

// A source that sleeps gives nothing and says nothing.
func TestKeeperSuspendedSource(t *testing.T) {
	s := soundtest.Server(t)
	_, r, _ := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	if err := s.Suspend(true); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "silence", 1500*time.Millisecond, hearsSilence)
	r.wait(t, "word of it", 3*time.Second, code(microphone.Hung))
	if err := s.Suspend(false); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "tone again", backWithin, hearsTone)
}

// A source that is taken away while its server goes on.
func TestKeeperSourceLeaves(t *testing.T) {
	s := soundtest.Server(t)
	_, r, _ := keep(t, device(s.PCM))
	r.wait(t, "tone", 5*time.Second, hearsTone)
	if err := s.Leave(); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "silence", 1500*time.Millisecond, hearsSilence)
	r.wait(t, "word of it", 3*time.Second, func(r *recorder) bool { return len(r.states) > 1 })
	if err := s.Restart(); err != nil {
		t.Fatal(err)
	}
	r.wait(t, "tone again", backWithin, hearsTone)
}
