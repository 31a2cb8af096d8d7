// Package soundtest is what the tests of sound share: a home for libpulse, and this
// process's alsa-lib pointed at a private sound server or at cards that fail on command.
// May be imported by tests only.
package soundtest

import (
	"context"
	"os"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"kioskd/capture/microphone/pulsetest"
	"kioskd/capture/soundcard/alsatest"
)

// Main is a TestMain with a leak check. It gives libpulse, which alsa-lib's stock
// configuration asks even where no test does, a home of its own: it leaves links in the
// user's.
func Main(m *testing.M) {
	home, err := os.MkdirTemp("", "snd")
	if err != nil {
		panic(err)
	}
	for _, name := range []string{"HOME", "XDG_CONFIG_HOME", "PULSE_RUNTIME_PATH"} {
		if err := os.Setenv(name, home); err != nil {
			panic(err)
		}
	}
	goleak.VerifyTestMain(m, goleak.Cleanup(func(code int) {
		if err := os.RemoveAll(home); err != nil {
			code = 1
		}
		os.Exit(code) //nolint:forbidigo // it stands for a TestMain, which exits
	}))
}

// Server starts a PulseAudio and points this process's alsa-lib at it, for the length of
// the test: cgo programs hand os.Setenv on to C, and alsa-lib looks at every open.
func Server(t *testing.T) *pulsetest.Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "snd") // short: a Unix socket's path has at most 107 bytes
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s, err := pulsetest.Start(ctx, dir)
	if err != nil {
		cancel()
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for _, kv := range s.Env() {
		k, v, _ := strings.Cut(kv, "=")
		t.Setenv(k, v)
	}
	return s
}

// Card makes a test's own sound card this process's.
func Card(t *testing.T) *alsatest.Card {
	t.Helper()
	c, err := alsatest.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALSA_CONFIG_PATH", c.ALSAConfig)
	return c
}
