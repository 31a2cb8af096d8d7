package soundcard_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"kioskd/capture/soundcard"
	"kioskd/capture/soundcard/alsatest"
	"kioskd/capture/soundcard/soundtest"
)

func TestMixerNames(t *testing.T) {
	for device, want := range map[string]string{
		"plughw:CARD=C920,DEV=0": "hw:CARD=C920", "hw:CARD=C920": "hw:CARD=C920", "sysdefault:CARD=PCH": "hw:CARD=PCH",
		"hw:1,0": "hw:1", "plughw:DEV=0,CARD=X": "hw:CARD=X", "front:DEV=1": "hw", "hw": "hw", "dsnoop:2": "hw:2",
		"default": "default", "pulse": "pulse", "kiosk_mic": "kiosk_mic", "pulse:mic": "pulse:mic",
	} {
		if got := soundcard.MixerName(device); got != want {
			t.Errorf("%s: %s, want %s", device, got, want)
		}
	}
}

// watched runs WatchSwitch until the test ends it.
func watched(t *testing.T, device string) (told <-chan bool, stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	c, end := make(chan bool, 16), make(chan error, 1)
	go func() { end <- soundcard.WatchSwitch(ctx, device, func(muted bool) { c <- muted }) }()
	return c, func() error {
		cancel()
		select {
		case err := <-end:
			return err
		case <-time.After(5 * time.Second):
			t.Fatal("WatchSwitch does not end")
			return nil
		}
	}
}

func expect(t *testing.T, told <-chan bool, want bool) {
	t.Helper()
	select {
	case got := <-told:
		if got != want {
			t.Fatalf("told muted %t, want %t", got, want)
		}
	case <-time.After(2 * time.Second):
		t.Fatalf("muted %t was not told within 2 s", want)
	}
}

// Muted is every channel off; the switch of the line input has no say.
func TestSwitch(t *testing.T) {
	c := soundtest.Card(t)
	for _, device := range []string{alsatest.Mono, alsatest.Headset} {
		told, stop := watched(t, device)
		expect(t, told, false)
		for _, s := range []struct{ left, right, muted bool }{{false, false, true}, {true, false, false}, {false, false, true}, {false, true, false}} {
			if err := c.Switch(s.left, s.right); err != nil {
				t.Fatal(err)
			}
			expect(t, told, s.muted)
		}
		if err := c.Switch(true, true); err != nil {
			t.Fatal(err)
		}
		began := time.Now()
		if err := stop(); err != nil || time.Since(began) > 200*time.Millisecond {
			t.Errorf("%s: %v after %v", device, err, time.Since(began))
		}
		if len(told) != 0 {
			t.Errorf("%s: told %t without a change", device, <-told)
		}
	}
}

func TestSwitchIsNotThere(t *testing.T) {
	soundtest.Card(t)
	for _, device := range []string{alsatest.Stereo, "no_such_ctl"} {
		told, stop := watched(t, device)
		if err := stop(); !errors.Is(err, soundcard.ErrNoSwitch) {
			t.Errorf("%s: %v, want ErrNoSwitch", device, err)
		}
		if len(told) != 0 {
			t.Errorf("%s: told %t", device, <-told)
		}
	}
	_, stop := watched(t, alsatest.Loose)
	if err := stop(); err == nil || !errors.Is(err, syscall.ENODEV) || errors.Is(err, soundcard.ErrNoSwitch) {
		t.Errorf("a ctl that does not open: %v, want ENODEV", err)
	}
}

// A card that goes away ends the watch with the reason.
func TestSwitchGoes(t *testing.T) {
	c := soundtest.Card(t)
	told, stop := watched(t, alsatest.Mono)
	expect(t, told, false)
	path := filepath.Join(filepath.Dir(c.ALSAConfig), "switches")
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-told:
		t.Errorf("told %t", got)
	case <-time.After(100 * time.Millisecond):
	}
	if err := stop(); !errors.Is(err, syscall.ENODEV) {
		t.Errorf("%v, want ENODEV", err)
	}
}

// A watch that waits costs nothing.
func TestSwitchDoesNotPoll(t *testing.T) {
	soundtest.Card(t)
	told, stop := watched(t, alsatest.Mono)
	expect(t, told, false)
	var before, after syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &before); err != nil {
		t.Fatal(err)
	}
	idle := time.NewTimer(500 * time.Millisecond)
	<-idle.C
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &after); err != nil {
		t.Fatal(err)
	}
	if n := after.Nvcsw - before.Nvcsw; n > 100 {
		t.Errorf("%d voluntary switches in half a second", n)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}
