package call_test

import (
	"testing"
	"time"

	"kioskd/daemon/call"
	"kioskd/daemon/call/ladder"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
)

// stalledWithin is the promise: a far side that does not do its part is left, or told
// of, after so long.
const stalledWithin = 10 * time.Second

// In one room are a far side that joins and never negotiates, one that answers and
// sends nothing, and one that sends and says nothing of what arrives. The first two are
// offered another connection in time; of the third is told, and its call is left alone.
func TestStalledFarSides(t *testing.T) {
	k := newKiosk(t)
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	began := time.Now()
	deaf := directtest.Join(t, k.url, "t", directtest.Who{Peer: "deaf", Role: signal.Clinician, Deaf: true})
	empty := directtest.Join(t, k.url, "t", directtest.Who{Peer: "empty", Role: signal.Clinician})
	silent := k.inviteWho(t, directtest.Who{Peer: "silent", Role: signal.Clinician, Unreporting: true})
	again := func(c *directtest.Clinician) bool { return c.Offers() > 1 }
	waiting := map[string]func() bool{
		"deaf is offered again": func() bool { return again(deaf) }, "empty is offered again": func() bool { return again(empty) },
		"silent is told of": func() bool {
			for len(k.events) > 0 {
				if e, ok := (<-k.events).(call.OneWay); ok && e.ID == "silent" && e.Way == ladder.FromThem {
					return true
				}
			}
			return false
		},
	}
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for len(waiting) > 0 {
		<-tick.C
		took := time.Since(began)
		for what, done := range waiting {
			if done() {
				t.Logf("%s after %.1f s", what, took.Seconds())
				delete(waiting, what)
			} else if took > stalledWithin {
				t.Fatalf("not within %v: %s", stalledWithin, what)
			}
		}
	}
	if n := silent.Offers(); n != 1 {
		t.Errorf("a call that works in one way was offered %d times", n)
	}
}
