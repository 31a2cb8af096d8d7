package soundcard_test

import (
	"testing"

	"kioskd/capture/soundcard/alsatest"
	"kioskd/capture/soundcard/soundtest"
)

func TestMain(m *testing.M) { soundtest.Main(m) }

func set(t *testing.T, c *alsatest.Card, f alsatest.Fault) {
	t.Helper()
	if err := c.Set(f); err != nil {
		t.Fatal(err)
	}
}
