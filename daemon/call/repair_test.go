package call_test

import (
	"testing"
	"time"

	"kioskd/daemon/call"
	"kioskd/daemon/room/direct/directtest"
	"kioskd/daemon/room/direct/signal"
)

// A link that goes is a loss at once, and not only after silence; what comes all the
// same (here over loopback) ends it.
func TestNoLinkIsALossAtOnce(t *testing.T) {
	k := newKiosk(t)
	k.NetworkMoved(true) // without a room nobody minds
	k.Apply(call.Media{Camera: true, Microphone: true})
	k.join(t, 1)
	g := k.invite(t, directtest.PeerID, signal.Clinician)
	k.awaitMedia(t, directtest.PeerID+" audio", directtest.PeerID+" video")
	k.NetworkMoved(true) // another link: the path shows that it lives, and is left alone
	began := time.Now()
	k.NetworkMoved(false)
	if e := awaitEvent[call.MediaLost](t, k); e.ID != directtest.PeerID || e.Attempt != 1 {
		t.Errorf("lost: %+v", e)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("the loss was told after %v", took)
	}
	k.NetworkMoved(true)
	if e := awaitEvent[call.MediaBack](t, k); e.ID != directtest.PeerID || e.Attempt != 1 {
		t.Errorf("back: %+v", e)
	}
	if n := g.Offers(); n != 1 {
		t.Errorf("%d offers: a path that works was touched", n)
	}
}
