package e2e_test

import (
	"fmt"
	"testing"
	"time"

	"kioskd/daemon/api/apitype"
	"kioskd/daemon/e2e/stage"
)

// TestAStalledPageCostsTheRoomNothing stops the touchscreen's browser, all of it, in a
// call: what goes to the room must not notice, and the page comes back by itself.
func TestAStalledPageCostsTheRoomNothing(t *testing.T) {
	stalled := 6 * time.Second
	if full() {
		stalled = time.Minute
	}
	c := theScene(t, stage.Options{Cameras: 1})
	c.join(t, "clinician")
	c.calls(t, "stalled-page")
	c.sees(t, "window.kiosk?.remote?.frames > 5 && window.kiosk?.self?.frames > 5")
	if err := c.screen.Freeze(true); err != nil {
		t.Fatal(err)
	}
	thaw := func() {
		if err := c.screen.Freeze(false); err != nil {
			t.Error(err)
		}
	}
	defer thaw() // a second time where nothing failed
	sent, first := encoded(t, c), c.seen(t)
	began := time.Now()
	if _, err := c.Kioskd.Usage(t.Context(), stalled); err != nil { // no sleep: it looks for so long
		t.Fatal(err)
	}
	frames, last := encoded(t, c)-sent, c.seen(t)
	took := time.Since(began)
	thaw()
	got, lost := last.Frames-first.Frames, last.Lost-first.Lost
	t.Logf("page stalled for %.1f s: %d frames encoded (%.1f/s), %d decoded by the clinician, %d lost",
		took.Seconds(), frames, float64(frames)/took.Seconds(), got, lost)
	// The camera's own rate, less what a busy machine may drop in front of the encoder.
	if least := took.Seconds() * 30 * 0.97; float64(frames) < least {
		t.Errorf("%d frames were encoded in %v, want %.0f: the stalled page held the encoder up", frames, took, least)
	}
	if lost > frames/100 || got < frames*97/100 {
		t.Errorf("of %d frames the clinician decoded %d and lost %d", frames, got, lost)
	}
	before := numbers(t, c.screen, "window.kiosk.remote.frames")
	c.sees(t, fmt.Sprintf("window.kiosk?.remote?.live && window.kiosk.remote.frames > %v && window.kiosk.self?.live", before))
	c.flows(t)
	if s := c.session(t); s.State != apitype.StateActive {
		t.Errorf("after the stall the session says %s", line(s))
	}
	c.quiet(t, "state", "reconnecting")
	c.over(t)
}

// encoded is how many pictures the daemon has encoded in this call.
func encoded(t *testing.T, c *scene) int {
	t.Helper()
	s := c.session(t)
	if s == nil || s.Statistics == nil {
		t.Fatalf("no statistics in the session: %s", line(s))
	}
	n := 0
	for _, o := range s.Statistics.Outbound {
		if o.Kind == "video" {
			n += int(o.FramesEncoded)
		}
	}
	return n
}

// seen is what the clinician's page has decoded.
func (c *scene) seen(t *testing.T) stage.Clinician {
	t.Helper()
	v, err := c.clinic.Clinician(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return v
}
