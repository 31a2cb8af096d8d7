package microphone_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"kioskd/capture/microphone"
	"kioskd/capture/microphone/pulsetest"
	"kioskd/capture/soundcard/alsatest"
	"kioskd/capture/soundcard/soundtest"
)

// The back-off doubles up to a second; a poke ends a wait and begins it anew.
func TestKeeperPoke(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		var tries []time.Duration
		k := microphone.NewKeeper(microphone.KeeperConfig{Choose: func() (microphone.Config, error) {
			tries = append(tries, time.Since(began))
			return microphone.Config{}, microphone.ErrNoDevice
		}})
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- k.Run(ctx, func([]int16, time.Time) {}) }()
		time.Sleep(3600 * time.Millisecond)
		for range 2 { // the second is too much: one is held
			k.Poke()
		}
		synctest.Wait()
		time.Sleep(350 * time.Millisecond)
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		want := []time.Duration{0, 100, 300, 700, 1500, 2500, 3500, 3600, 3600, 3700, 3900}
		got := fmt.Sprint(tries)
		once := []time.Duration{0, 100, 300, 700, 1500, 2500, 3500, 3600, 3700, 3900}
		for _, list := range [][]time.Duration{want, once} {
			for i := range list {
				list[i] *= time.Millisecond
			}
		}
		if got != fmt.Sprint(want) && got != fmt.Sprint(once) {
			t.Errorf("tries at %s, want %v", got, once)
		}
	})
}

// words runs a Keeper that tells of silence and of the switch.
func words(t *testing.T, device string) (r *recorder, silent, muted chan bool) {
	t.Helper()
	r, silent, muted = newRecorder(), make(chan bool, 16), make(chan bool, 16)
	k := microphone.NewKeeper(microphone.KeeperConfig{
		Choose:  func() (microphone.Config, error) { return microphone.Config{Device: device}, nil },
		Changed: r.state, Silent: func(on bool) { silent <- on }, HardwareMuted: func(on bool) { muted <- on },
	})
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- k.Run(ctx, r.put) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r, silent, muted
}

func told(t *testing.T, what string, c <-chan bool, want bool, limit time.Duration) {
	t.Helper()
	select {
	case got := <-c:
		if got != want {
			t.Fatalf("%s: told %t, want %t", what, got, want)
		}
	case <-time.After(limit):
		t.Fatalf("%s: %t was not told within %v", what, want, limit)
	}
}

// A real sink that nobody plays on: its monitor gives exact zeros. A real source's
// mute makes zeros of a tone, and is a switch besides.
func TestKeeperSilenceAndSwitchOfAServer(t *testing.T) {
	s := soundtest.Server(t)
	began := time.Now()
	_, silent, muted := words(t, pulsetest.SpeakerMonitor)
	r, _, off := words(t, s.PCM)
	r.wait(t, "tone", 5*time.Second, hearsTone)
	for _, on := range []bool{true, false, true, false} {
		if err := s.MuteSource(on); err != nil {
			t.Fatal(err)
		}
		changed := time.Now()
		told(t, "switch", off, on, 2*time.Second)
		t.Logf("muted %t told after %v", on, time.Since(changed).Round(time.Millisecond))
	}
	told(t, "digital silence", silent, true, 8*time.Second)
	if took := time.Since(began); took < 5*time.Second {
		t.Errorf("silence told after %v", took)
	}
	if len(muted) != 0 {
		t.Errorf("told muted %t for a device without a ctl", <-muted)
	}
	// The server's end is another matter than silence.
	if err := s.Kill(); err != nil {
		t.Fatal(err)
	}
	told(t, "the device's end", silent, false, 3*time.Second)
}

// On a card: both channels off, while the sound goes on as the card gives it; what
// was told stands while the card is away.
func TestKeeperSwitchOfACard(t *testing.T) {
	c := soundtest.Card(t)
	r, silent, muted := words(t, alsatest.Mono)
	r.wait(t, "sound", 2*time.Second, hearsSound)
	for _, s := range []struct{ left, right, muted bool }{{false, false, true}, {false, true, false}, {false, false, true}} {
		if err := c.Switch(s.left, s.right); err != nil {
			t.Fatal(err)
		}
		told(t, "switch", muted, s.muted, time.Second)
	}
	tell(t, c, alsatest.Unplugged)
	r.wait(t, "word of it", 2*time.Second, code(microphone.Gone))
	tell(t, c, alsatest.Works)
	r.wait(t, "sound again", 2*time.Second, hearsSound)
	if len(muted) != 0 {
		t.Errorf("told %t though the switch is as it was", <-muted)
	}
	if err := c.Switch(true, true); err != nil {
		t.Fatal(err)
	}
	told(t, "switch", muted, false, time.Second)
	tell(t, c, alsatest.Zeros)
	told(t, "digital silence", silent, true, 7*time.Second)
	tell(t, c, alsatest.Works)
	told(t, "sound", silent, false, time.Second)
}
