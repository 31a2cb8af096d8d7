package direct_test

import (
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/pion/rtp"
	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/directtest"
)

// A kiosk that was killed comes back under its own identity, to somebody who is
// there and did not notice. Media of both has to be back at once: there is no
// timer between the join and the first packet.
func TestMediaIsBackAtOnceAfterAKill(t *testing.T) {
	url, _ := theRoom(t)
	mine, theirs := videoTrack(t), videoTrack(t)
	stop := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() { pushSamples(stop, mine, theirs) })
	defer wg.Wait()
	defer close(stop)
	arrived := make(chan time.Time, 64)
	var known sync.Map // each connection of a kiosk has an SSRC of its own
	directtest.New(t, url, token, func(_ webrtc.RTPCodecType, p *rtp.Packet) {
		if _, old := known.LoadOrStore(p.SSRC, true); !old {
			arrived <- time.Now()
		}
	}, theirs)

	const rounds = 12
	var there, back []time.Duration
	for n := range rounds {
		e := newEvents()
		started := time.Now()
		r, err := join(t, url, token, e, mine)
		if err != nil {
			t.Fatal(err)
		}
		defer leave(t, r, room.ReasonAway) // the others are superseded by the next, as if they had been killed
		added := await[room.TrackAdded](t, e, 1)
		if _, _, err := added.Track.ReadRTP(); err != nil {
			t.Fatal(err)
		}
		back = append(back, time.Since(started))
		select {
		case at := <-arrived:
			there = append(there, at.Sub(started))
		case <-time.After(15 * time.Second):
			t.Fatalf("round %d: nothing reached the far side", n)
		}
	}
	slices.Sort(back)
	slices.Sort(there)
	t.Logf("join to first packet from the far side: p50 %v, worst %v; at the far side: p50 %v, worst %v",
		back[rounds/2], back[rounds-1], there[rounds/2], there[rounds-1])
	if back[rounds/2] > time.Second || there[rounds/2] > time.Second {
		t.Error("half the rounds took a second and more")
	}
}
