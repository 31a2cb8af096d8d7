package direct

import (
	"log/slog"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"

	"kioskd/daemon/room"
	"kioskd/daemon/room/direct/signal"
	"kioskd/daemon/room/peer"
)

// page is the far end of a connection.
func page(t *testing.T) *webrtc.PeerConnection {
	t.Helper()
	pc, err := peer.New(peer.Options{Loopback: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := pc.GracefulClose(); err != nil {
			t.Error(err)
		}
	})
	return pc
}

// answers is what a page answers to the offer.
func answers(t *testing.T, pc *webrtc.PeerConnection, offer string) signal.Message {
	t.Helper()
	if err := pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeOffer, SDP: offer}); err != nil {
		t.Fatal(err)
	}
	a, err := pc.CreateAnswer(nil)
	if err == nil {
		err = pc.SetLocalDescription(a)
	}
	if err != nil {
		t.Fatal(err)
	}
	return signal.Message{Type: signal.Answer, From: "a", SDP: pc.LocalDescription().SDP}
}

// An answer that is of no use leaves nothing waiting: one that cannot be read may come
// again, and that of another page than before ends the connection, which is made anew
// at once, or, where it hurries, when the call asks for it.
func TestAnswersOfNoUse(t *testing.T) {
	r := &directRoom{
		log: slog.New(slog.DiscardHandler), life: t.Context(), ops: make(chan func(), opsBound),
		turns: map[string]*turns{}, remotes: map[string]*remote{}, params: room.Params{Events: func(room.Event) {}},
	}
	pc := page(t)
	if _, err := pc.CreateDataChannel("x", nil); err != nil {
		t.Fatal(err)
	}
	rem := &remote{who: room.Participant{ID: "a"}, pc: pc, stage: room.StageUp}
	r.remotes["a"] = rem
	r.offer(rem, false)

	rem.waiting = true
	r.answer(signal.Message{Type: signal.Answer, From: "a", SDP: "v=0"})
	if rem.waiting || rem.answered {
		t.Errorf("after an answer that cannot be read: waiting %t, answered %t", rem.waiting, rem.answered)
	}
	r.answer(answers(t, page(t), rem.offered))
	if !rem.answered {
		t.Fatal("not answered")
	}

	r.turns["a"] = &turns{at: []time.Time{time.Now(), time.Now(), time.Now()}}
	r.offer(rem, true)
	rem.waiting = true
	r.answer(answers(t, page(t), rem.offered))
	if rem.pc != pc {
		t.Fatal("made anew, though it hurries")
	}
	if rem.waiting || rem.restarting || rem.stage != room.StageOver {
		t.Errorf("waiting %t, restarting %t, stage %d: nothing would ever be done about it", rem.waiting, rem.restarting, rem.stage)
	}
}
