package call_test

import (
	"testing"
	"time"

	"kioskd/daemon/call"
)

// TestTurns is what the watchdog asks: while a picture runs, the camera's or the one for
// "video off", the loop turns, also when nobody watches; without one nothing has to.
func TestTurns(t *testing.T) {
	k := newKiosk(t)
	if n, running := k.Turns(); n != 0 || running {
		t.Errorf("a call that does nothing: %d turns, running %t", n, running)
	}
	for _, tt := range []struct {
		name  string
		media call.Media
	}{
		{"camera", call.Media{Camera: true, Microphone: true}},
		{"video off", call.Media{Microphone: true, VideoOff: true}},
		{"camera again", call.Media{Camera: true}},
	} {
		k.Apply(tt.media)
		from, running := k.Turns()
		if !running {
			t.Errorf("%s: nothing runs", tt.name)
		}
		tick := time.NewTicker(5 * time.Millisecond)
		deadline := time.After(20 * time.Second)
		for n := from; n < from+2; n, _ = k.Turns() {
			select {
			case <-tick.C:
			case <-deadline:
				t.Fatalf("%s: the loop does not turn", tt.name)
			}
		}
		tick.Stop()
	}
	for name, media := range map[string]call.Media{"microphone alone": {Microphone: true}, "nothing": {}} {
		k.Apply(media)
		if _, running := k.Turns(); running {
			t.Errorf("%s: a picture is said to run", name)
		}
	}
}
