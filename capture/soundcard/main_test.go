package soundcard_test

import (
	"os"
	"testing"

	"go.uber.org/goleak"

	"kioskd/capture/soundcard/alsatest"
)

// TestMain gives libpulse, which alsa-lib's stock configuration asks even where no
// test does, a home of its own: it leaves links in the user's.
func TestMain(m *testing.M) {
	home, err := os.MkdirTemp("", "card")
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
		os.Exit(code)
	}))
}

// plug makes a test's own sound card this process's: cgo programs hand os.Setenv on to
// C, and alsa-lib looks at every open.
func plug(t *testing.T) *alsatest.Card {
	t.Helper()
	c, err := alsatest.New(t.Context(), t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Setenv("ALSA_CONFIG_PATH", c.ALSAConfig)
	return c
}

func set(t *testing.T, c *alsatest.Card, f alsatest.Fault) {
	t.Helper()
	if err := c.Set(f); err != nil {
		t.Fatal(err)
	}
}
